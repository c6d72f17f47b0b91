"""What a registry asks for with a 401.

Spec: RFC 9110 "WWW-Authenticate"; Docker Registry v2 "Token Authentication Specification".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  # a grammar rule of that name
_SCHEME = re.compile(rf"[\s,]*({_TOKEN}+)(?!\s*=)")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.DOTALL)
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9\-._~+/]+=*\s*(?=,|\Z)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate: ``scheme`` and the names of ``parameters`` in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is for: ``repository:<name>:<actions>``."""

    resource: str
    actions: frozenset[str]

    @property
    def text(self) -> str:
        """The scope as token servers read it; pull comes before push, as every client sends it."""
        return f"{self.resource}:{','.join(sorted(self.actions))}"


def repository_scope(repository: str, *actions: str) -> Scope:
    """Return the scope of actions (``pull``, ``push``, ``delete``) on a repository."""
    return Scope(f"repository:{repository}", frozenset(actions))


def read_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the value of a ``WWW-Authenticate`` header; what can't be understood is left out."""
    found: list[Challenge] = []
    at = 0
    while (scheme := _SCHEME.match(header, at)) is not None:
        at = scheme.end()
        parameters: dict[str, str] = {}
        if (token := _TOKEN68.match(header, at)) is not None:
            at = token.end()
        while (parameter := _PARAMETER.match(header, at)) is not None:
            name, quoted, plain = parameter.groups()
            parameters.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain)
            at = parameter.end()
        found.append(Challenge(scheme.group(1).lower(), parameters))
    return tuple(found)


def read_scopes(text: str) -> tuple[Scope, ...]:
    """Read the space-separated scopes of a challenge."""
    found = []
    for each in text.split():
        resource, colon, actions = each.rpartition(":")
        if colon and resource:
            found.append(Scope(resource, frozenset(filter(None, actions.split(",")))))
    return tuple(found)


def merge_scopes(*groups: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return one scope for each resource, with all its actions, in the order of first mention."""
    merged: dict[str, frozenset[str]] = {}
    for scope in (each for group in groups for each in group):
        merged[scope.resource] = merged.get(scope.resource, frozenset()) | scope.actions
    return tuple(Scope(resource, actions) for resource, actions in merged.items())
