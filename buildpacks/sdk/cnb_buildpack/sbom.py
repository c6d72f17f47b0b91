"""Software bills of materials.  Spec: buildpack.md "Software-Bill-of-Materials"."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cnb_buildpack.descriptor import Descriptor


@dataclass(frozen=True, slots=True)
class SbomFormat:
    """One of the formats that a lifecycle takes; what a document says is its author's."""

    media_type: str
    extension: str


CYCLONEDX = SbomFormat("application/vnd.cyclonedx+json", "cdx.json")
SPDX = SbomFormat("application/spdx+json", "spdx.json")
SYFT = SbomFormat("application/vnd.syft+json", "syft.json")
FORMATS = (CYCLONEDX, SPDX, SYFT)


def cyclonedx(components: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a CycloneDX 1.5 document of components, without serial number or time: equal ones give equal bytes."""
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": list(components)}


def write_sbom(
    layers_dir: Path, stem: str, form: SbomFormat, document: Mapping[str, Any] | str | bytes, descriptor: Descriptor
) -> None:
    """Write ``<stem>.sbom.<extension>``; ``BuildpackError`` if the buildpack does not declare the format."""
    if form.media_type not in descriptor.sbom_formats:
        raise BuildpackError(
            f"{stem}.sbom.{form.extension}: buildpack.toml does not declare this format",
            fix=f'add "{form.media_type}" to buildpack.sbom-formats',
        )
    if isinstance(document, bytes):
        content = document
    elif isinstance(document, str):
        content = document.encode()
    else:
        content = f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode()
    write_atomic(layers_dir / f"{stem}.sbom.{form.extension}", content)
