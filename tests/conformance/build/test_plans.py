"""Which part of the plan each buildpack gets, and what is left of it."""

from __future__ import annotations

import tomllib

import pytest

from lifecycle.errors import BuildError

KEEP = 'cp "$3" "$L/plan"'


def plans(builder, *names: str) -> list[list[str]]:
    """Return the names of the entries that the buildpacks got."""
    texts = [(builder.layers_dir / name.replace("/", "_") / "plan").read_text() for name in names]
    return [[entry["name"] for entry in tomllib.loads(text).get("entries", [])] for text in texts]


@pytest.mark.requirement("BP-BLD-017", "BP-BLD-011")
def test_a_buildpack_gets_what_it_provides_with_metadata(builder):
    builder.buildpack("a/b", KEEP)
    builder.build(
        entries=[
            (["a/b", "c/d"], [{"name": "x", "metadata": {"version": "1"}}, {"name": "x", "version": "2"}]),
            (["c/d"], [{"name": "y"}]),
        ]
    )
    assert (builder.layers_dir / "a_b" / "plan").read_text() == (
        '[[entries]]\n  name = "x"\n  [entries.metadata]\n    version = "1"\n\n'
        '[[entries]]\n  name = "x"\n  version = "2"\n'
    )


def test_a_buildpack_that_provides_nothing_gets_an_empty_plan(builder):
    builder.buildpack("a/b", KEEP)
    built = builder.build(entries=[(["c/d"], [{"name": "x"}])])
    assert (builder.layers_dir / "a_b" / "plan").read_bytes() == b""
    assert len(built.plan.entries) == 1


@pytest.mark.requirement("BP-BLD-013", "BP-BLD-015")
def test_what_one_buildpack_met_no_later_one_gets(builder):
    builder.buildpack("a/1", KEEP)
    builder.buildpack("b/2", KEEP)
    built = builder.build(
        entries=[(["a/1", "b/2"], [{"name": "x"}]), (["b/2"], [{"name": "x"}]), (["b/2"], [{"name": "y"}])]
    )
    assert plans(builder, "a/1", "b/2") == [["x"], ["y"]]
    assert built.plan.entries == ()


@pytest.mark.requirement("BP-BLD-014", "BP-BLD-016", "BP-BLD-008")
def test_what_one_buildpack_leaves_unmet_the_next_provider_gets(builder):
    builder.buildpack("a/1", KEEP + '; printf "[[unmet]]\nname = \\"x\\"\n" > "$L/build.toml"')
    builder.buildpack("b/2", KEEP)
    builder.buildpack("c/3", KEEP)
    everyone = ["a/1", "b/2", "c/3"]
    builder.build(entries=[(everyone, [{"name": "x"}, {"name": "x"}]), (everyone, [{"name": "y"}])])
    assert plans(builder, *everyone) == [["x", "x", "y"], ["x", "x"], []]


def test_what_nobody_met_is_left(builder):
    builder.buildpack("a/1", 'printf "[[unmet]]\nname = \\"x\\"\n" > "$L/build.toml"')
    built = builder.build(entries=[(["a/1"], [{"name": "x"}]), (["a/1"], [{"name": "y"}])])
    assert [entry.requires[0].name for entry in built.plan.entries] == ["x"]


@pytest.mark.requirement("BP-BLD-016")
@pytest.mark.parametrize(
    ("row", "problem"),
    [('name = \\"z\\"', "unmet.name 'z' must match a requested dependency"), ("", "unmet.name is required")],
)
def test_unmet_rows_name_what_was_given(builder, row, problem):
    builder.buildpack("a/1", f'printf "[[unmet]]\n{row}\n" > "$L/build.toml"')
    with pytest.raises(BuildError, match=f"build.toml: {problem}"):
        builder.build(entries=[(["a/1"], [{"name": "x"}])])


@pytest.mark.requirement("BP-BLD-007")
def test_what_a_buildpack_writes_to_its_plan_changes_nothing(builder):
    builder.buildpack("a/1", ': > "$3"')
    builder.buildpack("b/2", KEEP)
    built = builder.build(entries=[(["a/1"], [{"name": "x"}]), (["b/2"], [{"name": "y"}])])
    assert plans(builder, "b/2") == [["y"]]
    assert built.plan.entries == ()
