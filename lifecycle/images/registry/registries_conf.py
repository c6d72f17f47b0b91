"""``registries.conf``, version 2: which registries are mirrored, moved, blocked or insecure.

Source: containers/image docs ``containers-registries.conf.5``.  Keys that say nothing about these are ignored.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.oci.reference import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.oci.reference import Reference

T = TypeVar("T")

_HUB_ALIASES = frozenset({"docker.io", "registry-1.docker.io", DEFAULT_REGISTRY})
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_.-]+(:[0-9]+)?\Z|\[[0-9a-fA-F:]+\](:[0-9]+)?\Z")
_NAMED_BY = ("CNB_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF")
_SYSTEM_DIR = Path("/etc/containers")


class PullFrom(StrEnum):
    """Which references a mirror is asked for."""

    ALL = "all"
    DIGEST_ONLY = "digest-only"
    TAG_ONLY = "tag-only"


@dataclass(frozen=True, slots=True)
class Location:
    """Where images are pulled from in place of a prefix: ``host[:port][/path]``; ``""`` is the prefix itself."""

    name: str
    insecure: bool = False
    pull_from: PullFrom = PullFrom.ALL


@dataclass(frozen=True, slots=True)
class RegistryRule:
    """One ``[[registry]]`` table; ``where`` names the file and the table."""

    prefix: str
    location: Location
    mirrors: tuple[Location, ...]
    blocked: bool
    where: str

    def length_in(self, reference: Reference) -> int | None:
        """Return how much of ``registry/repository`` the prefix covers, ``None`` if it does not match.

        A prefix ends where a part of the name ends; ``*.example.com`` covers the whole host, of any depth below.
        """
        context = reference.context
        if self.prefix.startswith("*."):
            return len(reference.registry) if reference.registry.endswith(self.prefix[1:]) else None
        if context == self.prefix or context.startswith(f"{self.prefix}/"):
            return len(self.prefix)
        tagged = {f"{context}:{reference.tag}" if reference.tag else "", f"{context}@{reference.digest}"}
        return len(context) if self.prefix in tagged else None

    def rewritten(self, reference: Reference, location: Location) -> tuple[str, str]:
        """Return registry and repository of ``reference`` at ``location``.

        Raises ``InvalidFileError`` if nothing is left for the repository.
        """
        covered = self.length_in(reference)
        if not location.name or covered is None:
            return reference.registry, reference.repository
        registry, _, repository = f"{location.name}{reference.context[covered:]}".partition("/")
        if not repository:
            raise InvalidFileError(
                f'location "{location.name}" leaves no repository for {reference.name}',
                where=self.where,
                remedy="add the repository to location, or shorten prefix",
            )
        if registry == DEFAULT_REGISTRY and "/" not in repository:
            repository = f"library/{repository}"
        return registry, repository


def rule_for(rules: Sequence[RegistryRule], reference: Reference) -> RegistryRule | None:
    """Return the rule with the longest prefix that matches; of equally long ones that without a wildcard."""
    found = [rule for rule in rules if rule.length_in(reference) is not None]
    return max(found, key=lambda rule: (len(rule.prefix), not rule.prefix.startswith("*.")), default=None)


def registries_conf_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files to read, in order.

    ``CNB_REGISTRIES_CONF``, else ``CONTAINERS_REGISTRIES_CONF``, is the only one if set, and
    ``InvalidInputError`` is raised if it is not there.  Otherwise the user's file, else the system's, and then
    the ``registries.conf.d/*.conf`` of the system and of the user.
    """
    # Path.is_file raises PermissionError below a directory that may not be entered.
    for variable in _NAMED_BY:
        if environment.get(variable):
            path = Path(environment[variable])
            if not os.path.isfile(path):  # noqa: PTH113  # see above
                raise InvalidInputError(
                    f"{path} is not a file that can be read", where=variable, remedy="correct or unset it"
                )
            return (path,)
    home = environment.get("HOME")
    config = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    dirs = [_SYSTEM_DIR, *([Path(config, "containers")] if config else [])]
    main = [path for each in reversed(dirs) if os.path.isfile(path := each / "registries.conf")][:1]  # noqa: PTH113  # see above
    return (*main, *(path for each in dirs for path in _drop_ins(each / "registries.conf.d")))


