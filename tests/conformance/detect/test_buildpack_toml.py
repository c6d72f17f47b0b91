"""buildpack.toml, and where buildpacks and extensions lie.

Spec: buildpack.md "buildpack.toml (TOML)", platform.md "Buildpacks Directory Layout", distribution.md "Buildpack".
"""

from __future__ import annotations

import pytest

from lifecycle.cli.inputs.flags import ParsedFlags
from lifecycle.cli.inputs.settings import resolve
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import InvalidFileError
from lifecycle.files.modules import find_buildpack, find_extension, read_buildpack
from lifecycle.model.api import BUILDPACK_APIS, LATEST_PLATFORM_API, PlatformApi
from lifecycle.model.target import Distro, TargetData

EVERYTHING = """
api = "0.10"

[buildpack]
id = "some.org/java-8"
version = "1.2.3"
name = "Java"
homepage = "https://java.example"
clear-env = true
description = "brings Java"
keywords = ["java", "jvm"]
sbom-formats = ["application/spdx+json"]

[[buildpack.licenses]]
type = "MIT"
uri = "https://license.example"

[[targets]]
os = "linux"
arch = "arm64"
variant = "v8"

[[targets.distros]]
name = "ubuntu"
version = "24.04"

[metadata]
any = [{ thing = 1 }]
"""


@pytest.fixture
def described(tmp_path):
    """Read a buildpack.toml with this text."""

    def read(text):
        (tmp_path / "buildpack.toml").write_text(text)
        return read_buildpack(tmp_path).descriptor

    return read


@pytest.mark.requirement("BP-FILE-003", "BP-FILE-005")
def test_every_key_that_the_lifecycle_uses_is_read(described):
    found = described(EVERYTHING)
    assert found.api == "0.10"
    assert found.buildpack.model_dump() == {
        "id": "some.org/java-8",
        "version": "1.2.3",
        "name": "Java",
        "homepage": "https://java.example",
        "clear_env": True,
        "description": "brings Java",
        "sbom_formats": ("application/spdx+json",),
        "exec_env": (),
    }
    (target,) = found.targets
    assert (target.os, target.arch, target.arch_variant) == ("linux", "arm64", "v8")
    assert target.distros == (Distro(name="ubuntu", version="24.04"),)
    assert found.metadata == {"any": [{"thing": 1}]}


@pytest.mark.requirement("BP-FILE-003")
def test_a_composite_has_an_order_of_groups(described):
    order = (
        '[[order]]\n[[order.group]]\nid = "a"\nversion = "1"\noptional = true\n[[order]]\n[[order.group]]\nid = "b"\n'
    )
    found = described(f'api = "0.10"\n[buildpack]\nid = "x"\nversion = "1"\n{order}')
    assert [[(each.id, each.version, each.optional) for each in group.group] for group in found.order] == [
        [("a", "1", True)],
        [("b", "", False)],
    ]


@pytest.mark.requirement("BP-FILE-004")
@pytest.mark.parametrize("api", [str(api) for api in BUILDPACK_APIS if api.minor < 10])
def test_stacks_have_an_id_and_mixins_and_exclude_an_order(described, api):
    head = f'api = "{api}"\n[buildpack]\nid = "x"\nversion = "1"\n'
    stacks = '[[stacks]]\nid = "s"\nmixins = ["m", "build:n"]\n[[stacks]]\nid = "*"\n'
    found = described(head + stacks)
    assert [(each.id, each.mixins) for each in found.stacks] == [("s", ("m", "build:n")), ("*", ())]
    with pytest.raises(InvalidFileError, match=r"neither \[\[targets\]\] nor \[\[stacks\]\]"):
        described(head + stacks + '[[order]]\n[[order.group]]\nid = "a"\nversion = "1"\n')


@pytest.mark.requirement("BP-FILE-004")
@pytest.mark.parametrize(("stack", "chosen"), [("s", ["a"]), ("other", ["b"])])
def test_stacks_decide_which_buildpack_runs(builder, stack, chosen):
    builder.buildpack("a", api="0.9", toml="[[stacks]]\nid = 's'\n")
    builder.buildpack("b", api="0.9", toml="[[stacks]]\nid = '*'\n")
    assert builder.group("a", "b", stack_id=stack, api=PlatformApi.parse("0.11")) == chosen


