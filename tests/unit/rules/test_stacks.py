"""Stacks are compared only where targets are not."""

from __future__ import annotations

import pytest

from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS, BuildpackApi, PlatformApi
from lifecycle.model.descriptor import StackEntry
from lifecycle.rules.stacks import supports_stack

JAMMY = (StackEntry(id="jammy"),)
OLD = {"platform_api": PlatformApi.parse("0.11"), "buildpack_api": BuildpackApi.parse("0.9", module="m")}


@pytest.mark.requirement("BP-STACK-001")
@pytest.mark.parametrize(
    ("stacks", "stack_id", "supported"),
    [
        (JAMMY, "jammy", True),
        (JAMMY, "bionic", False),
        ((*JAMMY, StackEntry(id="*")), "bionic", True),
        (JAMMY, "", True),
        ((), "bionic", True),
    ],
)
def test_a_buildpack_lists_the_stack_of_the_build_environment(stacks, stack_id, supported):
    assert supports_stack(stacks, stack_id, **OLD) is supported


@pytest.mark.parametrize("platform_api", PLATFORM_APIS, ids=str)
@pytest.mark.parametrize("buildpack_api", BUILDPACK_APIS, ids=str)
def test_stacks_matter_only_before_targets_on_both_sides(platform_api, buildpack_api):
    supported = supports_stack(
        JAMMY, "bionic", platform_api=PlatformApi(platform_api), buildpack_api=BuildpackApi(buildpack_api)
    )
    assert supported is (platform_api.minor >= 12 or buildpack_api.minor >= 10)
