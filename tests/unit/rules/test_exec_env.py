"""Execution environments select what takes part."""

from __future__ import annotations

import pytest

from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS, BuildpackApi, PlatformApi
from lifecycle.rules.exec_env import is_for, takes_part


@pytest.mark.parametrize(
    ("listed", "fits"),
    [([], True), (["*"], True), (["test"], True), (["production"], False), (["production", "*"], True)],
)
def test_a_list_names_environments_and_no_list_names_all(listed, fits):
    assert is_for(listed, "test") is fits


@pytest.mark.parametrize("platform_api", PLATFORM_APIS, ids=str)
@pytest.mark.parametrize("buildpack_api", BUILDPACK_APIS, ids=str)
def test_a_list_counts_from_platform_api_0_15_and_buildpack_api_0_12(platform_api, buildpack_api):
    platform = PlatformApi(platform_api)
    honoured = not takes_part(["production"], "test", platform_api=platform, buildpack_api=BuildpackApi(buildpack_api))
    assert honoured is (platform_api.minor >= 15 and buildpack_api.minor >= 12)
    of_platform = not takes_part(["production"], "test", platform_api=platform, buildpack_api=None)
    assert of_platform is (platform_api.minor >= 15)
