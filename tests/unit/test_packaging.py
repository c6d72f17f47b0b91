"""What the distributions of this project have in them."""

from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
SOURCES = {".py", ".c", ".h", ".typed"}


def _sources(directory, *, named=""):
    found = (path for path in (ROOT / directory).rglob("*") if path.suffix in SOURCES)
    return {f"{named or directory}/{path.relative_to(ROOT / directory)}" for path in found}


@pytest.mark.parametrize(
    ("builder", "sdk", "beside"),
    [
        (
            SdistBuilder,
            "buildpacks/sdk",
            {"buildpacks/sdk/pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", "pyproject.toml"},
        ),
        (WheelBuilder, "lifecycle/buildpackages/sdk", set()),
    ],
)
def test_a_distribution_has_the_package_and_the_sdk_and_nothing_else(builder, sdk, beside):
    names = {each.distribution_path for each in builder(str(ROOT)).recurse_included_files()}
    launchers = {name for name in names if name.startswith("lifecycle/launcher/bin/")}
    expected = _sources("lifecycle") | _sources("buildpacks/sdk", named=sdk)
    assert names - launchers - beside == expected
