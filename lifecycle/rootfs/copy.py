"""Carries out ``COPY``, ``ADD`` and ``WORKDIR``.  Reference: the Dockerfile reference of Docker.

Each function returns the paths that it wrote, absolute in the image, where links lead.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import CorruptImageError, ExtendError, UnsafeArchiveError
from lifecycle.layers.blob import decompressed
from lifecycle.rootfs.apply import unpack_archive
from lifecycle.rootfs.context import read_file
from lifecycle.rootfs.paths import resolved
from lifecycle.rootfs.users import find_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lifecycle.rootfs.context import BuildContext, ContextEntry, Source
    from lifecycle.rules.extensions.dockerfile_steps import CopyAction

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644
_FETCHED_MODE = 0o600
_BLOCK = 512
_CHECKSUM = slice(148, 156)
_OTHER_ARCHIVES = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x1f\x9d": "compress"}


def make_directory(root: Path, path: str, owner: tuple[int, int]) -> set[bytes]:
    """Make a directory, and those above it, unless it is there; raise ``ExtendError`` if it can't be."""
    target = _Copy(root, owner, None)
    with target.telling(path):
        target.directory(resolved(root, path))
    return target.written


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file from elsewhere: the name that it has there, and where it is."""

    name: str
    path: Path


def copy_into(
    root: Path,
    action: CopyAction,
    sources: Sequence[Source],
    context: BuildContext,
    *,
    where: str,
    fetched: Sequence[FetchedFile] = (),
) -> set[bytes]:
    """Copy sources, what was fetched, and the files of the instruction itself.

    Raises ``LifecycleError`` where that can't be done.
    """
    owner = find_owner(root, action.owner)
    target = _Copy(root, owner, action.mode)
    destination = resolved(root, action.destination)
    into = action.destination.endswith("/") or destination.is_dir()
    if len(sources) + len(action.inline) + len(fetched) > 1 and not into:
        raise ExtendError(
            f"{action.destination} is no directory, but there are several sources",
            where=where,
            remedy="end it with a /",
        )
    with target.telling(action.destination):
        for source in sources:
            if source.is_directory:
                target.tree(context.entries(source), destination)
                continue
            archive = _archive(source, where) if action.unpacks else None
            if archive is not None:
                target.directory(destination)
                given = owner if action.owner else None
                target.written |= unpack_archive(
                    archive, root, action.destination, owner=given, where=f"{where}: {source.name}"
                )
                continue
            name = os.path.basename(source.name)  # noqa: PTH119  # a name in the context
            for entry in context.entries(source):
                target.entry(entry, destination / name if into else destination)
        for each in fetched:
            if into and not each.name:
                raise ExtendError(
                    "a URL that names no file needs a destination that does", where=where, remedy="end it with a name"
                )
            target.file(read_file(each.path), destination / each.name if into else destination, _FETCHED_MODE)
        for file in action.inline:
            target.file([file.content.encode()], destination / file.name if into else destination, _FILE_MODE)
    return target.written


@dataclass(slots=True)
class _Copy:
    root: Path
    owner: tuple[int, int]
    mode: int | None
    written: set[bytes] = field(default_factory=set)

    @contextlib.contextmanager
    def telling(self, destination: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ExtendError(
                f"can't be written: {error.strerror}", where=str(error.filename or destination)
            ) from error

    def tree(self, entries: Iterable[ContextEntry], destination: Path) -> None:
        self.directory(destination)
        for entry in entries:
            below = f"/{destination.relative_to(self.root)}/{entry.name}"
            parent, _, name = below.rpartition("/")
            self.entry(entry, resolved(self.root, parent or "/") / name)

    def entry(self, entry: ContextEntry, place: Path) -> None:
        mode = stat.S_IMODE(entry.status.st_mode)
        if stat.S_ISDIR(entry.status.st_mode):
            self.directory(resolved(self.root, f"/{place.relative_to(self.root)}"), mode)
        elif stat.S_ISLNK(entry.status.st_mode):
            self._put(place, lambda temporary: temporary.symlink_to(entry.path.readlink()))
        elif stat.S_ISREG(entry.status.st_mode):
            self.file(read_file(entry.path), place, mode)
            times = (entry.status.st_mtime_ns, entry.status.st_mtime_ns)
            os.utime(place, ns=times)
        # Sockets, pipes and devices are nothing to copy.

    def directory(self, path: Path, mode: int = _DIRECTORY_MODE) -> None:
        """Make a directory unless there is one."""
        missing: list[Path] = []
        here = path
        while not here.exists():
            missing.append(here)
            here = here.parent
        if not here.is_dir():
            raise ExtendError("is no directory", where=f"/{here.relative_to(self.root)}")
        for each in reversed(missing):
            each.mkdir()
            os.chown(each, *self.owner)
            given = mode if each == path else _DIRECTORY_MODE
            each.chmod(given if self.mode is None or each != path else self.mode)
            self._note(each)

    def file(self, chunks: Iterable[bytes], place: Path, mode: int) -> None:
        def write(temporary: Path) -> None:
            with os.fdopen(os.open(temporary, _NEW_FILE, 0o600), "wb") as file:
                file.writelines(chunks)

        self._put(place, write, mode if self.mode is None else self.mode)

    def _put(self, place: Path, write: Callable[[Path], None], mode: int | None = None) -> None:
        """Write beside ``place`` and rename, so that nothing is written through a link."""
        self.directory(place.parent)
        if place.is_dir() and not place.is_symlink():
            raise ExtendError("is a directory, but a file is copied there", where=f"/{place.relative_to(self.root)}")
        temporary = place.with_name(f".tmp-{secrets.token_hex(8)}")
        try:
            write(temporary)
            os.chown(temporary, *self.owner, follow_symlinks=False)
            if mode is not None:
                temporary.chmod(mode)
            temporary.replace(place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._note(place)

    def _note(self, path: Path) -> None:
        self.written.add(b"/" + os.fsencode(path.relative_to(self.root)))


def _archive(source: Source, where: str) -> Iterator[bytes] | None:
    """Return the tar that a file is, packed or not; ``None`` for any other file."""
    try:
        start = next(read_file(source.path), b"")
        other = next((name for magic, name in _OTHER_ARCHIVES.items() if start.startswith(magic)), None)
        if other:
            raise ExtendError(
                f"{source.name} is packed with {other}, which ADD can't unpack here",
                where=where,
                remedy="pack it with gzip or zstd, or COPY it and unpack it in a RUN",
            )
        head = b""
        for chunk in decompressed(read_file(source.path), where=source.name):
            head += chunk
            if len(head) >= _BLOCK:
                break
    except (CorruptImageError, UnsafeArchiveError):
        return None  # it only begins like an archive
    except OSError as error:
        raise ExtendError(f"can't be read: {error.strerror}", where=source.path) from error
    if not _is_tar_header(head[:_BLOCK]):
        return None
    return decompressed(read_file(source.path), where=source.name)


def _is_tar_header(block: bytes) -> bool:
    if len(block) < _BLOCK:
        return False
    digits = block[_CHECKSUM].strip(b" \x00")
    if not digits or digits.strip(b"01234567"):
        return False
    total = sum(itertools.chain(block[: _CHECKSUM.start], b" " * 8, block[_CHECKSUM.stop :]))
    return total == int(digits, 8)
