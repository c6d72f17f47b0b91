"""Image extensions in detection."""

from __future__ import annotations

import pytest

from lifecycle.errors import BuildpackApiError, InvalidFileError
from lifecycle.files.modules import read_extension
from lifecycle.model.api import BUILDPACK_APIS
from lifecycle.model.target import TargetData

EXTENSION_APIS = [str(api) for api in BUILDPACK_APIS if api.minor >= 9]
PROVIDES = "printf '[[provides]]\\nname = \"d\"\\n' > $2"
REQUIRES = "printf '[[requires]]\\nname = \"d\"\\n' > $2"


def extensions(builder, *groups, buildpacks="a", **given):
    return [element.id for element in builder.detect(buildpacks, extensions=groups, **given).group.group_extensions]


@pytest.mark.requirement("BP-DET-011", "BP-ORDER-004")
@pytest.mark.parametrize("script", ["exit 100", "exit 1", PROVIDES])
def test_extensions_are_optional(builder, script):
    builder.extension("x", script)
    builder.extension("y", "")
    builder.buildpack("a")
    assert extensions(builder, "x y") == ["y"]


@pytest.mark.requirement("EXT-DET-002", "EXT-DET-005")
@pytest.mark.parametrize("api", EXTENSION_APIS)
def test_bin_detect_of_an_extension_has_the_interface_of_a_buildpack(builder, api):
    dump = builder.root / "dump"
    script = f'echo "$CNB_EXTENSION_DIR|$CNB_BUILDPACK_DIR|$CNB_PLATFORM_DIR|$1|$(pwd)" > {dump}'
    root = builder.extension("x", script, api=api)
    builder.buildpack("a")
    assert extensions(builder, "x") == ["x"]
    platform = builder.root / "platform"
    assert dump.read_text().strip() == f"{root}||{platform}|{platform}|{builder.app_dir}"


@pytest.mark.requirement("EXT-DET-003", "EXT-DET-004")
@pytest.mark.parametrize("api", EXTENSION_APIS)
def test_an_extension_without_bin_detect_passes_with_its_prepared_plan(builder, api):
    builder.extension("plain", api=api)
    root = builder.extension("prepared", api=api)
    (root / "detect").mkdir()
    (root / "detect" / "plan.toml").write_text('[[provides]]\nname = "d"\n')
    builder.buildpack("a", REQUIRES)
    detected = builder.detect("a", extensions=("plain prepared",))
    assert [element.id for element in detected.group.group_extensions] == ["plain", "prepared"]
    assert [each.id for each in detected.plan.entries[0].providers] == ["prepared"]


@pytest.mark.requirement("EXT-DET-006")
@pytest.mark.parametrize("plan", [REQUIRES, "printf '[[or]]\\nrequires = [{name = \"d\"}]\\n' > $2"])
def test_an_extension_may_not_require_anything(builder, plan):
    builder.extension("x", plan)
    builder.buildpack("a")
    detected = builder.detect("a", extensions=("x",))
    assert detected.group.group_extensions == ()
    assert detected.attempts[0].elements[0].error == 'extension x outputs "requires" which is not allowed'


@pytest.mark.requirement("EXT-DET-001")
def test_extensions_follow_the_rules_of_apis_and_environment(builder):
    env_dir = builder.root / "platform" / "env"
    env_dir.mkdir(parents=True)
    (env_dir / "COLOUR").write_text("blue")
    builder.extension("x", f'echo "$COLOUR" > {builder.root}/colour')
    builder.extension("old", api="0.6")
    builder.buildpack("a")
    assert extensions(builder, "x") == ["x"]
    assert (builder.root / "colour").read_text() == "blue\n"
    with pytest.raises(BuildpackApiError):
        extensions(builder, "old")


def test_an_extension_may_have_the_id_of_a_buildpack(builder):
    builder.extension("a", PROVIDES)
    builder.buildpack("a", REQUIRES)
    detected = builder.detect("a", extensions=("a",))
    assert [str(element) for element in detected.group.group] == ["a@1"]
    assert [str(element) for element in detected.group.group_extensions] == ["a@1"]


@pytest.mark.requirement("BP-ORDER-005")
def test_an_entry_is_looked_up_only_among_its_own_kind(builder):
    builder.buildpack("a")
    builder.composite("o", "a")
    builder.extension("x")
    with pytest.raises(InvalidFileError, match="extension o@1 is not there"):
        builder.detect("a", extensions=("o",))
    with pytest.raises(InvalidFileError, match="buildpack x@1 is not there"):
        builder.detect("x")


@pytest.mark.requirement("EXT-FILE-001", "EXT-FILE-002")
def test_extension_toml_is_read_and_its_targets_bar_what_is_optional_from_no_base_image(builder):
    toml = (
        "name = 'X'\nhomepage = 'https://x'\ndescription = 'd'\nkeywords = ['k']\n[[extension.licenses]]\n"
        "type = 'MIT'\n[[targets]]\nos = 'linux'\narch = 's390x'\n[[targets.distros]]\nname = 'u'\nversion = '1'\n"
        "[metadata]\nkey = 1\n"
    )
    root = builder.extension("x", toml=toml)
    builder.buildpack("a")
    descriptor = read_extension(root).descriptor
    assert (descriptor.extension.name, descriptor.extension.homepage) == ("X", "https://x")
    assert descriptor.metadata == {"key": 1}
    assert descriptor.targets[0].distros[0].name == "u"
    assert extensions(builder, "x", target=TargetData(os="linux", arch="amd64")) == ["x"]