def _drop_ins(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".conf")
    except OSError:
        return []


def read_registries_conf(paths: Sequence[Path]) -> tuple[RegistryRule, ...]:
    """Return the rules of all files; a later table replaces an earlier one of the same prefix.

    Raises ``InvalidFileError`` with the file and the key.
    """
    rules: dict[str, RegistryRule] = {}
    for path in paths:
        rules |= {rule.prefix: rule for rule in _rules(path)}
    return tuple(rules.values())


def _rules(path: Path) -> Iterator[RegistryRule]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"is not valid TOML: {error}", where=path) from error
    for number, table in enumerate(_tables(document, "registry", path, "")):
        key = f"registry[{number}]"
        prefix = _name(table, "prefix", path, key, wildcard=True)
        location = _name(table, "location", path, key)
        if not prefix and not location:
            raise InvalidFileError(f"{key} has neither prefix nor location", where=path, remedy="add one of them")
        yield RegistryRule(
            prefix=prefix or location,
            location=Location(location, insecure=_value(table, "insecure", path, key, default=False)),
            mirrors=tuple(_mirrors(table, path, key)),
            blocked=_value(table, "blocked", path, key, default=False),
            where=f"{path}: {key}",
        )


def _mirrors(table: Mapping[str, Any], path: Path, parent: str) -> Iterator[Location]:
    by_digest = _value(table, "mirror-by-digest-only", path, parent, default=False)
    for number, mirror in enumerate(_tables(table, "mirror", path, f"{parent}.")):
        key = f"{parent}.mirror[{number}]"
        name = _name(mirror, "location", path, key)
        if not name:
            raise InvalidFileError(f"{key} has no location", where=path, remedy="add it")
        pull_from = _value(mirror, "pull-from-mirror", path, key, default="")
        if pull_from not in {"", *PullFrom}:
            allowed = ", ".join(PullFrom)
            raise InvalidFileError(f"{key}.pull-from-mirror is {pull_from!r}", where=path, remedy=f"use {allowed}")
        yield Location(
            name,
            insecure=_value(mirror, "insecure", path, key, default=False),
            pull_from=PullFrom(pull_from or (PullFrom.DIGEST_ONLY if by_digest else PullFrom.ALL)),
        )


def _tables(table: Mapping[str, Any], name: str, path: Path, parent: str) -> list[dict[str, Any]]:
    found: list[Any] = _value(table, name, path, parent.removesuffix("."), default=[])
    if not all(isinstance(each, dict) for each in found):
        raise InvalidFileError(f"{parent}{name} is not an array of tables", where=path, remedy=f"write [[{name}]]")
    return found


def _name(table: Mapping[str, Any], name: str, path: Path, parent: str, *, wildcard: bool = False) -> str:
    """Return a ``host[:port][/path]``, Docker Hub by the name that references have for it."""
    text = _value(table, name, path, parent, default="").rstrip("/")
    if not text:
        return ""
    host, slash, rest = text.partition("/")
    if _HOST.match(host) is None or (host.startswith("*.") and (slash or not wildcard)):
        raise InvalidFileError(
            f"{parent}.{name} is {text!r}",
            where=path,
            remedy="write host[:port] with an optional /path and no scheme"
            + (", or *.domain alone" if wildcard else ""),
        )
    return f"{DEFAULT_REGISTRY if host in _HUB_ALIASES else host}{slash}{rest}"


def _value(table: Mapping[str, Any], name: str, path: Path, parent: str, *, default: T) -> T:
    value = table.get(name, default)
    if not isinstance(value, type(default)):
        kind = {bool: "true or false", str: "a string", list: "an array of tables"}[type(default)]
        raise InvalidFileError(f"{parent}.{name}".removeprefix(".") + f" is not {kind}", where=path)
    return value
