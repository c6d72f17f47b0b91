from pathlib import Path

import pytest

from lifecycle.buildpackages.lint import lint
from lifecycle.errors import InvalidFileError
from lifecycle.rules.descriptor_lint import Severity

BUILDPACKS = Path(__file__).parents[3] / "buildpacks"
GOOD = """api = "0.10"
[buildpack]
id = "me/one"
version = "1.0.0"
name = "A buildpack"
description = "Does a thing"
[[buildpack.licenses]]
type = "MIT"
[[targets]]
os = "linux"
"""


def rules(root):
    return {(each.severity.value, each.rule) for each in lint(root)}


def test_links_that_lead_out_are_told_for_pack_follows_none(buildpack, tmp_path):
    root = buildpack()
    (tmp_path / "library").mkdir()
    for name, goal in (("lib", "../library"), ("inside", "bin/build"), ("tests", "../library"), ("bin/x", "/bin/sh")):
        (root / name).symlink_to(goal)
    (root / ".git").mkdir()
    (root / ".git" / "link").symlink_to("../../library")
    assert [(each.severity.value, each.rule, each.path) for each in lint(root)] == [("advice", "package", "lib")]


def test_there_is_nothing_to_say_of_a_good_buildpack(buildpack):
    assert lint(buildpack()) == ()


@pytest.mark.parametrize(
    "root", sorted(each.parent for each in BUILDPACKS.glob("*/buildpack.toml")), ids=lambda path: path.name
)
def test_of_buildpacks_of_this_repository_it_says_only_what_they_share(root):
    links = (path for path in root.glob("lib/*") if path.is_symlink())
    shared = {str(link.relative_to(root)) for link in links if str(link.readlink()).startswith("../..")}
    assert {each.path for each in lint(root)} == shared
    assert {(each.severity, each.rule) for each in lint(root)} <= {(Severity.ADVICE, "package")}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('api = "0.10"', 'api = "0.10"\nmaintainer = "me"', ("warning", "unknown-key")),
        ("[[targets]]", '[[targets]]\narchitecture = "amd64"', ("warning", "unknown-key")),
        ('api = "0.10"', "", ("error", "api")),
        ('api = "0.10"', 'api = "ten"', ("error", "api")),
        ('api = "0.10"', 'api = "0.2"', ("error", "api")),
        ('"me/one"', '"me/o_ne"', ("error", "id")),
        ('"me/one"', '"app"', ("error", "descriptor")),
        ('"me/one"', '"one"', ("warning", "global-id")),
        ('"1.0.0"', '"1.0"', ("error", "version")),
        ('"1.0.0"', '"01.0.0"', ("error", "version")),
        ('name = "A buildpack"', "", ("advice", "name")),
        ('description = "Does a thing"', "", ("advice", "description")),
        ('[[buildpack.licenses]]\ntype = "MIT"', "", ("advice", "licenses")),
        ('[[targets]]\nos = "linux"', "", ("advice", "targets")),
        ("[[targets]]", '[[stacks]]\nid = "*"\n[[targets]]', ("warning", "stacks")),
        ('name = "A buildpack"', 'name = "A"\nsbom-formats = ["application/json"]', ("error", "sbom-formats")),
        ('name = "A buildpack"', 'name = "A"\nexec-env = ["test"]', ("warning", "exec-env")),
        ('api = "0.10"', "api = 0.10", ("error", "descriptor")),
        ('api = "0.10"', "api =", ("error", "descriptor")),
    ],
)
def test_a_descriptor_s_faults_are_found(buildpack, old, new, expected):
    assert old in GOOD
    assert expected in rules(buildpack(toml=GOOD.replace(old, new, 1)))


def test_a_misspelt_key_is_told_with_the_right_one(buildpack):
    (found,) = lint(buildpack(toml=GOOD.replace('description = "', 'descripton = "', 1)))[:1]
    assert "did you mean buildpack.description?" in str(found)


def _no_bit(root):
    (root / "bin" / "build").chmod(0o644)


def _no_file(root):
    (root / "bin" / "detect").unlink()


def _text(text):
    return lambda root: (root / "bin" / "build").write_bytes(text)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_no_bit, ("error", "executable")),
        (_no_file, ("error", "executable")),
        (_text(b"echo\n"), ("error", "shebang")),
        (_text(b"#!/bin/sh\r\necho\r\n"), ("error", "shebang")),
        (_text(b"#!python3\nprint()\n"), ("error", "shebang")),
        (_text(b"#!/bin/sh"), ("warning", "shebang")),
        (lambda root: (root / "link").symlink_to("../nowhere"), ("error", "package")),
        (lambda root: (root / ".venv").mkdir(), ("warning", "package")),
    ],
)
def test_faults_of_files_are_found(buildpack, spoil, expected):
    root = buildpack()
    spoil(root)
    assert rules(root) == {expected}


def test_a_program_needs_no_first_line(buildpack):
    root = buildpack()
    (root / "bin" / "build").write_bytes(Path("/proc/self/exe").read_bytes()[:1000])
    assert lint(root) == ()


def test_a_composite_buildpack_runs_nothing_and_names_versions(buildpack, composite):
    root = composite("me/all", "me/one")
    (root / "bin").mkdir()
    found = {each.rule: each.severity for each in lint(root)}
    assert found["order-version"] is Severity.ERROR
    assert found["composite"] is Severity.WARNING


def test_an_extension_generates_with_a_program_or_a_directory(tmp_path):
    toml = (
        'api = "0.10"\n[extension]\nid = "me/tree"\nversion = "1.0.0"\nname = "Tree"\ndescription = "tree"\n'
        '[[extension.licenses]]\ntype = "MIT"\n'
    )
    (tmp_path / "extension.toml").write_text(toml)
    assert rules(tmp_path) == {("advice", "executable"), ("error", "executable")}
    (tmp_path / "generate").mkdir()
    assert rules(tmp_path) == {("advice", "executable")}
    (tmp_path / "detect").mkdir()
    assert lint(tmp_path) == ()


def test_the_worst_comes_first(buildpack):
    root = buildpack(toml=GOOD.replace('name = "A buildpack"', "").replace('"1.0.0"', '"1"'))
    severities = [each.severity for each in lint(root)]
    assert severities == sorted(severities, key=list(Severity).index)
    assert len(severities) == 2


def test_a_directory_of_no_module_is_refused(tmp_path):
    with pytest.raises(InvalidFileError, match="neither buildpack"):
        lint(tmp_path)