@pytest.mark.requirement("BP-FILE-005")
@pytest.mark.parametrize(
    ("targets", "runs"),
    [
        ("[[targets]]\nos = 'linux'\narch = 'arm64'\nvariant = 'v8'\n", True),
        ("[[targets]]\nos = 'linux'\narch = 'arm64'\nvariant = 'v9'\n", False),
        ("[[targets]]\nos = 'windows'\n", False),
        ("[[targets]]\nos = 'windows'\n[[targets]]\narch = 'arm64'\n", True),
        ("[[targets]]\n[[targets.distros]]\nname = 'ubuntu'\nversion = '24.04'\n", True),
        ("[[targets]]\n[[targets.distros]]\nname = 'ubuntu'\nversion = '22.04'\n", False),
    ],
)
def test_targets_decide_which_buildpack_runs(builder, targets, runs):
    builder.buildpack("a", toml=targets)
    builder.buildpack("b")
    target = TargetData(os="linux", arch="arm64", arch_variant="v8", distro=Distro(name="ubuntu", version="24.04"))
    assert builder.group("a", "b", target=target) == (["a"] if runs else ["b"])


@pytest.mark.requirement("BP-FILE-006")
@pytest.mark.parametrize("written", ["[[buildpack.exec-env]]\nname = 'test'", "exec-env = ['test']"])
@pytest.mark.parametrize(("environment", "runs"), [("test", True), ("production", False)])
def test_a_buildpack_runs_in_the_execution_environments_that_it_names(builder, written, environment, runs):
    builder.buildpack("a", toml=written)
    builder.buildpack("b")
    assert builder.group("a? b", exec_env=environment) == (["a", "b"] if runs else ["b"])


@pytest.mark.requirement("BP-FILE-007")
@pytest.mark.parametrize("name", ["app", "config", "generated", "sbom"])
def test_names_of_the_lifecycles_own_directories_are_no_ids(described, name):
    with pytest.raises(InvalidFileError, match=f"the id '{name}' is reserved"):
        described(f'api = "0.7"\n[buildpack]\nid = "{name}"\nversion = "1"\n')


@pytest.mark.requirement("BP-FILE-007")
@pytest.mark.parametrize("name", ["a", "A.9-z", "org/team/name", "app.x", "config/x"])
def test_ids_have_letters_digits_dots_dashes_and_slashes(described, name):
    assert described(f'api = "0.7"\n[buildpack]\nid = "{name}"\nversion = "1"\n').buildpack.id == name


@pytest.mark.requirement("DIST-BP-001")
def test_a_directory_without_buildpack_toml_is_no_buildpack(builder):
    (builder.buildpack("a") / "buildpack.toml").unlink()
    with pytest.raises(InvalidFileError, match=r"a/1/buildpack\.toml: does not exist"):
        builder.detect("a")
    assert builder.called() == []


@pytest.mark.requirement("PLAT-DIR-001", "DIST-BP-002")
def test_a_buildpack_lies_in_a_directory_of_its_id_and_one_of_its_version(builder):
    old = builder.buildpack("some.org/java", version="1.0.0")
    new = builder.buildpack("some.org/java", version="1.0.1", toml="homepage = 'https://new'")
    assert (old.parent.name, new.parent.name) == ("some.org_java", "some.org_java")
    found = find_buildpack(builder.root / "buildpacks", "some.org/java", "1.0.1")
    assert (found.root, found.descriptor.buildpack.homepage) == (new, "https://new")
    assert builder.group("some.org/java@1.0.0") == ["some.org/java"]
    assert builder.called() == ["some.org/java@1.0.0"]
    with pytest.raises(InvalidFileError, match=r"java@2 is not there; it has 1\.0\.0, 1\.0\.1"):
        builder.detect("some.org/java@2")


@pytest.mark.requirement("PLAT-DIR-002")
def test_an_extension_lies_in_a_directory_of_its_id_and_one_of_its_version(builder):
    root = builder.extension("some.org/curl")
    assert root == builder.root / "extensions" / "some.org_curl" / "1"
    assert find_extension(builder.root / "extensions", "some.org/curl", "1").root == root
    with pytest.raises(InvalidFileError, match=r"curl@2 is not there; it has 1"):
        find_extension(builder.root / "extensions", "some.org/curl", "2")


@pytest.mark.requirement("DIST-BP-002")
@pytest.mark.parametrize("phase", [Phase.DETECTOR, Phase.BUILDER, Phase.CREATOR])
def test_without_another_input_buildpacks_are_where_buildpackages_unpack(phase):
    flags = ParsedFlags({}, ())
    assert str(resolve(phase, LATEST_PLATFORM_API, flags, {}).path("buildpacks")) == "/cnb/buildpacks"
