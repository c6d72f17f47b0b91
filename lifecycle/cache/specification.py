"""Which caches a build reads and writes, as people say it: the values of ``-cache-from`` and ``-cache-to``.

``REF``, ``PATH`` or ``type=T[,key=value]...``, comma-separated with the quoting of CSV.  Keys, their defaults and the
meaning of a bare word are those of ``docker buildx build --cache-from``; the rest is ours.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from lifecycle.errors import InvalidInputError
from lifecycle.oci.digest import is_digest
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Refuse: TypeAlias = Callable[[str, str], InvalidInputError]

REGISTRY: Final = "registry"
LOCAL: Final = "local"
INLINE: Final = "inline"
DISTRIBUTED: Final = "distributed"

_WRITING: Final = frozenset(
    {
        "mode",
        "image-manifest",
        "oci-mediatypes",
        "compression",
        "compression-level",
        "force-compression",
        "ignore-error",
        "merge",
    }
)
_SHARED: Final = frozenset(
    {
        "ref",
        "registry.insecure",
        "timeout",
        "cache-version",
        "salt-file",
        "secret-env",
        "sync",
        "path",
        "url",
        "verify-key",
    }
)
_REPOSITORY: Final = _SHARED | {"ignore-error", "sign-key"}
"""What ``-cache-repo`` knows."""

_SOURCE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    REGISTRY: frozenset({"ref", "registry.insecure", "timeout", "verify"}),
    LOCAL: frozenset({"src", "tag", "digest", "timeout", "verify"}),
    DISTRIBUTED: _SHARED | {"verify"},
}
_TARGET_KEYS: Final[Mapping[str, frozenset[str]]] = {
    REGISTRY: frozenset({"ref", "registry.insecure"}) | _WRITING,
    LOCAL: frozenset({"dest", "tag", "reset"}) | _WRITING,
    INLINE: frozenset({"mode"}),
}
_REQUIRED: Final[Mapping[tuple[str, bool], str]] = {
    (REGISTRY, False): "ref",
    (REGISTRY, True): "ref",
    (LOCAL, False): "src",
    (LOCAL, True): "dest",
    (DISTRIBUTED, False): "ref",
}
_BOOLEANS: Final = frozenset(
    {
        "image-manifest",
        "oci-mediatypes",
        "force-compression",
        "ignore-error",
        "merge",
        "reset",
        "registry.insecure",
    }
)
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "mode": ("min", "max"),
    "compression": ("gzip", "zstd", "uncompressed"),
    "verify": ("present", "full"),
    "sync": ("tags", "cas", "lock", "file"),
}
_SYNC_NEEDS: Final = {"lock": "url", "file": "path"}
_TRUE: Final = frozenset({"1", "t", "true", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "no"})
_PATH: Final = ("/", "./", "../")
_VARIABLES: Final = re.compile(r"[^:=/\0]+(:[^:=/\0]+)*")
_WORD: Final = re.compile(r'"(?:[^"]|"")*"|(?:[^\s,]|,(?!"?[\w.-]+=))+')
"""What stands together in a value or a message: a quoted field, or all up to a space or the next key."""
_BEGIN: Final = re.compile(r"""["'(]*(?:[\w.-]+=)?(?:(?:[A-Za-z][\w+.-]*:)?//)?""")
"""What is shown of a word in any case: its key and its scheme."""
_AT: Final = re.compile(r"@(?!sha256:)")
_PORT: Final = re.compile(r"[^:@/]+:\d{1,5}/")
_INVALID: Final = "is not a valid image reference: "


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """One cache: ``type`` is registry, local, inline or distributed; ``attributes`` have lower-case keys.

    ``text`` is what the user wrote, less user names and passwords.
    """

    type: str
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    text: str = ""

    def __str__(self) -> str:
        return self.text

    def get(self, key: str, default: str = "") -> str:
        """Return an attribute as text."""
        return self.attributes.get(key, default)

    def paths(self) -> tuple[Path, ...]:
        """Return where on this host the cache is, if it is in files."""
        ref = self.get("ref")
        named = [self.get(key) for key in ("src", "dest", "path")] + [ref if is_path(ref) else ""]
        return tuple(Path(each) for each in named if each)

    def enabled(self, key: str, *, default: bool) -> bool:
        """Return a boolean attribute."""
        value = self.attributes.get(key, "").lower()
        return value in _TRUE if value else default

    def number(self, key: str, default: float) -> float:
        """Return an attribute that is a number."""
        return float(self.attributes.get(key) or default)


