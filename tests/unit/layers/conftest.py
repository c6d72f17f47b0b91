from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.layers.source import LayerSource


@pytest.fixture(scope="session")
def read_tar() -> Callable[[LayerSource], list[tarfile.TarInfo]]:
    """Read a layer with Python's own reader."""

    def read(source: LayerSource) -> list[tarfile.TarInfo]:
        data = b"".join(source.chunks())
        with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
            return tar.getmembers()

    return read


@pytest.fixture(scope="session")
def foreign_tar() -> Callable[..., bytes]:
    """Make a tar as somebody else might: of (name, type, content or link target) or ready-made members."""

    def make(*entries: tuple[str, bytes, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
            for each in entries:
                if isinstance(each, tarfile.TarInfo):
                    tar.addfile(each, io.BytesIO(bytes(each.size)))
                    continue
                name, kind, data = each
                info = tarfile.TarInfo(name)
                info.type = kind
                info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
                if kind == tarfile.REGTYPE:
                    info.size = len(data)
                else:
                    info.linkname = data.decode()
                tar.addfile(info, io.BytesIO(data))
        return stream.getvalue()

    return make
