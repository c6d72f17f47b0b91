"""Buildpacks are for some base images: targets, and stacks before them."""

from __future__ import annotations

import pytest

from lifecycle.errors import BuildpackDetectError
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.target import TargetData

APIS = [PlatformApi(version) for version in PLATFORM_APIS]
ARM = "[[targets]]\nos = 'linux'\narch = 'arm64'\n"
AMD = TargetData(os="linux", arch="amd64")


@pytest.mark.requirement("BP-TGT-001")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_a_buildpack_for_another_target_fails_its_group(builder, api):
    builder.buildpack("a", toml=ARM)
    builder.buildpack("b")
    compared = api.version.minor >= 12
    assert builder.group("a b", "b", target=AMD, api=api) == (["b"] if compared else ["a", "b"])
    assert ("a@1" in builder.called()) is not compared
    if compared:
        with pytest.raises(BuildpackDetectError) as caught:
            builder.detect("a", target=AMD, api=api)
        assert caught.value.attempts[0].elements[0].error == (
            "unable to satisfy target os/arch constraints; run image: "
            '{"os":"linux","arch":"amd64"}, buildpack: [{"os":"linux","arch":"arm64"}]'
        )


@pytest.mark.requirement("BP-TGT-001")
def test_an_optional_buildpack_for_another_target_may_take_part_where_another_group_is_refused(builder):
    builder.buildpack("a", toml=ARM)
    builder.buildpack("b")
    assert builder.group("a b", "a? b", target=AMD) == ["a", "b"]
    assert sorted(builder.called()) == ["a@1", "b@1"]


@pytest.mark.requirement("BP-TGT-001", "BP-TGT-004")
def test_an_inferred_target_counts_too(builder):
    builder.buildpack("a")
    with pytest.raises(BuildpackDetectError):
        builder.detect("a", target=TargetData(os="windows", arch="amd64"))


def test_without_target_data_nothing_is_compared(builder):
    builder.buildpack("a", toml=ARM)
    assert builder.group("a") == ["a"]


@pytest.mark.requirement("BP-STACK-001")
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize("buildpack_api", ["0.7", "0.8", "0.9"])
def test_a_buildpack_for_another_stack_fails_its_group_before_targets(builder, api, buildpack_api):
    builder.buildpack("a", api=buildpack_api, toml="[[stacks]]\nid = 'jammy'\n")
    builder.buildpack("b", api=buildpack_api, toml="[[stacks]]\nid = '*'\n")
    compared = api.version.minor < 12
    assert builder.group("a", "b", stack_id="noble", api=api) == (["b"] if compared else ["a"])
    assert builder.group("a", "b", stack_id="jammy", api=api) == ["a"]
