"""The directory ``<layers>/sbom``, in which builder collects what buildpacks say of their contents.

Spec: platform.md "Build" (outputs), "Software-Bill-of-Materials".
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError, LifecycleError
from lifecycle.files.atomic import write_atomic
from lifecycle.oci import gojson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lifecycle.model.launch import AttributedBomEntry
    from lifecycle.rules.sbom import SbomCopy

_CHUNK = 1024 * 1024


def remove_sboms(layers_dir: Path) -> None:
    """Remove ``<layers>/sbom``; of a link only the link goes."""
    directory = layers_dir / "sbom"
    try:
        if directory.is_dir() and not directory.is_symlink():
            shutil.rmtree(directory)
        else:
            directory.unlink(missing_ok=True)
    except OSError as error:
        raise LifecycleError(f"can't be removed: {error.strerror}", where=directory) from error


def find_sboms(directory: Path) -> tuple[Path, ...]:
    """Return the files ``<name>.sbom.<ext>`` in the layers directory of a buildpack by name."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=directory) from error
    found = [
        name for name in names if name.endswith(".json") and ".sbom." in name.removesuffix(".json") + "."
    ]
    return tuple(directory / name for name in sorted(found, key=os.fsencode))


def copy_sboms(layers_dir: Path, copies: Iterable[SbomCopy]) -> None:
    """Copy the contents of SBOM files, also of links to them, to regular files below ``<layers>/sbom``."""
    for copy in copies:
        write_atomic(layers_dir / "sbom" / copy.target, _chunks(copy.source))


def save_legacy_bom(layers_dir: Path, place: str, bom: Sequence[AttributedBomEntry]) -> None:
    """Write ``<layers>/sbom/<place>/sbom.legacy.json``; ``null`` stands for no entries."""
    text = gojson.dumps([entry.struct() for entry in bom] or None)
    write_atomic(layers_dir / "sbom" / place / "sbom.legacy.json", f"{text}\n".encode())


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        # Without O_NONBLOCK a FIFO would hold up the build before it is recognised.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidFileError("is not a regular file", where=path)
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
