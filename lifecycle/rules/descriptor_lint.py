"""What a lifecycle accepts in buildpack.toml or extension.toml and its author should know of.

Spec: buildpack.md "buildpack.toml (TOML)", "Deprecations", image_extension.md "extension.toml (TOML)".
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lifecycle.model.api import BUILDPACK_APIS, ApiVersion, BuildpackApi, BuildpackFeature
from lifecycle.model.buildpackage import ModuleKind
from lifecycle.rules.sbom import MEDIA_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.rules.buildpackage import Module

_SBOM_TYPES = tuple(MEDIA_TYPES.values())

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\Z")
_ID = re.compile(r"[A-Za-z0-9./-]+\Z")
_TARGET: Mapping[str, Any] = {"os": {}, "arch": {}, "variant": {}, "distros": {"name": {}, "version": {}}}
_MODULE: Mapping[str, Any] = {
    "id": {}, "version": {}, "name": {}, "homepage": {}, "description": {}, "keywords": {},
    "licenses": {"type": {}, "uri": {}},
}  # fmt: skip
_KEYS: Mapping[ModuleKind, Mapping[str, Any]] = {
    ModuleKind.BUILDPACK: {
        "api": {},
        "buildpack": {**_MODULE, "clear-env": {}, "sbom-formats": {}, "exec-env": {"name": {}}},
        "order": {"group": {"id": {}, "version": {}, "optional": {}, "exec-env": {"name": {}}}},
        "targets": _TARGET,
        "stacks": {"id": {}, "mixins": {}},
        "metadata": {},
    },
    ModuleKind.EXTENSION: {"api": {}, "extension": _MODULE, "targets": _TARGET, "metadata": {}},
}


class Severity(StrEnum):
    """How bad a finding is: lifecycles or platforms refuse it, it surprises, or it could be better."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a file of a buildpack: ``rule`` is a name that stays, ``path`` is below its root."""

    severity: Severity
    rule: str
    path: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.severity}: {self.message}; {self.remedy} [{self.rule}]"


def lint_descriptor(module: Module, table: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what there is to say of a descriptor that could be read; ``table`` is its TOML."""
    path = module.kind.descriptor
    yield from _unknown_keys(table, _KEYS[module.kind], "", path)
    yield from _api(module, path)
    yield from _name(module, path)
    yield from _features(module, path)
    yield from _where_it_runs(module, path)
    yield from _texts(module, path)


def _unknown_keys(table: Any, known: Mapping[str, Any], place: str, path: str) -> Iterator[Finding]:
    if isinstance(table, list):
        for each in table:
            yield from _unknown_keys(each, known, place, path)
    if not isinstance(table, dict) or not known:
        return
    for key, value in table.items():
        if key in known:
            yield from _unknown_keys(value, known[key], f"{place}{key}.", path)
            continue
        near = difflib.get_close_matches(key, known, 1)
        remedy = f"did you mean {place}{near[0]}?" if near else "put what is for the buildpack itself below [metadata]"
        yield Finding(Severity.WARNING, "unknown-key", path, f"{place}{key} is no key of the specification", remedy)


def _api(module: Module, path: str) -> Iterator[Finding]:
    supported = ", ".join(map(str, BUILDPACK_APIS))
    try:
        version = ApiVersion.parse(module.api)
    except ValueError:
        yield Finding(
            Severity.ERROR, "api", path, f"api {module.api!r} is not <major>.<minor>", f"write one of {supported}"
        )
        return
    if version not in BUILDPACK_APIS:
        yield Finding(Severity.ERROR, "api", path, f"api {version} is not supported", f"write one of {supported}")


def _name(module: Module, path: str) -> Iterator[Finding]:
    if not _ID.match(module.info.id):
        yield Finding(
            Severity.ERROR,
            "id",
            path,
            f"id {module.info.id!r} has other characters than letters, digits, '.', '/' and '-'",
            "choose another",
        )
    if "/" not in module.info.id and "." not in module.info.id:
        yield Finding(
            Severity.WARNING,
            "global-id",
            path,
            f"id {module.info.id!r} may be that of somebody else's too",
            "put your own name before it, as in yourname/" + module.info.id,
        )
    if not _VERSION.match(module.info.version):
        yield Finding(
            Severity.ERROR, "version", path, f"version {module.info.version!r} is not X.Y.Z", "write it as in 1.0.0"
        )
    for element in module.refers_to:
        if not element.version:
            yield Finding(
                Severity.ERROR,
                "order-version",
                path,
                f"the order names {element.id} without a version",
                "write the version that you tested with",
            )


def _features(module: Module, path: str) -> Iterator[Finding]:
    if unknown := [each for each in module.info.sbom_formats if each not in _SBOM_TYPES]:
        yield Finding(
            Severity.ERROR,
            "sbom-formats",
            path,
            f"sbom-formats has {', '.join(unknown)}",
            f"the formats are {', '.join(_SBOM_TYPES)}",
        )
    version = _version(module.api)
    if version is None or BuildpackFeature.EXEC_ENV in BuildpackApi(version):
        return
    if module.info.exec_env or any(element.exec_env for element in module.refers_to):
        oldest = next(each for each in BUILDPACK_APIS if BuildpackFeature.EXEC_ENV in BuildpackApi(each))
        yield Finding(
            Severity.WARNING, "exec-env", path, f"exec-env means nothing before api {oldest}", f"write api {oldest}"
        )


def _where_it_runs(module: Module, path: str) -> Iterator[Finding]:
    if module.order or module.kind is ModuleKind.EXTENSION:
        return
    version = _version(module.api)
    has_targets = version is not None and BuildpackFeature.TARGETS in BuildpackApi(version)
    if module.stacks and has_targets:
        yield Finding(
            Severity.WARNING, "stacks", path, f"stacks are deprecated in api {version}", "write [[targets]] instead"
        )
    if module.targets or module.stacks:
        return
    if has_targets:
        # Spec: buildpack.md "Targets": tools infer them from bin/build.
        what, remedy = "no [[targets]]: it is taken to run on any architecture", 'add [[targets]] with os = "linux"'
        yield Finding(Severity.ADVICE, "targets", path, what, remedy)
    else:
        what, remedy = "nothing says on which systems it runs", "add [[stacks]], or [[targets]] with api 0.10"
        yield Finding(Severity.WARNING, "targets", path, what, remedy)


def _texts(module: Module, path: str) -> Iterator[Finding]:
    table = f"[{module.kind}]"
    for key, value in (("name", module.info.name), ("description", module.info.description)):
        if not value:
            yield Finding(Severity.ADVICE, key, path, f"{table} has no {key}", "registries and logs show it: add one")
    if not module.info.licenses:
        yield Finding(
            Severity.ADVICE,
            "licenses",
            path,
            "no license is named",
            f'add [[{module.kind}.licenses]] with type = "<SPDX expression>"',
        )


def _version(api: str) -> ApiVersion | None:
    try:
        return ApiVersion.parse(api)
    except ValueError:
        return None
