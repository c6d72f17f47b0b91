"""The versions and APIs that a distribution names in ``lifecycle.toml`` and in the labels of the lifecycle image.

Spec: platform.md "Lifecycle Descriptor"; distribution.md "Lifecycle".  Reference: lifecycle.toml, tools/image.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.model.api import ApiVersion

SBOM_FORMATS = ("application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json")

APIS_LABEL = "io.buildpacks.lifecycle.apis"
VERSION_LABEL = "io.buildpacks.lifecycle.version"
BUILDER_LABEL = "io.buildpacks.builder.metadata"


def descriptor_text(version: str) -> str:
    """Return ``lifecycle.toml``; no API is deprecated, and ``[api]`` is the oldest, for platforms that know no list."""
    return f"""\
[apis]
[apis.buildpack]
  deprecated = []
  supported = {_list(BUILDPACK_APIS)}
[apis.platform]
  deprecated = []
  supported = {_list(PLATFORM_APIS)}

[api]
  platform = "{PLATFORM_APIS[0]}"
  buildpack = "{BUILDPACK_APIS[0]}"

[lifecycle]
  version = "{version}"
  sbom-formats = {json.dumps(SBOM_FORMATS)}
"""


def image_labels(version: str) -> dict[str, str]:
    """Return the labels that platforms read of a lifecycle image, by name."""
    apis = {
        kind: {"deprecated": [], "supported": [str(each) for each in versions]}
        for kind, versions in (("buildpack", BUILDPACK_APIS), ("platform", PLATFORM_APIS))
    }
    builder = {
        "lifecycle": {"version": version},
        "api": {"buildpack": str(BUILDPACK_APIS[0]), "platform": str(PLATFORM_APIS[0])},
    }
    return {APIS_LABEL: _json(apis), BUILDER_LABEL: _json(builder), VERSION_LABEL: version}


def _list(versions: Sequence[ApiVersion]) -> str:
    return json.dumps([str(each) for each in versions])


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
