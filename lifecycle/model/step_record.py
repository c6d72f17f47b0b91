"""Records of steps: what one buildpack's ``bin/build`` left in one build.

A record holds no time, host, secret or value of the environment, so equal outputs of equal inputs give equal bytes
and equal digests.  Decision: spec/decisions/0012-shared-steps.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lifecycle.errors import CacheError
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.canonical import canonical, tagged, untagged
from lifecycle.model.group import GroupElement
from lifecycle.model.ids import is_layer_name
from lifecycle.model.launch import Build, Launch
from lifecycle.model.layer import LayerTypes, Store
from lifecycle.oci.digest import DiffId, Digest, digest_of, is_digest
from lifecycle.oci.manifest import Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.model.base import SpecModel, Table

MEDIA_PREFIX = "application/vnd.cnb-lifecycle.cache."
"""What the media types of our own begin with."""

STEP_TYPE = f"{MEDIA_PREFIX}step.v1+json"
VERSION = 1

FIELDS: Mapping[str, str] = {
    "buildpack": "the buildpack itself: its id, version, API or files",
    "plan": "the buildpack plan that it got",
    "app": "the app directory when the step started",
    "upstream": "build layers of earlier buildpacks, or the environment that they make",
    "env": "variables of the user or the operator, or whether the buildpack clears them",
    "bindings": "service bindings or secret variables",
    "target": "the target: os, architecture, variant or distribution",
    "exec-env": "the execution environment (CNB_EXEC_ENV)",
    "base": "the build image",
    "paths": "where layers, app and platform directories are",
    "user": "the user and group of the build",
    "format": "the lifecycle's form of layers",
    "cache-version": "the cache version that the user chose",
}
"""The fields of a key, each with what it stands for.  Their contents are rules of ``rules.step_key``."""

_FACTS = frozenset(each.name for each in fields(StepFacts))
_TOML_FILES: Mapping[str, type[SpecModel]] = {"launch.toml": Launch, "build.toml": Build, "store.toml": Store}


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """A layer that a step left.

    ``diff_id`` and ``size``, the bytes of its tar, are ``None`` for a layer without contents; ``blob`` is where they
    are stored, if they are.  ``metadata`` is ``None`` where ``<layer>.toml`` has no such table.  ``sbom`` has the
    digest of each SBOM file by what follows ``<layer>.sbom.``, such as ``cdx.json``.
    """

    name: str
    types: LayerTypes
    metadata: Table | None = None
    diff_id: DiffId | None = None
    size: int | None = None
    blob: Descriptor | None = None
    sbom: Mapping[str, Digest] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        """Return the JSON object."""
        types = self.types
        found: dict[str, Any] = {
            "name": self.name,
            "types": {"build": types.build, "launch": types.launch, "cache": types.cache},
        }
        if self.metadata is not None:
            found["metadata"] = tagged(self.metadata)
        if self.diff_id is not None:
            found["diffID"] = self.diff_id
        if self.size is not None:
            found["uncompressedSize"] = self.size
        if self.blob is not None:
            found |= {"blob": self.blob.digest, "size": self.blob.size, "mediaType": self.blob.media_type}
        if self.sbom:
            found["sbom"] = dict(self.sbom)
        return found


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step left: ``key`` names its inputs, ``None`` where they hold secrets that may not be told apart.

    ``inputs`` are the digests that the key consists of; ``outputs`` the tables of launch.toml, build.toml and
    store.toml; ``app_after`` and ``environment_after`` are digests of the app directory and of the build environment
    after the step, which a later step's key needs; ``facts`` are what it was made for.
    """

    buildpack: GroupElement
    layers: tuple[LayerRecord, ...] = ()
    key: Digest | None = None
    inputs: Mapping[str, Digest] = field(default_factory=dict)
    outputs: Mapping[str, Table] = field(default_factory=dict)
    app_after: Digest | None = None
    environment_after: Digest | None = None
    facts: StepFacts = field(default_factory=StepFacts)

    def value(self) -> dict[str, Any]:
        """Return the JSON object."""
        buildpack = self.buildpack
        found: dict[str, Any] = {
            "v": VERSION,
            "buildpack": {"id": buildpack.id, "version": buildpack.version, "api": buildpack.api},
            "layers": [layer.value() for layer in sorted(self.layers, key=lambda each: each.name)],
        }
        if self.key is not None:
            found["key"] = self.key
        if self.inputs:
            found["inputs"] = dict(self.inputs)
        if self.outputs:
            found["outputs"] = {name: tagged(table) for name, table in self.outputs.items()}
        if self.app_after is not None:
            found["app"] = {"after": self.app_after}
        if self.environment_after is not None:
            found["environment"] = {"after": self.environment_after}
        if facts := {name: text for name, text in asdict(self.facts).items() if text}:
            found["facts"] = facts
        return found

    def dumps(self) -> bytes:
        """Return the canonical bytes."""
        return canonical(self.value())

    @property
    def digest(self) -> Digest:
        """The digest of the canonical bytes."""
        return digest_of(self.dumps())

    @property
    def store(self) -> Table | None:
        """The table of store.toml, ``None`` where the buildpack has left none."""
        return self.outputs.get("store.toml")

    def keeping(self, layers: tuple[LayerRecord, ...]) -> StepRecord:
        """Return the same step with other layers."""
        return replace(self, layers=layers)


