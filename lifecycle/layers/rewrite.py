"""Layers that image extensions made, with the times and owners' names of their entries made constant.

Each entry keeps its owner's number, its name and the tar format in which it came.
Spec: image_extension.md "Phase: Extension"; platform.md "Exporter" <extended>.  Reference: layers/tar.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ExportError
from lifecycle.layers.blob import decompressed
from lifecycle.layers.reader import GLOBAL, members
from lifecycle.layers.tar import TRAILER, header, padding
from lifecycle.oci.digest import verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lifecycle.layers.source import LayerSource
    from lifecycle.oci.manifest import Descriptor

_CHUNK = 1 << 18


def normalised_layer(path: Path, descriptor: Descriptor) -> LayerSource:
    """Return the layer stored in ``path`` as a source; its bytes are verified while they are read.

    ``chunks`` raises ``CorruptImageError``, ``UnsafeArchiveError`` or ``VerificationError`` for a layer that
    isn't what ``descriptor`` says, ``ExportError`` for one that can't be written again.
    """
    return _NormalisedLayer(path, descriptor)


def normalised(tar: Iterable[bytes], *, where: str = "layer") -> Iterator[bytes]:
    """Yield a tar with every header normalised and its content as it is."""
    buffer = bytearray()
    for member in members(tar, where=where):
        if member.entry.kind == GLOBAL:
            raise ExportError("holds PAX headers for all its entries, which have no owner to keep", where=where)
        buffer += header(member.entry, member.stored)
        for chunk in member.content:
            buffer += chunk
            if len(buffer) >= _CHUNK:
                yield bytes(buffer)
                buffer.clear()
        buffer += padding(member.entry.content_size)
    yield bytes(buffer + TRAILER)


@dataclass(frozen=True, slots=True)
class _NormalisedLayer:
    path: Path
    descriptor: Descriptor

    def chunks(self) -> Iterator[bytes]:
        where = str(self.path)
        promised = self.descriptor
        stored = verified(self._stored(), digest=promised.digest, size=promised.size, where=where)
        return normalised(decompressed(stored, where=where), where=where)

    def _stored(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except OSError as error:
            raise CorruptImageError(f"can't be read: {error.strerror}", where=self.path) from error
