"""Inputs of the matrix that are about what buildpacks leave: layers, processes, labels, SBOMs, metadata."""

from parity.case import Buildpack, Case, Tree, listed

CDX = '{"bomFormat":"CycloneDX","specVersion":"1.4"}\n'
SPDX = '{"spdxVersion":"SPDX-2.2"}\n'
SYFT = '{"artifacts":[],"schema":{"version":"1"}}\n'
FORMATS = 'sbom-formats = ["application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json"]\n'
LAUNCH_LAYER = "[types]\nlaunch = true\n"


def _buildpack(launch: str = "", /, *, api: str = "0.10", identifier: str = "parity/one", **more: str) -> Buildpack:
    return Buildpack(identifier, api=api, out=listed({"launch.toml": launch, **more}))


def _with_files(api: str = "0.10", **contents: str) -> Buildpack:
    names = {name.replace("__", "/"): text for name, text in contents.items()}
    return Buildpack(api=api, out=listed(names))


def _layers(tree: Tree) -> None:
    for name, types in (
        ("zeta", "launch = true"),
        ("Alpha", "launch = true\ncache = true"),
        ("a-b", "launch = true\nbuild = true"),
        ("a", "launch = true\nbuild = true\ncache = true"),
        ("build-only", "build = true"),
        ("cache-only", "cache = true"),
        ("none", ""),
        ("é", "launch = true"),
        ("with.dot", "launch = true"),
    ):
        tree.file(f"{name}.toml", f"[types]\n{types}\n")
        tree.file(f"{name}/content", name)
    tree.file("empty.toml", LAUNCH_LAYER)
    tree.directory("empty")
    tree.file("no-toml/content")
    tree.file("deep.toml", LAUNCH_LAYER)
    tree.file("deep/a/b/c", mode=0o600)
    tree.file("deep/a-b", mode=0o4755)
    tree.file("deep/a.b", mode=0o755)
    tree.symlink("deep/link", "/layers/parity_one/a")
    tree.file("deep/" + "n" * 110)
    tree.file("deep/é\n")


def _layer_that_is_a_link(tree: Tree) -> None:
    tree.file("real.toml", LAUNCH_LAYER)
    tree.file("real/content")
    tree.file("linked.toml", LAUNCH_LAYER)
    tree.symlink("linked", "real")


def _layer_that_is_a_file(tree: Tree) -> None:
    tree.file("odd.toml", LAUNCH_LAYER)
    tree.file("odd", "no directory")


METADATA = """[types]
launch = true
build = true
cache = true
[metadata]
text = "plain"
escaped = "quote \\" back \\\\ tab \\t newline \\n bell \\u0007 del \\u007f é 😀 \\u2028 <b>&amp;</b>"
empty = ""
int = 42
negative = -17
zero = 0
big = 9007199254740993
max = 9223372036854775807
min = -9223372036854775808
hex = 0xff
float = 1.5
whole = 3.0
small = 1e-7
tiny = 5e-324
edge = 1e-6
large = 1e21
huge = 1.7976931348623157e308
million = 1000000.0
pi = 3.141592653589793
minus-zero = -0.0
yes = true
no = false
offset = 1979-05-27T00:32:00.999999-07:00
utc = 1979-05-27T07:32:00Z
fraction = 1979-05-27T07:32:00.120Z
local = 1979-05-27T07:32:00
local-fraction = 1979-05-27T07:32:00.5
date = 1979-05-27
time = 07:32:00
time-fraction = 07:32:00.25
list = [1, 2, 3]
empty-list = []
mixed = [1, "two", 3.0, [4, 5], {six = 6}]
nested = [[1, 2], ["a"], []]
inline = {b = 1, a = {d = [1], c = "x"}}
"quoted key" = 1
"é" = 1
"" = "empty key"
"a.b" = 1
Upper = 1
upper = 2
[metadata.table]
z = 1
a = 2
[metadata.table.sub]
x = "y"
[metadata.empty-table]
[[metadata.tables]]
name = "first"
[[metadata.tables]]
name = "second"
[[metadata.tables.inner]]
deep = true
[[metadata.tables.inner.er]]
deeper = [1.0, 2.5]
"""