def step_key(fields: Mapping[str, Digest]) -> Digest:
    """Return the key of a step from the digests of all its fields; raise ``ValueError`` for other fields."""
    if fields.keys() != FIELDS.keys():
        raise ValueError(f"the fields of a step are {', '.join(FIELDS)}, not {', '.join(sorted(fields))}")
    return digest_of(b"cnb-step/v1\n" + canonical(dict(fields)))


def layer_key(key: Digest, layer: str) -> Digest:
    """Return the key of one layer of a step."""
    return digest_of(f"cnb-layer/v1\n{key}\n{layer}".encode("utf-8", "surrogateescape"))


def loads(data: bytes, *, where: str) -> StepRecord:
    """Read the bytes of a record; raise ``CacheError`` for what is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CacheError(f"is not JSON: {error}", where=where) from error
    return read_step_record(value, where=where)


def read_step_record(value: object, *, where: str) -> StepRecord:
    """Read the JSON object of a record; members that are not known are ignored.

    Raises ``CacheError`` for what is no record, or one of a later version.
    """
    try:
        return _read_record(value)
    except (ValueError, ValidationError, RecursionError) as error:
        raise CacheError(f"holds a record that can't be understood: {error}", where=where) from error


def _read_record(value: object) -> StepRecord:
    if not isinstance(value, dict) or value.get("v") != VERSION:
        raise ValueError(f"it is not of version {VERSION}, which this lifecycle reads")
    layers = value.get("layers")
    if not isinstance(layers, list):
        raise ValueError("it has no layers")  # noqa: TRY004  # of the file, not of a caller
    key = _optional_digest(value.get("key"))
    inputs = {str(name): _digest(each) for name, each in _object(value, "inputs").items()}
    if key is not None and key != step_key(inputs):
        raise ValueError(f"its key {key} is not that of its inputs")
    facts = {name: text for name, text in _object(value, "facts").items() if name in _FACTS and isinstance(text, str)}
    return StepRecord(
        buildpack=GroupElement.model_validate(_object(value, "buildpack")),
        layers=tuple(_read_layer(layer) for layer in layers),
        key=key,
        inputs=inputs,
        outputs=_read_outputs(_object(value, "outputs")),
        app_after=_optional_digest(_object(value, "app").get("after")),
        environment_after=_optional_digest(_object(value, "environment").get("after")),
        facts=StepFacts(**facts),
    )


def _read_layer(value: object) -> LayerRecord:
    if not isinstance(value, dict):
        raise ValueError("a layer is no object")  # noqa: TRY004
    name = value.get("name")
    if not isinstance(name, str) or not is_layer_name(name):
        raise ValueError(f"{name!r} can't be the name of a layer")
    diff_id = _optional_digest(value.get("diffID"))
    return LayerRecord(
        name=name,
        types=LayerTypes.model_validate(_object(value, "types")),
        metadata=_table(value["metadata"]) if "metadata" in value else None,
        diff_id=None if diff_id is None else DiffId(diff_id),
        size=_size(value["uncompressedSize"]) if "uncompressedSize" in value else None,
        blob=_read_blob(value),
        sbom={_sbom_name(name): _digest(each) for name, each in _object(value, "sbom").items()},
    )


def _read_blob(value: Mapping[str, Any]) -> Descriptor | None:
    if "blob" not in value:
        return None
    return Descriptor(str(value.get("mediaType", "")), _size(value.get("size")), _digest(value["blob"]))


def _read_outputs(value: Mapping[str, Any]) -> dict[str, Table]:
    outputs = {name: _table(table) for name, table in value.items() if name in _TOML_FILES}
    for name, table in outputs.items():
        _TOML_FILES[name].model_validate(table)
    return outputs


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"{name} is not an object")  # noqa: TRY004  # of the file, not of a caller
    return found


def _table(value: object) -> Table:
    found = untagged(value)
    if not isinstance(found, dict):
        raise ValueError("a table is no object")  # noqa: TRY004
    return found


def _sbom_name(name: str) -> str:
    if "/" in name or not name.endswith("json"):
        raise ValueError(f"{name!r} is no ending of an SBOM file")
    return name


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"the size {value!r} is no number of bytes")
    return value


def _digest(value: object) -> Digest:
    if not isinstance(value, str) or not is_digest(value):
        raise ValueError(f"{value!r} is no digest")
    return Digest(value)


def _optional_digest(value: object) -> Digest | None:
    return None if value is None else _digest(value)
