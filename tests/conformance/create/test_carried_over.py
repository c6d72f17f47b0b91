"""What buildpacks write down for the next build.  Spec: buildpack.md "store.toml", "Layer Content Metadata"."""

import tomllib

import pytest

METADATA = r"""
text = "quotes \" and <html> & 'more' \u00e9 \U0001f600"
empty = ""
lines = '''
a
	b'''
truth = true
half = 0.5
number = 42
list = ["a", "b", []]
mixed = ["a", true, { k = "v" }]
when = 1979-05-27T07:32:00Z
"key with . and space" = "x"
[metadata.table]
deep = { deeper = { deepest = "x" } }
[[metadata.rows]]
a = "1"
[[metadata.rows]]
b = "2"
"""
CARRIED = tomllib.loads(METADATA.replace("[metadata.", "[").replace("[[metadata.", "[[")) | {
    # The label of an image is JSON, which has floats and no times.
    "number": 42.0,
    "when": "1979-05-27T07:32:00Z",
}
BUILD = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p "$PWD/../seen"
cp *.toml ../seen 2>/dev/null || true
mkdir -p run kept
{ echo "[metadata]"; cat "$CNB_BUILDPACK_DIR/metadata"; } > store.toml
for types in "run launch" "kept cache"; do
    set -- $types
    { printf '[types]\n%s = true\n[metadata]\n' "$2"; cat "$CNB_BUILDPACK_DIR/metadata"; } > "$1.toml"
done
"""


@pytest.mark.requirement("BP-FILE-001", "BP-FILE-002", "BP-LAYER-010")
@pytest.mark.parametrize("api", ["0.7", "0.11", "0.15"])
@pytest.mark.parametrize("by_creator", [False, True], ids=["five", "creator"])
def test_metadata_of_store_and_layers_comes_back_as_json_can_carry_it(builds, api, by_creator):
    builds.place.buildpack(build=BUILD)
    builds.place.write("buildpacks/a_b/1/metadata", METADATA)
    for _ in range(2):
        builds.start_again()
        _ = builds.create(api=api) if by_creator else builds.five(api=api)
    seen = {path.stem: tomllib.loads(path.read_text()) for path in (builds.place.layers / "seen").iterdir()}
    assert seen == {name: {"metadata": CARRIED} for name in ("store", "run", "kept")}
    assert all(isinstance(each["metadata"]["number"], float) for each in seen.values())
