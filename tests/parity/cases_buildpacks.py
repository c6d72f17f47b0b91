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


def _of_paketo(tree: Tree) -> None:
    for name in ("jre", "helper"):
        tree.file(f"{name}.toml", PAKETO_LAYER)
        for directory in ("env", "env.build", "env.launch", "env.launch/web"):
            for suffix in ("", ".default", ".append", ".prepend", ".override", ".delim", ".other"):
                tree.file(f"{name}/{directory}/{name.upper()}{suffix}", f"{name}{suffix}\n")
        for place in ("exec.d/1-a", "exec.d/web/2-b", "bin/java", "lib/l.so", "include/h.h", "pkgconfig/p.pc"):
            tree.file(f"{name}/{place}", "#!/bin/sh\n", 0o755)
        tree.file(f"{name}/profile.d/a.sh", "export Y=1\n")
        tree.file(f"{name}/profile.d/web/b.sh", "export Z=1\n")
        tree.symlink(f"{name}/exec.d/link", "1-a")
    for name in ("jre", "helper", "launch", "build"):
        for kind in ("cdx", "spdx", "syft"):
            tree.file(f"{name}.sbom.{kind}.json", '{"a": "<&>", "n": 1.0}')
    tree.file("launch.toml", PAKETO_LAUNCH)
    tree.file("build.toml", '[[unmet]]\nname = "jdk"\n')
    tree.file("store.toml", "[metadata]\nn = 1\n")


PAKETO_LAYER = """[types]
launch = true
build = true
cache = true
[metadata]
launch = true
[metadata.dep]
purl = "pkg:generic/x@1?arch=amd64&os=linux"
deprecation_date = 2030-01-01T00:00:00Z
[[metadata.dep.licenses]]
type = "GPL"
uri = "https://x/?a=b&c"
"""
PAKETO_LAUNCH = """[[labels]]
  key = "org.opencontainers.image.title"
  value = "x"
[[processes]]
  type = "web"
  command = ["java"]
  args = ["-jar", "x"]
  default = true
  working-dir = "/workspace/sub"
[[processes]]
  type = "task"
  command = ["bash", "-c", "java $JAVA_OPTS"]
[[slices]]
  paths = ["BOOT-INF/lib/**", "lib/*.jar"]
[[slices]]
  paths = ["**/x.class"]
"""
PROVIDES_JDK = '[[provides]]\nname = "jdk"\n[[requires]]\nname = "jdk"\n[requires.metadata]\nlaunch = true\n'


def _java_app(tree: Tree) -> None:
    for name in ("BOOT-INF/lib/a.jar", "BOOT-INF/lib/d/b.jar", "lib/c.jar", "x.class", "d/x.class", "d/e/x.class"):
        tree.file(name)


def _linked_files(tree: Tree) -> None:
    tree.file("l.toml", LAUNCH_LAYER)
    tree.file("l/x")
    tree.symlink("m.toml", "l.toml")
    tree.file("m/y")
    for name in ("n", "launch", "build"):
        tree.symlink(f"{name}.toml", "nowhere")
    tree.file("n/z")


def _odd_names(tree: Tree) -> None:
    for name in ("x.y", "sbom", "Ünï", "-dash", "sp ace"):
        tree.file(f"{name}.toml", LAUNCH_LAYER)
        tree.file(f"{name}/f")
    for name in ("a.toml", "build", "launch", "store"):
        tree.file(f"{name}/f")