PROCESSES = """
[[processes]]
type = "worker"
command = ["run", "worker"]
[[processes]]
type = "web"
command = ["run"]
args = ["<b>", "a&b", "\\u2028\\u2029", "tab\\t", "quote\\"", "back\\\\slash", "é😀", "\\u007f", "\\u0001"]
default = true
[[processes]]
type = "empty-args"
command = ["x"]
args = []
[[processes]]
type = "workdir"
command = ["pwd"]
working-dir = "/tmp/<work> & dir"
[[processes]]
type = "Task-1.2_3"
command = ["a", "b", "c"]
args = ["d"]
[[processes]]
type = "é"
command = ["<&>", "\\u0007"]
"""
OLD_PROCESSES = """
[[processes]]
type = "web"
command = "run --with <&> 'shell'"
args = ["a", "$B"]
[[processes]]
type = "direct"
command = "run"
direct = true
args = []
[[processes]]
type = "bare"
command = "bare"
working-dir = "/opt"
"""
BOM = """
[[bom]]
name = "dep"
[bom.metadata]
version = "1.2"
sha = "<&>"
n = 1
f = 1.0
[[bom]]
name = "other"
"""


def _sbom_files(tree: Tree) -> None:
    for name in ("launch", "build", "lib", "tool", "store-only", "unknown"):
        tree.file(f"{name}.sbom.cdx.json", CDX)
        tree.file(f"{name}.sbom.spdx.json", SPDX)
        tree.file(f"{name}.sbom.syft.json", SYFT)
    tree.file("lib.toml", "[types]\nlaunch = true\ncache = true\n")
    tree.file("lib/x")
    tree.file("tool.toml", "[types]\nbuild = true\n")
    tree.file("tool/x")
    tree.file("store-only.toml", "[types]\ncache = true\nbuild = true\n")
    tree.file("store-only/x")


def _sboms(extra: str = "", api: str = "0.10") -> Buildpack:
    def out(tree: Tree) -> None:
        _sbom_files(tree)
        tree.file("launch.toml", extra)
        tree.file("build.toml", BOM if extra else "")

    return Buildpack(api=api, out=out, descriptor=FORMATS)


REUSING = """
if [ -f "$1/kept.toml" ]; then
  printf '[types]\\nlaunch = true\\n[metadata]\\nv = 1\\n' >"$1/kept.toml"
else
  printf '[types]\\nlaunch = true\\n[metadata]\\nv = 1\\n' >"$1/kept.toml"
  mkdir "$1/kept"
  echo kept >"$1/kept/file"
fi
cp "$1/kept.toml" "$1/../seen" 2>/dev/null || true
"""
RESTORED = """
cat "$1"/*.toml 2>/dev/null || true
ls "$1" || true
"""


def _reusable(tree: Tree) -> None:
    tree.file("launch.toml", '[[processes]]\ntype = "web"\ncommand = ["x"]\n')
    tree.file("same.toml", "[types]\nlaunch = true\ncache = true\n[metadata]\nn = 1\nf = 1.5\nt = 1700000000\n")
    tree.file("same/file", "same\n")
    tree.file("cached.toml", "[types]\nbuild = true\ncache = true\n")
    tree.file("cached/file", "cached\n")


