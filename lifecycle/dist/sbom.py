"""What a distribution consists of, in the three formats that builds take over for the lifecycle and the launcher.

Spec: platform.md "Exporter", build and launch SBOM; CycloneDX 1.5, SPDX 2.3, Syft's JSON schema 16.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_TIME = "1980-01-01T00:00:01Z"
"""Documents are the same for the same contents, whenever they are made."""


@dataclass(frozen=True, order=True, slots=True)
class Component:
    """A package that is contained; ``kind`` as in package URLs: ``pypi``, ``deb``, ``generic``."""

    name: str
    version: str
    kind: str

    @property
    def package_url(self) -> str:
        """The package URL."""
        kind = "deb/debian" if self.kind == "deb" else self.kind
        return f"pkg:{kind}/{quote(self.name)}@{quote(self.version)}"


def sbom_files(subject: str, version: str, components: Sequence[Component]) -> dict[str, bytes]:
    """Return ``<subject>.sbom.<format>.json`` by name for a program and what it contains."""
    parts = sorted(components)
    documents = {
        "cdx": _cyclonedx(subject, version, parts),
        "spdx": _spdx(subject, version, parts),
        "syft": _syft(subject, version, parts),
    }
    return {
        f"{subject}.sbom.{name}.json": (json.dumps(document, indent=2) + "\n").encode()
        for name, document in documents.items()
    }


def _cyclonedx(subject: str, version: str, components: Sequence[Component]) -> dict[str, object]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": subject, "version": version}},
        "components": [
            {
                "bom-ref": each.package_url,
                "type": "library",
                "name": each.name,
                "version": each.version,
                "purl": each.package_url,
            }
            for each in components
        ],
    }


def _spdx(subject: str, version: str, components: Sequence[Component]) -> dict[str, object]:
    digest = hashlib.sha256(repr((subject, version, components)).encode()).hexdigest()
    packages = [
        {
            "SPDXID": f"SPDXRef-Package-{number}",
            "name": each.name,
            "versionInfo": each.version,
            "downloadLocation": "NOASSERTION",
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": each.package_url,
                }
            ],
        }
        for number, each in enumerate(components, 1)
    ]
    top = {
        "SPDXID": "SPDXRef-Package-0",
        "name": subject,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject,
        "documentNamespace": f"urn:sha256:{digest}",
        "creationInfo": {"created": _NO_TIME, "creators": [f"Tool: {subject}-{version}"]},
        "packages": [top, *packages],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": top["SPDXID"]},
            *(
                {
                    "spdxElementId": top["SPDXID"],
                    "relationshipType": "CONTAINS",
                    "relatedSpdxElement": package["SPDXID"],
                }
                for package in packages
            ),
        ],
    }


def _syft(subject: str, version: str, components: Sequence[Component]) -> dict[str, object]:
    kinds = {"pypi": "python", "deb": "deb", "generic": "binary"}
    return {
        "artifacts": [
            {
                "id": hashlib.sha256(each.package_url.encode()).hexdigest()[:16],
                "name": each.name,
                "version": each.version,
                "type": kinds[each.kind],
                "foundBy": "",
                "locations": [],
                "licenses": [],
                "language": "python" if each.kind == "pypi" else "",
                "cpes": [],
                "purl": each.package_url,
            }
            for each in components
        ],
        "artifactRelationships": [],
        "source": {"id": subject, "name": subject, "version": version, "type": "file", "metadata": {"path": subject}},
        "distro": {},
        "descriptor": {"name": subject, "version": version},
        "schema": {
            "version": "16.0.0",
            "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json",
        },
    }
