"""Which packages a base image has in any case."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_INSTALLED = "install ok installed"


def minimal_status(status: str) -> str:
    """Return the part of dpkg's status file that any Debian or Ubuntu has.

    That are the essential and the required packages with all that they depend on.  The rest may be in the build image
    alone, so the app must not count on it.
    """
    stanzas = [text for text in status.split("\n\n") if text.strip()]
    fields = [(dict(_fields(text)), text.strip("\n")) for text in stanzas]
    installed = [(each, text) for each, text in fields if each.get("Status") == _INSTALLED]
    by_name = {name: each["Package"] for each, _ in installed for name in _provided(each)}
    by_name |= {each["Package"]: each["Package"] for each, _ in installed}
    packages = {each["Package"]: each for each, _ in installed}
    needed = _closure(
        (name for name, each in packages.items() if _is_minimal(each)),
        {name: [by_name[one] for one in _dependencies(each) if one in by_name] for name, each in packages.items()},
    )
    return "".join(f"{text}\n\n" for each, text in installed if each["Package"] in needed)


def _is_minimal(package: Mapping[str, str]) -> bool:
    return package.get("Essential") == "yes" or package.get("Priority") == "required"


def _closure(names: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += edges[name]
    return found


def _fields(stanza: str) -> Iterator[tuple[str, str]]:
    for line in stanza.splitlines():
        key, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            yield key, value.strip()


def _dependencies(package: Mapping[str, str]) -> Iterator[str]:
    """Yield every name that a package depends on, alternatives too: those that are installed count."""
    for field in ("Pre-Depends", "Depends"):
        yield from re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", package.get(field, ""))


def _provided(package: Mapping[str, str]) -> Iterator[str]:
    yield from re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9+.-]*)", package.get("Provides", ""))
