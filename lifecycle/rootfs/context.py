"""The build context of a Dockerfile: what ``COPY`` and ``ADD`` find in it.

Spec: image_extension.md "Context Folders".  Reference: Docker's rules for sources and ``.dockerignore``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError
from lifecycle.layers.match import MalformedPatternError, pattern
from lifecycle.rootfs.paths import resolved
from lifecycle.rules.extensions.dockerignore import IgnoreRules, parse_dockerignore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK = 1 << 18
_WILD = frozenset("*?[\\")


@dataclass(frozen=True, slots=True)
class Source:
    """Something to copy: its name in the context, and where it is."""

    name: str
    path: Path

    @property
    def is_directory(self) -> bool:
        """Whether its content is copied rather than itself."""
        return self.path.is_dir()


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """A file, link or directory of a source, by its name below it (``""`` for a source that is no directory)."""

    name: str
    path: Path
    status: os.stat_result


@dataclass(frozen=True, slots=True)
class BuildContext:
    """A directory, and what of it is not for copies."""

    directory: Path
    ignored: IgnoreRules

    def find(self, patterns: Sequence[str], *, where: str) -> tuple[Source, ...]:
        """Return the sources of a copy; raise ``ExtendError`` for one that is not there."""
        found: list[Source] = []
        for each in patterns:
            matching = self._matching(each, where)
            if not matching:
                raise ExtendError(
                    f"there is no {each!r} in the build context {self.directory}",
                    where=where,
                    remedy="let bin/generate put it there, or check .dockerignore",
                )
            found += matching
        return tuple(found)

    def entries(self, source: Source) -> Iterator[ContextEntry]:
        """Yield what a source consists of, each directory before its content, in the order of names."""
        try:
            if not source.is_directory:
                yield ContextEntry("", source.path, source.path.stat())
                return
            yield from self._walk(source, "")
        except OSError as error:
            raise ExtendError(f"can't be read: {error.strerror}", where=error.filename or source.path) from error

    def fingerprint(self, sources: Sequence[Source]) -> str:
        """Return the digest of names, modes and contents of all that would be copied."""
        hasher = hashlib.sha256()
        for source in sources:
            hasher.update(b"source\0%b\0" % os.fsencode(source.name))
            for entry in self.entries(source):
                mode = entry.status.st_mode
                hasher.update(b"%b\0%o\0" % (os.fsencode(entry.name), mode))
                if stat.S_ISLNK(mode):
                    hasher.update(os.fsencode(entry.path.readlink()) + b"\0")
                elif stat.S_ISREG(mode):
                    hasher.update(_content_digest(entry.path))
        return hasher.hexdigest()

    def _walk(self, source: Source, below: str) -> Iterator[ContextEntry]:
        directory = source.path / below
        for name in sorted(os.listdir(directory), key=os.fsencode):  # noqa: PTH208  # names
            relative = f"{below}/{name}" if below else name
            path = source.path / relative
            status = path.lstat()
            whole = f"{source.name}/{relative}" if source.name else relative
            if not self.ignored.ignores(whole):
                yield ContextEntry(relative, path, status)
            if stat.S_ISDIR(status.st_mode):
                yield from self._walk(source, relative)

    def _matching(self, text: str, where: str) -> list[Source]:
        parts = [part for part in text.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise ExtendError(f"{text!r} is outside of the build context", where=where)
        names = [""]
        for part in parts:
            names = [each for name in names for each in self._next(name, part, where)]
        return [
            Source(name, path)
            for name in names
            if (path := resolved(self.directory, f"/{name}")).exists() and not (name and self.ignored.ignores(name))
        ]

    def _next(self, name: str, part: str, where: str) -> Iterator[str]:
        """Yield the names below ``name`` that ``part`` means."""
        before = f"{name}/" if name else ""
        if not _WILD & set(part):
            yield before + part
            return
        directory = resolved(self.directory, f"/{name}")
        try:
            wanted = pattern(os.fsencode(part))
            for each in sorted(os.listdir(directory), key=os.fsencode):  # noqa: PTH208  # names
                if wanted.matches(os.fsencode(each)):
                    yield before + each
        except MalformedPatternError as error:
            raise ExtendError(f"the pattern {part!r} is malformed", where=where) from error
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise ExtendError(f"can't be read: {error.strerror}", where=directory) from error


def open_context(directory: Path, *, dockerfile: Path) -> BuildContext:
    """Return the context; a file beside the Dockerfile with the suffix ``.dockerignore`` comes before the context's."""
    for path in (Path(f"{dockerfile}.dockerignore"), directory / ".dockerignore"):
        try:
            if path.is_file():
                return BuildContext(directory, parse_dockerignore(path.read_text(encoding="utf-8", errors="replace")))
        except OSError as error:
            raise ExtendError(f"can't be read: {error.strerror}", where=path) from error
    return BuildContext(directory, IgnoreRules())


def read_file(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, which may not have become a link or a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ExtendError("is no longer a file", where=path)
        while chunk := file.read(_CHUNK):
            yield chunk


def _content_digest(path: Path) -> bytes:
    hasher = hashlib.sha256()
    for chunk in read_file(path):
        hasher.update(chunk)
    return hasher.digest()