def read_source(text: str) -> CacheSpec:
    """Read a value of ``-cache-from``; raise ``InvalidInputError``."""
    return _read(text, flag="-cache-from", keys=_SOURCE_KEYS)


def read_target(text: str) -> CacheSpec:
    """Read a value of ``-cache-to``; raise ``InvalidInputError``."""
    return _read(text, flag="-cache-to", keys=_TARGET_KEYS)


def read_repository(text: str) -> CacheSpec:
    """Read the value of ``-cache-repo``, ``REF[,key=value]...``; raise ``InvalidInputError``."""
    fields = _fields(text, _refuser("-cache-repo", text))
    first = fields[0] if fields[0].startswith("type=") else f"type={DISTRIBUTED},{_quoted(f'ref={fields[0]}')}"
    value = ",".join([first, *map(_quoted, fields[1:])])
    return _signing(_read(value, flag="-cache-repo", keys={DISTRIBUTED: _REPOSITORY}, written=text))


def _signing(spec: CacheSpec) -> CacheSpec:
    if spec.get("verify-key") and not spec.get("sign-key"):
        raise InvalidInputError(
            f"-cache-repo {spec.text!r}: what this builder publishes would be signed by nobody",
            remedy="add sign-key=FILE, or read only: -cache-from type=distributed,ref=…,verify-key=…",
        )
    return spec


def is_path(text: str) -> bool:
    """Say whether a word is a path rather than a name in a registry."""
    return text.startswith(_PATH)


def redacted(text: str) -> str:
    """Return a text without the user names and passwords of its URLs and references."""
    return _WORD.sub(lambda found: _without_user(found[0]), text)


def _without_user(word: str) -> str:
    """Return a word without what stands before its last ``@``, but for a scheme: a password may have any characters."""
    begin = _BEGIN.match(word)
    kept = begin[0] if begin else ""
    value = word.removeprefix(kept)
    ats = [found.start() for found in _AT.finditer(value)]
    if not ats or is_path(value) or _PORT.match(value):
        return word
    hides = ":" in value[: ats[-1]] or kept.endswith("//")
    return f"{kept}***{value[ats[-1] :]}" if hides else word


def _read(text: str, *, flag: str, keys: Mapping[str, frozenset[str]], written: str = "") -> CacheSpec:
    """Read a value; messages quote it as it was ``written``, if that was another text."""
    shown, refuse = redacted(text), _refuser(flag, written or text)
    given = _given(text, refuse, writes=flag == "-cache-to")
    kind = given.pop("type", "").lower()
    if kind == INLINE and kind not in keys:
        raise refuse("has the type 'inline'", "name the image that holds the inline cache: type=registry,ref=IMAGE")
    if kind not in keys:
        problem = f"has the type {kind!r}" if kind else "has no type"
        raise refuse(problem, f"begin with type={' or type='.join(keys)}")
    for key in given:
        if key not in keys[kind]:
            raise refuse(f"type={kind} has no key {key!r}", f"use {', '.join(sorted(keys[kind]))}")
    required = _REQUIRED.get((kind, flag == "-cache-to"))
    if required and not given.get(required):
        raise refuse(f"lacks {required}", f"add {required}=…")
    for key, value in given.items():
        _check(key, value, refuse)
    if kind == REGISTRY or (kind == DISTRIBUTED and not given["ref"].startswith(_PATH)):
        try:
            parse_reference(given["ref"])
        except InvalidInputError as error:
            problem = error.message.rpartition(_INVALID)[2]
            raise refuse(f"{_INVALID}{problem}", error.remedy or "") from None
    if kind == DISTRIBUTED:
        _check_sync(given, refuse)
    return CacheSpec(kind, MappingProxyType(given), shown)


