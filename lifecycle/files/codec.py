"""TOML files: read into models, written in the reference's layout and proven by reading them back.

The only module that knows what is wrong with a file in TOML's terms.  Reference: BurntSushi/toml v1.6, which reads
TOML 1.1.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import tomli
from pydantic import BaseModel, ValidationError

from lifecycle.errors import InvalidFileError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.explanation import explain, key_path
from lifecycle.files.misspelled import misspelled
from lifecycle.files.regular_file import NotAFileError, open_regular
from lifecycle.files.toml_encoder import encode

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

M = TypeVar("M", bound=BaseModel)

_LOG = logging.getLogger(__name__)

MAX_SIZE = 16 * 1024 * 1024
"""How large a file may be; buildpacks write files that later phases read as root."""

MAX_DEPTH = 256
"""How deep tables and arrays may nest; more than a label may, so that what a label holds fits into a file."""

MAX_ITEMS = 250_000
"""How many parts of keys, values and brackets a file may have: each costs the parser a kilobyte or two."""

_MAX_INTEGER = 2**63
_POSITION = re.compile(
    r"(?P<message>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
# Strings that do not end reach to the end of their line or of the text, so that no text takes quadratic time.
_PART = r"""(?:[\w+:-]++|"(?:[^"\\\n]++|\\.)*+"?|'[^'\n]*+'?)"""
_KEY = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+"
_LONG_STRING = r"""["]{3}(?:[^"\\]++|\\.|"(?!""))*+"{0,5}|'{3}(?:[^']++|'(?!''))*+'{0,5}"""
_ITEM = re.compile(rf"\#[^\n]*+|{_LONG_STRING}|(?P<key>{_KEY})|[\[{{]", re.DOTALL)
_KEY_PART = re.compile(_PART, re.DOTALL)


class TomlMismatchError(Exception):
    """A bug: written TOML does not read back as the value it was made from."""


@overload
def load(
    model: type[M], path: Path, *, missing_ok: Literal[False] = False, hints: bool = False, regular: bool = False
) -> M: ...


@overload
def load(model: type[M], path: Path, *, missing_ok: bool, hints: bool = False, regular: bool = False) -> M | None: ...


def load(
    model: type[M], path: Path, *, missing_ok: bool = False, hints: bool = False, regular: bool = False
) -> M | None:
    """Read a file into its model; raise ``InvalidFileError`` in one line.

    ``None`` stands for a file that may be missing.  With ``hints``, keys that are probably misspelled are warned of.
    For ``regular`` see ``read_toml``.
    """
    table = read_toml(path, missing_ok=missing_ok, regular=regular)
    return None if table is None else read_table(model, table, path, hints=hints)


def read_table(model: type[M], table: Mapping[str, Any], path: Path, *, hints: bool = False) -> M:
    """Read the table of the file at ``path`` into its model, as ``load`` does; raise ``InvalidFileError``."""
    if hints:
        for key, meant in misspelled(model, table):
            _LOG.warning("%s: %s is no key of this file; did you mean %s?", path, key, meant)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        problem = explain(error, path, table)
        for key, meant in misspelled(model, table):
            problem.remedy = f"write {meant} instead of {key}"
        raise problem from error


def save(path: Path, table: Mapping[str, Any]) -> None:
    """Write a file whole or not at all, with the directories it lies in."""
    write_atomic(path, dumps(table, where=path).encode())


@overload
def read_toml(path: Path, *, missing_ok: Literal[False] = False, regular: bool = False) -> dict[str, Any]: ...


@overload
def read_toml(path: Path, *, missing_ok: bool, regular: bool = False) -> dict[str, Any] | None: ...


def read_toml(path: Path, *, missing_ok: bool = False, regular: bool = False) -> dict[str, Any] | None:
    """Return the table of a file, ``None`` for a file that may be missing; raise ``InvalidFileError``.

    What a platform names may be a pipe, as a shell makes it of ``<(…)``.  What an app, a buildpack or an extension
    brings has to be ``regular``: at a named pipe, which nobody is going to write to, a phase would wait for ever.
    """
    try:
        with open_regular(path) if regular else path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except NotAFileError as error:
        raise InvalidFileError("is not a file", where=path) from error
    except FileNotFoundError as error:
        if missing_ok:
            return None
        raise InvalidFileError("does not exist", where=path) from error
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    if len(data) > MAX_SIZE:
        raise InvalidFileError(f"is larger than {MAX_SIZE // 2**20} MiB", where=path)
    return parse_toml(_decode(data, path), where=path)


