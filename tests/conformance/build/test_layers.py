"""What becomes of the layers of a buildpack."""

from __future__ import annotations

from itertools import product

import pytest


@pytest.mark.requirement("BP-LAYER-001", "BP-LAYER-022")
@pytest.mark.parametrize("flags", list(product([False, True], repeat=3)), ids=str)
def test_a_layer_is_set_aside_exactly_if_nobody_needs_it(builder, flags):
    types = dict(zip(("launch", "build", "cache"), flags, strict=True))
    builder.buildpack("a/b", f"layer x '{' '.join(name for name, flag in types.items() if flag)}'; file \"$L/x/f\" 1")
    built = builder.build()
    (layer,) = built.buildpacks[0].layers
    assert layer.types.model_dump() == types
    kept = "x" if any(flags) else "x.ignore"
    assert set(builder.tree("a_b")) == {f"{kept}/f", "x.toml"}


@pytest.mark.requirement("BP-LAYER-001", "BP-LAYER-022")
@pytest.mark.parametrize("text", ["", "[metadata]\nlaunch = true\n", "[types]\n"], ids=["empty", "metadata", "types"])
def test_missing_types_mean_false_also_for_restored_layers(builder, text):
    own = builder.layers_dir / "a_b"
    (own / "restored").mkdir(parents=True)
    (own / "restored" / "f").touch()
    (own / "restored.toml").write_text(text)
    builder.buildpack("a/b")
    builder.build()
    assert builder.tree("a_b") == ["restored.ignore/f", "restored.toml"]


def test_a_layer_without_directory_is_no_problem(builder):
    builder.buildpack("a/b", 'layer x; rmdir "$L/x"; layer y build; rmdir "$L/y"')
    builder.build()
    assert builder.tree("a_b") == ["x.toml", "y.toml"]


@pytest.mark.requirement("BP-LAYER-002", "BP-BLD-008")
def test_files_of_the_buildpack_itself_are_no_layers(builder):
    builder.buildpack(
        "a/b",
        """for name in launch build store; do mkdir "$L/$name"; touch "$L/$name/f"; done
        printf '[types]\nlaunch = true\n' > "$L/launch.toml"
        printf 'build = true\n' > "$L/build.toml"
        printf '[metadata]\nkey = "value"\n' > "$L/store.toml"
        """,
    )
    built = builder.build()
    assert built.buildpacks[0].layers == ()
    assert "store/f" in builder.tree("a_b")
    assert "launch/f" in builder.tree("a_b")


def test_a_directory_that_looks_like_a_file_of_metadata_is_none(builder):
    builder.buildpack("a/b", 'mkdir "$L/x.toml"')
    assert builder.build().buildpacks[0].layers == ()
