"""Random app trees and outputs of buildpacks give the same image with both lifecycles.

Without the reference, two builds by ours in different directories have to.
"""

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.building import Place, build
from parity.case import Buildpack, Case
from parity.comparison import builds_differ
from parity.runner import OURS, reference, remove

NAME = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).map(str.encode),
    st.binary(min_size=1, max_size=120).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")),
    st.sampled_from([b"a", b"a-b", b"a.b", b"b", b"n" * 100, b"n" * 156]),
).filter(lambda name: name not in {b".", b".."} and len(name) <= 200)
MODE = st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1644, 0o444])
ENTRY = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=600), MODE),
    st.tuples(st.just("link"), NAME),
    st.tuples(st.just("fifo")),
    st.tuples(st.just("empty")),
)
TREE = st.recursive(ENTRY, lambda inner: st.dictionaries(NAME, inner, max_size=4), max_leaves=12)
ROOT = st.dictionaries(NAME, TREE, max_size=6)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
KEY = TEXT.filter(bool)
"""The reference's TOML library loses elements of arrays below an empty key that hold tables (ADR 0010)."""
WORD = TEXT.filter(lambda text: "\x7f" not in text)
"""The reference can't read the metadata.toml that it writes for a command with this character (ADR 0010)."""
VALUE = st.recursive(
    st.one_of(TEXT, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEY, inner, max_size=3)),
    max_leaves=8,
)
TYPE = st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True).filter(lambda text: text not in {".", ".."})
"""The reference makes a link in the place of a directory of the types "." and ".." (ADR 0010)."""
PROCESS = st.fixed_dictionaries(
    {"type": TYPE, "command": st.lists(WORD, min_size=1, max_size=3)},
    optional={"args": st.lists(TEXT, max_size=3), "default": st.booleans(), "working-dir": TEXT},
)
PATTERN = st.text("ab*?./[]-n\\", max_size=5)


def fill(tree, contents, at=b""):
    for name, entry in contents.items():
        path = at + name
        match entry:
            case dict():
                tree.directory(path)
                fill(tree, entry, path + b"/")
            case ("file", content, mode):
                tree.file(path, content, mode)
            case ("link", target):
                tree.symlink(path, target)
            case ("fifo",):
                tree.fifo(path)
            case _:
                tree.directory(path)


def toml(value):
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items()) + "}"
        case float():
            text = repr(value)
            return text if "." in text or "e" in text else text + ".0"
        case _:
            return str(value)


def launch(processes, labels, slices):
    unique = {each["type"]: each for each in processes}
    only = next((each["type"] for each in unique.values() if each.get("default")), "")
    lines = []
    for each in unique.values():
        lines += ["[[processes]]", *(f"{key} = {toml(value)}" for key, value in each.items() if key != "default")]
        lines += ["default = true"] * (each["type"] == only)
    for key, value in labels.items():
        lines += ["[[labels]]", f"key = {toml(key)}", f"value = {toml(value)}"]
    for each in slices:
        lines += ["[[slices]]", f"paths = {toml(each)}"]
    return "\n".join([*lines, ""])


@settings(
    max_examples=int(os.environ.get("PARITY_EXAMPLES", "40" if reference() else "8")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    app=ROOT,
    layer=ROOT,
    metadata=st.dictionaries(KEY, VALUE, max_size=4),
    processes=st.lists(PROCESS, max_size=3),
    labels=st.dictionaries(TEXT, TEXT, max_size=2),
    slices=st.lists(st.lists(PATTERN, max_size=3), max_size=2),
    api=st.sampled_from(["0.12", "0.15"]),
)
def test_random_builds_have_the_same_image(app, layer, metadata, processes, labels, slices, api):
    def out(tree):
        tree.file("launch.toml", launch(processes, labels, slices))
        lines = [
            "[types]",
            "launch = true",
            "[metadata]",
            *(f"{toml(key)} = {toml(each)}" for key, each in metadata.items()),
        ]
        tree.file("layer.toml", "\n".join([*lines, ""]))
        tree.directory("layer")
        fill(tree, layer, b"layer/")

    case = Case("random", "Made by hypothesis.", app=lambda tree: fill(tree, app), buildpacks=(Buildpack(out=out),))
    builds = []
    for lifecycle in (reference() or OURS, OURS):
        root = Path(tempfile.mkdtemp(prefix="parity"))
        root.chmod(0o755)
        try:
            builds.append(build(case, api, Place.LAYOUT, root, lifecycle))
        finally:
            remove(root)
    assert builds_differ(*builds) == []
