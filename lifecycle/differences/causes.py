"""Why a file may have come out differently: the usual reasons, told by how it looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MONTHS: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME: Final = re.compile(
    rb"\b\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?"  # 2001-02-03T04:05:06.7
    rb"|\b" + _MONTHS + rb" +\d{1,2},? +(?:\d{4}|\d{2}:\d{2}:\d{2})"  # Feb 3 04:05:06
    rb"|\b\d{1,2} " + _MONTHS + rb" \d{4}(?: \d{2}:\d{2}:\d{2})?"  # 3 Feb 2001 04:05:06
    rb"|\b\d{2}:\d{2}:\d{2}(?:[.,]\d+)?"
    rb"|(?<![\w.])1[5-9]\d{8}(?:[.,]\d{1,9}|\d{3}|\d{6}|\d{9})?(?![\w])"  # seconds to nanoseconds since 1970
    rb"|(?<!\d)20\d{6}[-_T]?\d{6}(?!\d)"
)
_RANDOM: Final = re.compile(
    rb"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b|(?<![0-9a-zA-Z])[0-9a-fA-F]{16,}(?![0-9a-zA-Z])"
)
_TEMPORARY: Final = re.compile(rb"(?<![\w.-])(?:/var)?/tmp/[\w.+/-]+|/dev/shm/[\w.+/-]+")
_WORD: Final = re.compile(rb"\w+")
_LOG: Final = re.compile(rb"\.log(?:\.\d+)?\Z|/logs?/|/\.?(?:tmp|cache)/|/\.[^/]*history\Z|\.(?:pid|lock|tmp)\Z")
_GZIP: Final = b"\x1f\x8b\x08"
_ZIP: Final = b"PK\x03\x04"
_PYC_MAGIC_END: Final = b"\r\n"
_WORDS_COMPARED: Final = 20_000

_SORT: Final = "the same parts in another order: sort what comes from a directory, a set or parallel work"
_TIME_TEXT: Final = "a time: leave it out, or take that of SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What was known to differ between two builds: ``pairs`` of texts, such as paths, or of whole ``words``.

    With each goes what is said of a file in which it is the difference.
    """

    pairs: tuple[tuple[bytes, bytes, str], ...] = ()
    words: tuple[tuple[bytes, bytes, str], ...] = ()


UNKNOWN: Final = Circumstances()


def causes_of_content(
    path: bytes, first: bytes, second: bytes, circumstances: Circumstances = UNKNOWN
) -> tuple[str, ...]:
    """Return likely reasons, the likeliest first, for a file at ``path`` with other content.

    ``first`` and ``second`` are the contents or their beginnings.  None is certain, and there may be none.
    """
    return tuple(dict.fromkeys(_causes(path, first, second, circumstances)))


def causes_of_presence(path: bytes) -> tuple[str, ...]:
    """Return likely reasons for a file that only one of two builds made."""
    return tuple(_causes_of_name(path))


def _causes(path: bytes, first: bytes, second: bytes, circumstances: Circumstances) -> Iterator[str]:
    special = _of_format(path, first, second)
    if special:
        yield special
        return
    for one, other, what in circumstances.pairs:
        if one != other and one in first and other in second:
            yield what
            first, second = first.replace(one, b"\0"), second.replace(other, b"\0")
    if first != second:
        yield from _of_text(first, second, circumstances)
    yield from _causes_of_name(path)


def _of_text(first: bytes, second: bytes, circumstances: Circumstances) -> Iterator[str]:
    changed = {pair for pair in zip(_words(first), _words(second), strict=False) if pair[0] != pair[1]}
    for one, other, what in circumstances.words:
        if changed == {(one, other)}:
            yield what
    if _differ(_TEMPORARY, first, second):
        yield "the name of a temporary file or directory: use a fixed one"
    if _differ(_TIME, first, second):
        yield _TIME_TEXT
    without = [_TEMPORARY.sub(b"", _TIME.sub(b"", each)) for each in (first, second)]
    if _differ(_RANDOM, *without):
        yield "a random id, or a digest of something else that differs"
    if _reordered(first, second):
        yield _SORT


def _of_format(path: bytes, first: bytes, second: bytes) -> str:
    """Return the reason that lies in a format which keeps times where few look for them."""
    if path.endswith(b".pyc") and first[2:4] == second[2:4] == _PYC_MAGIC_END:
        by_time = not any(first[4:8]) and not any(second[4:8])
        if by_time and first[8:12] != second[8:12]:
            return (
                "Python's bytecode with the mtime of its source: compile with --invalidation-mode unchecked-hash, "
                "or don't keep .pyc files"
            )
    if first.startswith(_GZIP) and second.startswith(_GZIP) and first[4:8] != second[4:8]:
        return "the time in the header of a gzip file: use gzip -n"
    if first.startswith(_ZIP) and second.startswith(_ZIP) and first[10:14] != second[10:14]:
        return "the times of the files in a zip archive: set them before it is made"
    return ""


def _causes_of_name(path: bytes) -> Iterator[str]:
    if _LOG.search(path):
        yield "a log, or another file of the build itself: remove it at the end of bin/build"
    name = path.rpartition(b"/")[2]
    if _TIME.search(name) or _RANDOM.search(name):
        yield "a name that was made from a time or at random"


def _differ(pattern: re.Pattern[bytes], first: bytes, second: bytes) -> bool:
    """Say whether such parts differ, and not only in their order."""
    return sorted(pattern.findall(first)) != sorted(pattern.findall(second))


def _reordered(first: bytes, second: bytes) -> bool:
    if len(first) != len(second):
        return False
    return any(
        _same_parts(one, other) for one, other in ((_split(first), _split(second)), (_words(first), _words(second)))
    )


def _split(data: bytes) -> list[bytes]:
    return data.splitlines()


def _words(data: bytes) -> list[bytes]:
    return _WORD.findall(data)


def _same_parts(one: Iterable[bytes], other: Iterable[bytes]) -> bool:
    first, second = list(one), list(other)
    return first != second and len(first) <= _WORDS_COMPARED and sorted(first) == sorted(second)
