"""Buildpack API versions, and one row for each difference between them that a buildpack can meet.

Spec: buildpack.md and image_extension.md, "Buildpack API Version" and the documents' tagged versions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, unique

from cnb_buildpack.errors import BuildpackError

_VERSION = re.compile(r"0\.(0|[1-9][0-9]*)")
_OLDEST, _NEWEST = 7, 12


@dataclass(frozen=True, slots=True)
class _Span:
    """The minor versions in which something holds, and what it is, as the subject of "needs Buildpack API ..."."""

    since: int
    until: int
    subject: str


@unique
class Feature(Enum):
    """One row for each difference between supported versions."""

    VARIABLES = _Span(8, _NEWEST, "an input by CNB_* variable")
    WORKING_DIR = _Span(8, _NEWEST, "the working directory of a process")
    SHELL_PROCESS = _Span(_OLDEST, 8, "a command line for the shell")
    PROFILE_D = _Span(_OLDEST, 8, "a profile.d script")
    COMMAND_LIST = _Span(9, _NEWEST, "a process with arguments that a user may replace")
    EXTENSIONS = _Span(9, _NEWEST, "an image extension")
    TARGETS = _Span(10, _NEWEST, "a target by CNB_TARGET_* variables")
    RUN_DOCKERFILE_EXTENDS = _Span(10, _NEWEST, "a run.Dockerfile with more than FROM")
    RUN_ARGS = _Span(10, _NEWEST, "an argument of run.Dockerfile")
    CONTEXT_DIRS = _Span(11, _NEWEST, "a build context directory of an extension")
    EXEC_ENV = _Span(12, _NEWEST, "an execution environment")


@dataclass(frozen=True, slots=True)
class Api:
    """The ``api`` of a buildpack.toml or extension.toml; ``0.<minor>``."""

    minor: int
    where: str = "buildpack.toml"

    @classmethod
    def parse(cls, text: object, *, where: str) -> Api:
        """Read ``api``; raise ``BuildpackError`` unless this SDK supports it."""
        found = _VERSION.fullmatch(text) if isinstance(text, str) else None
        if found is None or not _OLDEST <= int(found[1]) <= _NEWEST:
            problem = "has no api" if text is None else f"api {text!r} is not supported"
            raise BuildpackError(f"{where}: {problem}", fix=f'write one from api = "0.{_OLDEST}" to "0.{_NEWEST}"')
        return cls(int(found[1]), where)

    def __contains__(self, feature: Feature) -> bool:
        span = feature.value
        return span.since <= self.minor <= span.until

    def require(self, feature: Feature, what: str, *, otherwise: str | None = None) -> None:
        """Raise ``BuildpackError`` unless this version has the feature; ``what`` names the value that asks for it.

        ``otherwise`` is what to do for those who can't change the version.
        """
        if feature in self:
            return
        span = feature.value
        newer = self.minor < span.since
        versions = f"0.{span.since} or newer" if newer else f"0.{span.until} or older"
        change = f'set api = "0.{span.since if newer else span.until}" in {self.where}'
        raise BuildpackError(
            f"{what}: {span.subject} needs Buildpack API {versions}, and {self.where} declares {self}",
            fix=f"{otherwise}, or {change}" if otherwise else change,
        )

    def __str__(self) -> str:
        return f"0.{self.minor}"