def _check_sync(given: Mapping[str, str], refuse: _Refuse) -> None:
    """Refuse a way of agreeing that lacks something, or that its cache has no use for."""
    sync = given.get("sync", "tags")
    needs = _SYNC_NEEDS.get(sync)
    if needs and not given.get(needs):
        raise refuse(f"sync={sync} lacks {needs}", f"add {needs}=…")
    for key in ("url", "path"):
        if key in given and key != needs:
            raise refuse(f"{key} means nothing to sync={sync}", f"leave {key} out")
    if sync in {"cas", "file"} and given["ref"].startswith(_PATH):
        raise refuse(f"sync={sync} is for registries", "leave it out: directories agree by links")
    if needs == "url" and not re.fullmatch(r"https?://[^/?#@\s]+/?", given["url"]):
        raise refuse("the url is no server", "write url=http://HOST:PORT, the server of etcd's API")


def _refuser(flag: str, text: str) -> _Refuse:
    shown = redacted(text)

    def refuse(problem: str, remedy: str) -> InvalidInputError:
        # What quotes a part, or an URL, may quote one of a password.
        if shown != text and {*"'=/"} & {*problem}:
            problem = "what stands before '@' may be a password, and is not shown"
            remedy = "leave users and passwords out, docker login keeps them; after '@' write sha256: and 64 hex digits"
        return InvalidInputError(f"{flag} {shown!r}: {problem}", remedy=remedy)

    return refuse


def _quoted(field: str) -> str:
    doubled = field.replace('"', '""')
    return f'"{doubled}"' if {",", '"'} & set(field) else field


def _given(text: str, refuse: _Refuse, *, writes: bool) -> dict[str, str]:
    """Return the keys of a value, also of one that is a word."""
    fields = _fields(text, refuse)
    if len(fields) > 1 or ("=" in fields[0] and not fields[0].startswith(_PATH)):
        return _pairs(fields, refuse)
    word = fields[0]
    if word.startswith(_PATH):
        return {"type": LOCAL, "dest" if writes else "src": word}
    return {"type": REGISTRY, "ref": word}


def _fields(text: str, refuse: _Refuse) -> list[str]:
    try:
        rows = list(csv.reader([text.strip()], strict=True))
    except csv.Error as error:
        raise refuse(f"is not a comma-separated list: {error}", "put quotes around a whole key=value") from None
    fields = [each.strip() for each in rows[0]] if rows else []
    if not any(fields):
        raise refuse("is empty", "name a cache: an image, a directory or type=…")
    return fields


def _pairs(fields: list[str], refuse: _Refuse) -> dict[str, str]:
    given: dict[str, str] = {}
    for each in fields:
        key, equals, value = each.partition("=")
        name = key.strip().lower()
        if not equals:
            raise refuse(f"{each!r} is not key=value", "write type=T,key=value,…")
        if name in given:
            raise refuse(f"has {name!r} twice", "give each key once")
        given[name] = value.strip()
    return given


def _check(key: str, value: str, refuse: _Refuse) -> None:
    if key in _BOOLEANS and value.lower() not in _TRUE | _FALSE:
        raise refuse(f"{key}={value} is not a boolean", f"write {key}=true or {key}=false")
    if key == "compression" and value.lower() == "estargz":
        raise refuse("compression=estargz is not supported", "use gzip, zstd or uncompressed")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise refuse(
            f"{key}={value} is unknown", f"use {' or '.join((', '.join(_CHOICES[key][:-1]), _CHOICES[key][-1]))}"
        )
    if key == "digest" and not is_digest(value):
        raise refuse(f"{value!r} is not a digest", "write digest=sha256: and 64 hex digits")
    if key == "compression-level" and not re.fullmatch(r"-?\d{1,2}", value):
        raise refuse(f"{key}={value} is not a whole number", "give a level of the compression, such as 3")
    if key == "secret-env" and not _VARIABLES.fullmatch(value):
        raise refuse(f"{key}={value} is no list of variables", "write their names with colons: secret-env=TOKEN:KEY")
    if key == "timeout" and not (re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) and float(value) > 0):
        raise refuse(f"{key}={value} is not a number of seconds", "write timeout=30")