TOML_FORMS = """\ufefftypes = {
  launch = true,
  cache = true,  # TOML 1.1
}
[METADATA]
escapes = "\\e\\x41"
minutes = 07:32
hex = 0xff
octal = 0o17
binary = 0b11
grouped = 1_000
a.b.c = 1
a."d e" = 2
long = '''
x'y'''
folded = \"\"\"a \\
   b\"\"\"
"""
TOLD = 'env | grep -v "^_=\\|^CNB_BP_PLAN_PATH\\|^PWD\\|^SHLVL\\|^OLDPWD" | sort >"$1/e/variables"; printf %s "$BYTES" >"$1/e/bytes"'
ELSEWHERE = (
    'mkdir -p "$1/../config" "$1/../sbom/launch/x" "$1/../other"; echo x >"$1/../config/extra"; '
    'echo y >"$1/../sbom/launch/x/y"; echo z >"$1/../other/z"; rm -f main.txt; echo new >new; chmod 700 bin'
)
CASES = (
    Case("like-paketo", "Layers with environments of all kinds, exec.d, profile.d, SBOM files, slices, unmet.", app=_java_app, apis=("0.7", "0.11", "0.15"), buildpacks=(
        Buildpack("p/jre", api="0.12", descriptor=FORMATS, out=_of_paketo, plan=PROVIDES_JDK),
        Buildpack("p/app", api="0.9", descriptor=FORMATS, out=_of_paketo, plan=PROVIDES_JDK, script='mkdir -p "$1/e"; cp "$1/jre.toml" "$1/e.toml"; ' + TOLD.replace("sort", "grep JRE | sort")),
    ), change=lambda tree: tree.file("new")),
    Case("layer-links", "Links in the place of files in the layers directory, some to nothing.", buildpacks=(Buildpack(out=_linked_files),), apis=("0.15",)),
    Case("layer-link-to-nothing", "A layer directory that is a link to nothing.", buildpacks=(Buildpack(out=lambda tree: (tree.file("l.toml", LAUNCH_LAYER), tree.symlink("l", "nowhere"))),), apis=("0.15",), fails=True),
    Case("layer-names", "Names of layers that look like other files.", buildpacks=(Buildpack(out=_odd_names),), apis=("0.15",)),
    Case("layer-without-name", "A file that is called .toml.", buildpacks=(_buildpack("", **{".toml": LAUNCH_LAYER, "b.toml": LAUNCH_LAYER, "b/x": "x"}),), apis=("0.15",)),
    Case("layer-names-equal", "Two buildpacks whose ids have one directory.", buildpacks=(_buildpack("", identifier="a/b", **{"x.toml": LAUNCH_LAYER, "x/f": "1"}), Buildpack("a_b", "2", out=listed({"y.toml": LAUNCH_LAYER, "y/f": "2"}))), apis=("0.15",)),
    Case("toml-forms", "TOML in forms that few write, of version 1.1, with a byte order mark.", buildpacks=(_buildpack('[[Processes]]\nType = "web"\nCommand = ["x"]\n[[LABELS]]\nKEY = "k"\nVALUE = "v"\n', **{"a.toml": TOML_FORMS, "a/x": "x"}),), apis=("0.15",), change=lambda tree: None),
    Case("toml-windows-lines", "TOML with Windows line ends, one of them in a text.", buildpacks=(_buildpack("", **{"a.toml": '[types]\r\nlaunch = true\r\n[metadata]\r\nx = """a\r\nb"""\r\n', "a/x": "x"}),), apis=("0.15",)),
    Case("toml-latin-1", "TOML that is not UTF-8.", buildpacks=(Buildpack(out=listed({"a.toml": b"# \xe9\n"})),), apis=("0.15",), fails=True),
    Case("outside-of-its-layers", "A buildpack that writes into other directories of the build, and changes the app.", buildpacks=(Buildpack(script=ELSEWHERE),), apis=("0.15",)),
    # A creator that root starts takes HOME from the user that it becomes, a builder has its own.
    Case("environment-cleared", "A buildpack with clear-env; the builder's own environment.", creator=False, buildpacks=(
        _buildpack("", identifier="a/a", **{"e.toml": "[types]\nbuild = true\n", "e/env/X": "x"}),
        Buildpack(descriptor="clear-env = true\n", out=listed({"e.toml": LAUNCH_LAYER, "e/": ""}), script=TOLD),
    ), apis=("0.7", "0.15"), env={"FOO": "bar", "CNB_OWN": "x", "http_proxy": "p", "LD_LIBRARY_PATH": "/l", "CNB_STACK_ID": "s"}, files={
        "platform/env/FROM_PLATFORM": "p", "platform/env/HOME": "/h", "platform/env/LD_LIBRARY_PATH": "/q", "cnb/build-config/env/A.append": "x", "cnb/build-config/env/A.delim": ":",
        "cnb/build-config/env/B": "b\n", "cnb/build-config/env/C.default": "c", "cnb/build-config/env/FROM_PLATFORM.append": "+",
    }),
    Case("environment-odd", "Files of variables with odd names and contents.", creator=False, buildpacks=(
        Buildpack("a/a", out=listed({"e.toml": "[types]\nbuild = true\n", "e/env/.append": "x", "e/env/x.y.append": "1", "e/env/X.foo": "q", "e/env/D.delim": "::", "e/env/D.append": "d", "e/env/D.prepend": "e", "e/env/D.override": "z", "e/env/sub/x": "y", "e/env.build/PATH.prepend": "/q", "e/env.build/PATH.delim": ";", "e/env/E": "", "e/env/NL.override": "a\nb\n", "e/env/sp ace": "v", "e/env/BYTES": b"\xff\xfe"})),
        Buildpack(out=listed({"e.toml": LAUNCH_LAYER, "e/": ""}), script=TOLD),
    ), apis=("0.15",), files={"platform/env/NL": "a\nb\n", "platform/env/EMPTY": "", "platform/env/D": "D", "platform/env/lower.override": "q", "platform/env/dir/x": "x"}),
    Case("environment-equals", "A file of a variable whose name holds an equals sign.", buildpacks=(_buildpack("", **{"e.toml": "[types]\nbuild = true\n", "e/env/A=B": "x"}),), apis=("0.15",)),
    Case("process-type-dot", "A process type that is a dot.", buildpacks=(_buildpack('[[processes]]\ntype = "."\ncommand = ["x"]\n'),), apis=("0.15",)),
    Case("layers", "Layers of all types and of names that sort in unusual ways.", buildpacks=(Buildpack(out=_layers),)),
    Case("layer-link", "A layer directory that is a symlink.", buildpacks=(Buildpack(out=_layer_that_is_a_link),)),
    Case("layer-file", "A file where a layer directory should be.", buildpacks=(Buildpack(out=_layer_that_is_a_file),)),
    Case("layer-without-directory", "A launch layer of which there is only metadata.", fails=True, buildpacks=(_with_files(a___toml=""), _buildpack("", identifier="parity/two", **{"gone.toml": LAUNCH_LAYER}))),
    Case("layer-metadata", "Layer metadata of every TOML type.", buildpacks=(_buildpack("", **{"all.toml": METADATA, "all/x": "x"}),), change=lambda tree: None),
    Case("layer-metadata-nan", "Layer metadata that JSON can't hold.", fails=True, buildpacks=(_buildpack("", **{"all.toml": LAUNCH_LAYER + "[metadata]\nn = nan\n", "all/x": "x"}),)),
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
    Case("process-type-missing", "The platform chooses a process that does not exist.", fails=True, buildpacks=(_buildpack(PROCESSES),), export=("-process-type", "none")),
    Case("process-type-invalid", "A process type with a slash.", fails=True, buildpacks=(_buildpack('[[processes]]\ntype = "a/b"\ncommand = ["x"]\n'),)),
    Case("process-type-empty", "A process without a type.", fails=True, buildpacks=(_buildpack('[[processes]]\ncommand = ["x"]\n'),)),
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
