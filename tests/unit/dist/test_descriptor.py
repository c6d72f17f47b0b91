"""What platforms read of a distribution before they start it."""

import json
import tomllib

import pytest

from lifecycle.dist.descriptor import descriptor_text, image_labels
from lifecycle.dist.sbom import Component, sbom_files
from lifecycle.dist.target import Target, parse_targets
from lifecycle.errors import InvalidInputError
from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS


def test_the_descriptor_lists_every_api_oldest_first_and_none_as_deprecated():
    descriptor = tomllib.loads(descriptor_text("1.2.3"))
    assert descriptor["apis"] == {
        "buildpack": {"deprecated": [], "supported": [str(each) for each in BUILDPACK_APIS]},
        "platform": {"deprecated": [], "supported": [str(each) for each in PLATFORM_APIS]},
    }
    assert descriptor["api"] == {"platform": str(PLATFORM_APIS[0]), "buildpack": str(BUILDPACK_APIS[0])}
    assert descriptor["lifecycle"]["version"] == "1.2.3"


def test_the_labels_of_the_image_agree_with_the_descriptor():
    descriptor, labels = tomllib.loads(descriptor_text("1.2.3")), image_labels("1.2.3")
    assert json.loads(labels["io.buildpacks.lifecycle.apis"]) == descriptor["apis"]
    builder = json.loads(labels["io.buildpacks.builder.metadata"])
    assert builder == {"lifecycle": {"version": "1.2.3"}, "api": descriptor["api"]}
    assert labels["io.buildpacks.lifecycle.version"] == "1.2.3"


def test_targets_are_read_once_each_in_the_order_given():
    assert parse_targets("linux/arm64, linux/amd64,linux/arm64") == (Target.LINUX_ARM64, Target.LINUX_AMD64)


@pytest.mark.parametrize("text", ["", ",", "windows/amd64", "linux/amd64,linux/s390x"])
def test_other_targets_are_refused_with_those_there_are(text):
    with pytest.raises(InvalidInputError, match="linux/amd64 or linux/arm64"):
        parse_targets(text)


def test_boms_of_all_three_formats_name_every_component_whatever_its_order():
    components = [Component("zlib1g", "1:1.2", "deb"), Component("requests", "2.0", "pypi")]
    files = sbom_files("lifecycle", "1.2.3", components)
    assert sorted(files) == [f"lifecycle.sbom.{kind}.json" for kind in ("cdx", "spdx", "syft")]
    assert files == sbom_files("lifecycle", "1.2.3", components[::-1])
    cdx, spdx, syft = (json.loads(files[name]) for name in sorted(files))
    urls = ["pkg:pypi/requests@2.0", "pkg:deb/debian/zlib1g@1%3A1.2"]
    assert [each["purl"] for each in cdx["components"]] == urls
    assert [each["purl"] for each in syft["artifacts"]] == urls
    references = [package["externalRefs"] for package in spdx["packages"] if "externalRefs" in package]
    assert [each[0]["referenceLocator"] for each in references] == urls
