"""What is installed, and its bill of materials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cnb_buildpack as bp

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, order=True)
class Package:
    """An installed distribution; ``licence`` is an SPDX expression or, in older metadata, any text."""

    name: str
    version: str
    licence: str = ""
    licence_is_expression: bool = False


def installed(site_dir: Path) -> list[Package]:
    """Return the distributions in a directory, sorted by normalised name."""
    packages = set()
    for distribution in metadata.distributions(path=[str(site_dir)]):
        fields: Any = distribution.metadata
        expression = fields["License-Expression"]
        text = expression or fields["License"] or ""
        packages.add(
            Package(
                name=re.sub(r"[-_.]+", "-", fields["Name"]).lower(),
                version=fields["Version"],
                # Some packages put the whole text of their licence here; a name has one line.
                licence=text if "\n" not in text and text != "UNKNOWN" else "",
                licence_is_expression=bool(expression),
            )
        )
    return sorted(packages)


def cyclonedx(packages: list[Package]) -> dict[str, Any]:
    """Return the document."""
    return bp.cyclonedx(map(_component, packages))


def _component(package: Package) -> dict[str, Any]:
    purl = f"pkg:pypi/{quote(package.name, safe='')}@{quote(package.version, safe='')}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
    if package.licence_is_expression:
        component["licenses"] = [{"expression": package.licence}]
    elif package.licence:
        component["licenses"] = [{"license": {"name": package.licence}}]
    return component
