"""Inputs of the matrix that are about what earlier builds left: app images of any origin, layers out of a cache."""

import json
from typing import Any

from parity.case import Buildpack, Case, Tree, listed
from parity.images import RUN_LABELS, RunImage, base_config, digest, tar

API = ("0.15",)
APIS = ("0.7", "0.15")
OLD_LAYER = digest(tar("old-layer"))
KEEPING = Buildpack(
    out=listed({"launch.toml": ""}),
    script="""
mkdir "$1/seen"
cat "$1"/*.toml >"$1/seen/metadata"
if [ -f "$1/keep.toml" ]; then printf "[types]\\nlaunch = true\\n" >"$1/keep.toml"; fi
printf "[types]\\nlaunch = true\\n" >"$1/seen.toml"
""",
)
"""Keeps the layer ``keep`` where it is told of it, and has a layer that holds what it is told."""


def _app(label: str, **labels: str) -> RunImage:
    """Return an app image with the label that tells the next build of it."""
    config = base_config(Labels={**RUN_LABELS, "io.buildpacks.lifecycle.metadata": label, **labels})
    return RunImage(config=config, layers=(("etc-os",), ("usr-bin",), ("old-layer",)))


def _label(layers: object, **more: object) -> str:
    sha = {"sha": OLD_LAYER}
    return json.dumps(
        {
            "buildpacks": [{"key": "parity/one", "version": "0.9", "layers": layers, **more}],
            "app": [sha],
            "config": sha,
            "launcher": sha,
            "process-types": sha,
            "future": {"x": 1},
        }
    )


def _keep(**more: object) -> dict[str, Any]:
    return {"keep": {"sha": OLD_LAYER, "launch": True, **more}}


DATA = {
    "n": 1, "f": 1.5, "big": 123456789012345678901234567890, "zero": -0.0, "null": None, "": {"q": 1}, " k": "v",
    "mixed": [{"a": 1}, 2, [{"b": 1}]], "tables": [{"a": 1}, {"b": 2}], "u": "\u2028<&>\x7f",
}  # fmt: skip


def _previous(name: str, description: str, previous: RunImage, apis: tuple[str, ...] = API, **more: object) -> Case:
    return Case(
        f"previous-{name}", description, buildpacks=(KEEPING,), previous=previous, creator=False, apis=apis, **more
    )


def _restorable(tree: Tree) -> None:
    for name, types in (("cached", "cache = true"), ("both", "launch = true\ncache = true")):
        tree.file(f"{name}.toml", f"[types]\n{types}\n[metadata]\nv = 1\n")
        tree.file(f"{name}/ro", mode=0o400)
        tree.file(f"{name}/world", mode=0o666)
        tree.file(f"{name}/é" + "n" * 120)
        tree.directory(f"{name}/sticky", 0o3775)
        tree.directory(f"{name}/open", 0o777)
        tree.symlink(f"{name}/absolute", "/etc/passwd")
        tree.symlink(f"{name}/dangling", "nowhere")
        tree.symlink(f"{name}/loop", "loop")
        tree.symlink(f"{name}/to-dir", "sticky")
        tree.sparse(f"{name}/sparse", 1 << 20)


def _with_setuid(tree: Tree) -> None:
    tree.file("cached.toml", "[types]\ncache = true\n")
    tree.file("cached/tool", mode=0o4755)


LISTING = """
cd "$1"
mkdir seen
find cached both -printf '%p %m %U %G %y %l\\n' 2>/dev/null | sort >seen/files || true
for layer in cached both; do
  if [ -f $layer.toml ]; then printf '[types]\\nlaunch = true\\ncache = true\\n' >$layer.toml; fi
done
printf '[types]\\nlaunch = true\\n' >seen.toml
"""
"""Has a layer that tells what is there, and makes launch layers of what comes back out of the cache."""


def _once(out: object) -> dict[str, Any]:
    """Return a buildpack whose files are there in the first build only."""

    def put(tree: Tree) -> None:
        tree.directory("first")
        out(Tree(tree.root + b"/first"))

    script = 'if ls "$1"/*.toml >/dev/null 2>&1; then chmod -R u+w "$1/first"; rm -r "$1/first"; '
    script += 'else mv "$1"/first/* "$1"; rmdir "$1/first"; fi\n'
    return {"buildpacks": (Buildpack(out=put, script=script + LISTING),), "change": lambda tree: tree.file("new.txt")}


CASES = (
    _previous("without-label", "An app image that no lifecycle made.", RunImage()),
    _previous("label-malformed", "A label that is no JSON.", _app("{")),
    _previous("label-of-old", "A label from when an app was one layer.", _app(json.dumps({"app": {"sha": OLD_LAYER}, "buildpacks": []}))),
    _previous("label-nulls", "A label of nulls.", _app('{"buildpacks":null,"app":null,"config":null,"stack":null}')),
    _previous("layer", "A layer of another lifecycle is kept, with data of all kinds.", _app(_label(_keep(data=DATA))), APIS),
    _previous("layer-again", "A layer is kept over two builds.", _app(_label(_keep(data=DATA))), change=lambda tree: None),
    _previous("layer-without-data", "Layers without data, and with keys in other case.", _app(_label({**_keep(), "other": {"SHA": OLD_LAYER, "Launch": True, "DATA": {"x": 1}}}))),
    _previous("layer-types", "Layers whose types forbid that they are restored.", _app(_label({name: {"sha": OLD_LAYER, "data": {"x": 1}, **types} for name, types in {"no": {}, "cache": {"launch": True, "cache": True}, "build": {"launch": True, "build": True}}.items()}))),
    _previous("layer-gone", "A layer that the image does not have.", _app(_label({"keep": {"sha": digest(b""), "launch": True}})), fails=True),
    _previous("layer-names", "Names of layers that lead to other directories.", _app(_label({"../x": {"sha": OLD_LAYER, "launch": True, "data": {"x": 1}}, "a/b": {"sha": OLD_LAYER, "launch": True}}))),
    _previous("buildpack-twice", "A buildpack that is in the label twice.", _app(json.dumps({"buildpacks": [{"key": "parity/one", "version": "1", "layers": {}}, {"key": "parity/one", "version": "2", "layers": _keep()}]}))),
    _previous("store", "A store of another lifecycle.", _app(_label(_keep(), store={"metadata": {"n": 1, "l": [1, 2.5], "x": None}})), APIS),
    _previous("skipped", "The platform wants nothing restored.", _app(_label(_keep(), store={"metadata": {"n": 1}})), env={"CNB_SKIP_LAYERS": "true"}),
    Case("cache-contents", "Modes, links and long names come back out of the cache.", apis=APIS, creator=False, **_once(_restorable)),
    Case("cache-setuid", "A file that runs as its owner comes back out of the cache.", apis=API, creator=False, **_once(_with_setuid)),
)  # fmt: skip