def parse_toml(text: str, *, where: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Return the table of a TOML text; ``InvalidFileError`` says in which line and column it is not TOML."""
    _refuse_excess(text, where)
    try:
        table = tomli.loads(text)
    except RecursionError as error:
        raise InvalidFileError("nests arrays or tables too deep", where=where) from error
    except ValueError as error:
        raise InvalidFileError(_located(str(error)), where=where) from error
    _refuse_unusable(table, where)
    return table


def dumps(table: Mapping[str, Any], *, where: str | PathLike[str] | None = None) -> str:
    """Return ``table`` in the reference's layout: a ``Struct`` keeps its order, other mappings are sorted.

    What is ``None`` is left out.  Raises ``InvalidFileError`` for a value from outside that TOML can't hold,
    and ``TomlMismatchError`` should the text not read back as ``table``.
    """
    _refuse_unusable(table, where)
    text = encode(table)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidFileError(f"would hold text that is not UTF-8: {_excerpt(error)!r}", where=where) from error
    try:
        written = tomli.loads(text)
    except ValueError as error:
        raise TomlMismatchError(f"{where or 'a table'} would not be TOML: {error}") from error
    if _comparable(table) != _comparable(written):
        raise TomlMismatchError(f"{where or 'a table'} would read back as another value:\n{text}")
    return text


def _excerpt(error: UnicodeEncodeError) -> str:
    text = str(error.object)
    return text[text.rfind("\n", 0, error.start) + 1 : error.end][-60:]


def _decode(data: bytes, path: Path) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidFileError("is UTF-16", where=path, remedy="save it as UTF-8")
    # Some editors begin UTF-8 files with a byte order mark, which the reference skips.
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise InvalidFileError(f"line {line}: is not UTF-8: byte 0x{byte:02x}", where=path) from error


def _located(text: str) -> str:
    match = _POSITION.fullmatch(text)
    if match is None:
        return f"is not valid TOML: {text}"
    message = match["message"][:1].lower() + match["message"][1:]
    return f"line {match['line']}, column {match['column']}: {message}" if match["line"] else f"at its end: {message}"


def _refuse_excess(text: str, where: str | PathLike[str] | None) -> None:
    """Raise ``InvalidFileError`` for a text that the parser would need too much memory for.

    It keeps some dictionaries for each part of a dotted key and, meanwhile, all prefixes of that key.
    """
    items = 0
    for item in _ITEM.finditer(text):
        key: str | None = item["key"]
        parts = len(_KEY_PART.findall(key)) if key and "." in key else 1
        items += parts
        if parts > MAX_DEPTH:
            raise _too_deep(where)
        if items > MAX_ITEMS:
            raise InvalidFileError(f"has more than {MAX_ITEMS} keys and values", where=where)


def _too_deep(where: str | PathLike[str] | None) -> InvalidFileError:
    return InvalidFileError(f"nests arrays or tables more than {MAX_DEPTH} deep", where=where)


def _refuse_unusable(table: Mapping[str, Any], where: str | PathLike[str] | None) -> None:
    """Raise ``InvalidFileError`` for values that TOML, or the stack of those who read it, can't hold."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), table)]
    while pending:
        at, value = pending.pop()
        match value:
            case bool():
                continue
            case int() if not -_MAX_INTEGER <= value < _MAX_INTEGER:
                raise InvalidFileError(f"{key_path(at)}: an integer of more than 64 bits", where=where)
            case Mapping():
                pending.extend(((*at, key), each) for key, each in value.items())
            case list() | tuple():
                if None in value:
                    raise InvalidFileError(f"{key_path(at)}: an array can't have an empty element", where=where)
                pending.extend(((*at, index), each) for index, each in enumerate(value))
            case _:
                continue
        if len(at) > MAX_DEPTH:
            raise _too_deep(where)


def _comparable(value: Any) -> Any:
    """Return what equal TOML values share: types count, as do the offset of a time and the sign of zero."""
    match value:
        case Mapping():
            return {key: _comparable(each) for key, each in value.items() if each is not None}
        case list() | tuple():
            return [_comparable(each) for each in value]
        case bool():
            return bool, value
        case str():
            return str, str.__str__(value)
        case int():
            return int, int(value)
        case float():
            return float, repr(value)
        case _:
            return type(value), value.isoformat()
