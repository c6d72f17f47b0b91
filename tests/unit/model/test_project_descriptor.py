"""project.toml in both its schemas."""

import pytest
from pydantic import ValidationError

from lifecycle.model.project_descriptor import ProjectDescriptor, unread_table


def _read(**data):
    return ProjectDescriptor.model_validate(data)


def test_schema_0_2_is_read_as_it_is():
    found = _read(
        _={"schema-version": "0.2", "id": "me/app", "name": "App", "licenses": [{"type": "MIT"}]},
        io={
            "buildpacks": {
                "builder": "b",
                "exclude": ["*.log"],
                "group": [{"id": "a", "version": "1"}],
                "pre": {"group": [{"uri": "../pre"}]},
                "post": {"group": [{"id": "p", "script": {"api": "0.10", "inline": "x"}}]},
                "build": {"env": [{"name": "A", "value": "b"}]},
            }
        },
        com={"example": {"anything": 1}},
    )
    buildpacks = found.buildpacks
    assert (found.project.schema_version, found.project.id) == ("0.2", "me/app")
    assert (buildpacks.builder, buildpacks.include, buildpacks.exclude) == ("b", None, ("*.log",))
    assert [each.id for each in buildpacks.group] == ["a"]
    assert buildpacks.pre.group[0].uri == "../pre"
    assert buildpacks.post.group[0].script.shell == "/bin/sh"
    assert [(each.name, each.value) for each in buildpacks.build.env] == [("A", "b")]


def test_schema_0_1_is_upgraded():
    found = _read(
        project={"id": "me/app", "name": "App", "version": "1", "authors": ["me"]},
        build={
            "include": ["src"],
            "builder": "b",
            "buildpacks": [{"id": "a", "version": "1"}, {"uri": "x"}],
            "env": [{"name": "A", "value": "b"}],
        },
        metadata={"x": 1},
    )
    assert (found.project.schema_version, found.project.id, found.project.version) == ("0.1", "me/app", "1")
    assert (found.buildpacks.builder, found.buildpacks.include) == ("b", ("src",))
    assert [each.id or each.uri for each in found.buildpacks.group] == ["a", "x"]
    assert found.buildpacks.build.env[0].name == "A"


def test_an_empty_file_says_nothing():
    assert _read().buildpacks.group == ()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"_": {"schema-version": "0.3"}}, "schema-version '0.3' is not one of 0.1, 0.2"),
        ({"_": {"schema-version": 0.2}}, "string"),
        ({"_": {}}, "schema-version"),
        ({"build": {"include": [], "exclude": []}}, "exclude each other"),
        (
            {"_": {"schema-version": "0.2"}, "io": {"buildpacks": {"include": ["a"], "exclude": ["b"]}}},
            "exclude each other",
        ),
        ({"build": "x"}, "build is not a table"),
        ({"project": "x"}, "project is not a table"),
        ({"build": {"buildpacks": [{"id": "a", "version": "1", "uri": "x"}]}}, "not more than one"),
        (
            {"build": {"buildpacks": [{"uri": "x", "script": {"api": "0.10", "inline": ""}}]}},
            "not more than one",
        ),
        ({"build": {"buildpacks": [{"version": "1"}]}}, "needs an id, a uri or a script"),
        ({"build": {"buildpacks": [{"id": "a", "script": {"api": "0.10"}}]}}, "inline"),
        ({"build": {"env": [{"name": "", "value": "b"}]}}, "name"),
        ({"build": {"env": [{"name": "A", "value": 1}]}}, "string"),
        ({"build": {"include": "src"}}, "include"),
    ],
    ids=str,
)
def test_what_the_schema_does_not_allow_is_refused(data, problem):
    with pytest.raises(ValidationError, match=problem):
        ProjectDescriptor.model_validate(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"io": {"buildpacks": {"exclude": ["secret"]}}}, "[io.buildpacks] is not read without [_]"),
        ({"_": {"schema-version": "0.2"}, "build": {"exclude": ["secret"]}}, "[build] is only read without [_]"),
    ],
)
def test_a_table_of_another_schema_is_told(data, problem):
    found = unread_table(data)
    assert found is not None
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"build": {"exclude": ["a"]}, "io": {"mine": {}}},
        {"_": {"schema-version": "0.2"}, "io": {"buildpacks": {}}, "build": {"mine": 1}},
        {"io": 1},
        {"_": 1, "build": 1},
    ],
)
def test_tables_of_the_schema_and_of_others_are_nothing_to_tell(data):
    assert unread_table(data) is None
