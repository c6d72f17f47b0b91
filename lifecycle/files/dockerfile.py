"""The Dockerfiles that image extensions generate.  Spec: image_extension.md "Phase: Generation"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.files.regular_file import read_at_most

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 1 << 24


def read_dockerfile(path: Path) -> str:
    """Return the text of a Dockerfile, bytes that are no UTF-8 replaced.

    Raises ``InvalidFileError`` for what is no file, can't be read or is larger than 16 MiB.
    """
    data = read_at_most(path, _LARGEST)
    if data is None:
        raise InvalidFileError(f"is larger than {_LARGEST} bytes", where=path)
    return data.decode(errors="replace")
