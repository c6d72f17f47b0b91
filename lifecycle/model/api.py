"""Platform and Buildpack API versions, and one row for each difference between them.

No version literal stands outside this module and the table of platform inputs.
Spec: platform.md and buildpack.md "Buildpack API Version", "Platform API Version".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, unique

from lifecycle.errors import BuildpackApiError, PlatformApiError

_VERSION = re.compile(r"v?([0-9]+)\.?([0-9]*)\Z")


@dataclass(frozen=True, order=True, slots=True)
class ApiVersion:
    """``<major>.<minor>``; they compare as numbers, so 0.7 is below 0.10."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> ApiVersion:
        """Read ``0.12``, ``v0.12`` or a bare major ``1``; raise ``ValueError`` for anything else."""
        match = _VERSION.match(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form <major>.<minor>")
        return cls(int(match[1]), int(match[2] or 0))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class _Span:
    """The versions in which a difference holds: ``since`` and ``until`` belong to it."""

    since: ApiVersion
    until: ApiVersion | None
    sentence: str

    def holds_in(self, version: ApiVersion) -> bool:
        return self.since <= version and (self.until is None or version <= self.until)


def _from(since: str, sentence: str, *, until: str | None = None) -> _Span:
    return _Span(ApiVersion.parse(since), None if until is None else ApiVersion.parse(until), sentence)


@unique
class PlatformFeature(Enum):
    """One row for each difference between supported Platform API versions."""

    SBOM = _from("0.8", "SBOM files are copied, exported, cached and restored")
    BOM_IN_LABEL = _from("0.7", "bom is in metadata.toml, label and report", until="0.8")
    LEGACY_SBOM_FILE = _from("0.9", "bom goes to sbom.legacy.json")
    SOURCE_DATE_EPOCH = _from("0.9", "SOURCE_DATE_EPOCH sets the creation time")
    COMMAND_LIST = _from("0.10", "a process command is a list, user arguments replace default ones")
    EXTENSIONS_EXPERIMENTAL = _from("0.10", "image extensions need CNB_EXPERIMENTAL_MODE", until="0.12")
    EXTENDER = _from("0.10", "the extender exists, and the restorer prepares its base images")
    CREATOR_ALWAYS_RESTORES = _from("0.10", "creator restores store.toml although -skip-restore is given")
    LIFECYCLE_SBOM = _from("0.11", "SBOMs of lifecycle and launcher join those of the build")
    STACK_TOML = _from("0.7", "the run image comes from stack.toml", until="0.11")
    RUN_TOML = _from("0.12", "the run image comes from run.toml")
    TARGETS = _from("0.12", "targets are compared with the run image, whose target data is recorded")
    HISTORY = _from("0.12", "the image history tells who created a layer")
    RUN_IMAGE_EXTENSION = _from("0.12", "extensions may extend the run image")
    RUN_IMAGE_IN_LABEL = _from("0.12", "label and analyzed.toml name the run image and its mirrors")
    GENERATED_BY_ID = _from("0.13", "Dockerfiles lie in <generated>/<id>/<kind>.Dockerfile with contexts")
    CACHE_ONLY_METADATA = _from("0.14", "metadata of a launch layer that only the cache has is restored")
    RESTORER_READS_RUN_TOML = _from("0.14", "restorer checks access to the run image")
    EXEC_ENV = _from("0.15", "CNB_EXEC_ENV selects buildpacks and processes")
    OLD_CACHE_IMAGE_DELETED = _from("0.7", "the manifest of the cache image that was replaced is deleted", until="0.12")
    SYSTEM_BUILDPACKS = _from("0.15", "system.toml adds buildpacks around each group")


@unique
class BuildpackFeature(Enum):
    """One row for each difference between supported Buildpack API versions."""

    WORKING_DIRECTORY = _from("0.8", "a process has its own working directory")
    INPUTS_IN_ENVIRONMENT = _from("0.8", "CNB_* variables tell where inputs and outputs are")
    STRING_COMMAND = _from("0.7", "a process command is one string and may run in a shell", until="0.8")
    COMMAND_LIST = _from("0.9", "a process command is a list and always direct")
    TARGETS = _from("0.10", "CNB_TARGET_* variables tell the target")
    EXEC_ENV = _from("0.12", "CNB_EXEC_ENV is given, exec-env keys are honoured")


PLATFORM_APIS = tuple(ApiVersion(0, minor) for minor in range(7, 16))
"""Supported Platform API versions, oldest first."""

BUILDPACK_APIS = tuple(ApiVersion(0, minor) for minor in range(7, 13))
"""Supported Buildpack API versions, oldest first."""


@dataclass(frozen=True, slots=True)
class PlatformApi:
    """The Platform API version that a platform asked for: ``PlatformFeature.X in api``."""

    version: ApiVersion

    @classmethod
    def parse(cls, text: str | None) -> PlatformApi:
        """Read ``CNB_PLATFORM_API``; raise ``PlatformApiError`` unless it is supported.

        Spec: platform.md "Platform API Compatibility".
        """
        supported = f"set CNB_PLATFORM_API to one of {', '.join(map(str, PLATFORM_APIS))}"
        if not text:
            raise PlatformApiError(
                "failed to get platform API version; please set 'CNB_PLATFORM_API' to specify the desired platform "
                "API version",
                remedy=supported,
            )
        try:
            version = ApiVersion.parse(text)
        except ValueError as error:
            raise PlatformApiError(f"failed to parse platform API '{text}'", remedy=supported) from error
        if version not in PLATFORM_APIS:
            raise PlatformApiError(
                f"platform API version '{text}' is incompatible with the lifecycle", remedy=supported
            )
        return cls(version)

    def __contains__(self, feature: PlatformFeature) -> bool:
        return feature.value.holds_in(self.version)

    def __str__(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class BuildpackApi:
    """The Buildpack API version of one buildpack or extension: ``BuildpackFeature.X in api``."""

    version: ApiVersion

    @classmethod
    def parse(cls, text: str, *, module: str) -> BuildpackApi:
        """Read the ``api`` of ``module`` (as in ``Buildpack 'a/b@1.2'``); raise ``BuildpackApiError`` unless supported.

        Spec: buildpack.md "Buildpack API Version".
        """
        supported = f"one of the APIs {', '.join(map(str, BUILDPACK_APIS))}"
        remedy = f"use a version of it with {supported}" if text else f'name {supported} at the top, as api = "…"'
        try:
            version = ApiVersion.parse(text)
        except ValueError as error:
            raise BuildpackApiError(f"failed to parse buildpack API '{text}' for {module}", remedy=remedy) from error
        if version not in BUILDPACK_APIS:
            raise BuildpackApiError(
                f"failed to set API for {module}: buildpack API version '{text}' is incompatible with the lifecycle",
                remedy=remedy,
            )
        return cls(version)

    def __contains__(self, feature: BuildpackFeature) -> bool:
        return feature.value.holds_in(self.version)

    def __str__(self) -> str:
        return str(self.version)


LATEST_PLATFORM_API = PlatformApi(PLATFORM_APIS[-1])
"""What ``lifecycle build`` speaks to itself."""