CASES = (
    Case("layers", "Layers of all types and of names that sort in unusual ways.", buildpacks=(Buildpack(out=_layers),)),
    Case("layer-link", "A layer directory that is a symlink.", buildpacks=(Buildpack(out=_layer_that_is_a_link),)),
    Case("layer-file", "A file where a layer directory should be.", buildpacks=(Buildpack(out=_layer_that_is_a_file),)),
    Case("layer-without-directory", "A launch layer of which there is only metadata.", buildpacks=(_with_files(a___toml=""), _buildpack("", identifier="parity/two", **{"gone.toml": LAUNCH_LAYER}))),
    Case("layer-metadata", "Layer metadata of every TOML type.", buildpacks=(_buildpack("", **{"all.toml": METADATA, "all/x": "x"}),), change=lambda tree: None),
    Case("layer-metadata-nan", "Layer metadata that JSON can't hold.", buildpacks=(_buildpack("", **{"all.toml": LAUNCH_LAYER + "[metadata]\nn = nan\n", "all/x": "x"}),)),
    Case("layer-toml-empty", "Layer files that are empty, lack types, or have other keys.", buildpacks=(_buildpack("", **{"e.toml": "", "e/x": "x", "o.toml": "[types]\nlaunch = true\nother = 1\n[metadata]\n[extra]\nx = 1\n", "o/x": "x"}),)),
    Case("store", "store.toml with nested data.", buildpacks=(_buildpack("", **{"store.toml": '[metadata]\nk = "<v>"\nn = 3\n[metadata.t]\nd = 1979-05-27\n'}),), change=lambda tree: None),
    Case("store-empty", "store.toml without metadata.", buildpacks=(_buildpack("", **{"store.toml": ""}), _buildpack("", identifier="parity/two", **{"store.toml": "[metadata]\n"}))),
    Case("processes", "Processes of all shapes in lists of words.", buildpacks=(_buildpack(PROCESSES),)),
    Case("processes-old", "Processes of Buildpack API 0.8, whose commands are one string.", buildpacks=(_buildpack(OLD_PROCESSES, api="0.8"),)),
    Case("processes-oldest", "Processes of Buildpack API 0.7, which have no working directory.", buildpacks=(_buildpack(OLD_PROCESSES, api="0.7"),)),
    Case("processes-replaced", "A later buildpack replaces a process and the default.", buildpacks=(_buildpack(PROCESSES), _buildpack('[[processes]]\ntype = "web"\ncommand = ["other"]\n[[processes]]\ntype = "last"\ncommand = ["l"]\n', identifier="parity/two"))),
    Case("processes-default-twice", "Two buildpacks have a default process.", buildpacks=(_buildpack(PROCESSES), _buildpack('[[processes]]\ntype = "second"\ncommand = ["other"]\ndefault = true\n', identifier="parity/two"))),
    Case("processes-mixed-apis", "Buildpacks of three APIs in one group.", buildpacks=(_buildpack(OLD_PROCESSES, api="0.8"), _buildpack(PROCESSES, identifier="parity/two", api="0.11"), _buildpack('[[processes]]\ntype = "n"\ncommand = ["n"]\nexec-env = ["production", "test"]\n', identifier="parity/three", api="0.12"))),
    Case("no-processes", "launch.toml without anything, and a buildpack without launch.toml.", buildpacks=(_buildpack(""), Buildpack("parity/two", out=listed({"file": "x"})))),
    Case("process-without-command", "A process whose command has no words.", buildpacks=(_buildpack('[[processes]]\ntype = "none"\ncommand = []\nargs = ["x"]\n'),)),
    Case("process-type-chosen", "The platform chooses the default process.", buildpacks=(_buildpack(PROCESSES),), export=("-process-type", "worker")),
    Case("process-type-missing", "The platform chooses a process that does not exist.", buildpacks=(_buildpack(PROCESSES),), export=("-process-type", "none")),
    Case("process-type-invalid", "A process type with a slash.", buildpacks=(_buildpack('[[processes]]\ntype = "a/b"\ncommand = ["x"]\n'),)),
    Case("process-type-empty", "A process without a type.", buildpacks=(_buildpack('[[processes]]\ncommand = ["x"]\n'),)),
    Case("labels", "Labels with HTML characters, of the lifecycle's own names, and twice.", buildpacks=(_buildpack('[[labels]]\nkey = "<html> & more"\nvalue = "<b>\\u2028 é \\" \\\\ \\n"\n[[labels]]\nkey = "twice"\nvalue = "1"\n[[labels]]\nkey = "twice"\nvalue = "2"\n[[labels]]\nkey = "io.buildpacks.project.metadata"\nvalue = "mine"\n[[labels]]\nkey = "io.buildpacks.stack.id"\nvalue = "other"\n[[labels]]\nkey = "empty"\nvalue = ""\n'), _buildpack('[[labels]]\nkey = "twice"\nvalue = "3"\n', identifier="parity/two"))),
    Case("labels-incomplete", "Labels without a key or a value.", buildpacks=(_buildpack('[[labels]]\nvalue = "v"\n[[labels]]\nkey = "k"\n'),)),
    Case("sboms", "SBOM files of launch, build, and layers of all types in three formats.", buildpacks=(_sboms(),), change=lambda tree: None),
    Case("sboms-and-bom", "SBOM files and a bom in launch.toml and build.toml.", buildpacks=(_sboms(BOM),)),
    Case("bom", "A bom without SBOM files.", buildpacks=(_buildpack(BOM, api="0.7", **{"build.toml": BOM}), _buildpack(BOM, identifier="parity/two", api="0.8"))),
    Case("bom-and-processes", "A bom in front of processes.", buildpacks=(_buildpack(BOM + OLD_PROCESSES, api="0.8"),)),
    Case("launcher-sboms", "SBOM files of lifecycle and launcher beside the launcher.", files={f"cnb/lifecycle/{who}.sbom.{kind}.json": f'{{"{who}": "{kind}"}}\n' for who in ("lifecycle", "launcher") for kind in ("cdx", "spdx", "syft")}),
    Case("launcher-sbom-directory", "A directory of SBOM files for the launcher.", files={"platform/sboms/x.sbom.cdx.json": CDX, "platform/sboms/y.sbom.spdx.json": SPDX, "platform/sboms/other.txt": "no"}, export=("-launcher-sbom", "/platform/sboms"), apis=tuple(f"0.{minor}" for minor in range(11, 16))),
    Case("group", "Several buildpacks: optional ones that pass and fail, homepages, ids with dots.", buildpacks=(
        Buildpack("parity/one", descriptor='homepage = "https://example.com/?a=1&b=<2>"\nname = "One"\n'),
        Buildpack("parity/optional", optional=True, detect="exit 100"),
        Buildpack("parity/passing", version="2.0.0-rc.1+build", optional=True, descriptor='homepage = ""\n'),
        Buildpack("io.parity.dotted", version="v3", api="0.12"),
    )),
    Case("plan", "Requirements and provisions between buildpacks.", buildpacks=(
        Buildpack("parity/provider", plan='[[provides]]\nname = "dep"\n[[provides]]\nname = "other"\n', script='cat "$3"'),
        Buildpack("parity/requirer", plan='[[requires]]\nname = "dep"\n[requires.metadata]\nversion = "1.*"\nn = 1\nlist = ["<a>", "b"]\n[[requires]]\nname = "other"\n'),
    )),
    Case("environment", "A layer's environment reaches the next buildpack, with the platform's.", buildpacks=(
        _with_files(**{"a.toml": "[types]\nbuild = true\nlaunch = true\n", "a__env__X": "x", "a__env__PATHX.append": "y", "a__env.build__Y.default": "z", "a__bin__tool": "t", "a__lib__l": "l"}),
        Buildpack("parity/two", out=listed({"e.toml": LAUNCH_LAYER, "e/": ""}), script='env | grep -v "^CNB_\\|^_=\\|^PWD\\|^HOME=\\|^SHLVL\\|^OLDPWD" | sort >"$1/e/env"; ls -d "$CNB_LAYERS_DIR" "$CNB_PLATFORM_DIR" >>"$1/e/env"'),
    ), files={"platform/env/FROM_PLATFORM": "p\n", "platform/env/PATH": "/from/platform", "cnb/build-config/env/CONFIG.override": "c"}),
    Case("reuse-unchanged", "The second build makes the same layers and reuses all.", buildpacks=(Buildpack(out=_reusable, script=RESTORED),), change=lambda tree: None),
    Case("reuse-changed-app", "The second build has another app.", buildpacks=(Buildpack(out=_reusable),), change=lambda tree: tree.file("new.txt")),
    Case("reuse-without-directory", "The second build keeps a launch layer by its metadata alone.", buildpacks=(Buildpack(out=listed({"launch.toml": ""}), script=REUSING),), change=lambda tree: None),
)  # fmt: skip
