"""Image configurations, read and written as the reference does it.

Only the fields that the reference knows survive a round trip, in its order and with its omissions.
Spec: OCI image-spec config.md.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CorruptImageError
from lifecycle.oci.digest import DiffId, is_digest
from lifecycle.oci.gojson import Struct, dumps
from lifecycle.oci.manifest import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RUN_CONFIG_KEYS = (
    "AttachStderr", "AttachStdin", "AttachStdout", "Cmd", "Healthcheck", "Domainname", "Entrypoint", "Env",
    "Hostname", "Image", "Labels", "OnBuild", "OpenStdin", "StdinOnce", "Tty", "User", "Volumes", "WorkingDir",
    "ExposedPorts", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "Shell",
)  # fmt: skip
_SETS = frozenset({"Volumes", "ExposedPorts"})
"""Objects of which only the names count."""
_TEXTS = ("User", "WorkingDir")
_LISTS_OF_TEXTS = ("Env", "OnBuild", "Shell")
_HEALTHCHECK_KEYS = ("Test", "Interval", "Timeout", "StartPeriod", "Retries")
_TOP_KEYS = (
    "architecture", "author", "container", "created", "docker_version", "history", "os", "rootfs", "config",
    "os.version", "variant", "os.features",
)  # fmt: skip
_HISTORY_KEYS = ("author", "created", "created_by", "comment", "empty_layer")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of an image's history; ``created`` is RFC 3339."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    def struct(self) -> Struct:
        """Return the JSON object."""
        fields = Struct()
        if self.author:
            fields["author"] = self.author
        fields["created"] = self.created or "0001-01-01T00:00:00Z"
        if self.created_by:
            fields["created_by"] = self.created_by
        if self.comment:
            fields["comment"] = self.comment
        if self.empty_layer:
            fields["empty_layer"] = True
        return fields


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image configuration.

    ``run`` is the object ``config`` with its known keys only, empty values left out.  ``inline_cache`` are the records
    of BuildKit's inline cache, which hold for this image's layers only: it is written but not read.
    """

    architecture: str
    os: str
    diff_ids: tuple[DiffId, ...]
    history: tuple[HistoryEntry, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    created: str = "0001-01-01T00:00:00Z"
    author: str = ""
    container: str = ""
    docker_version: str = ""
    os_version: str = ""
    variant: str = ""
    os_features: tuple[str, ...] = ()
    rootfs_type: str = "layers"
    inline_cache: bytes = b""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the image."""
        return self.run.get("Labels") or {}

    @property
    def env(self) -> Sequence[str]:
        """The ``NAME=value`` entries of the environment."""
        return self.run.get("Env") or ()

    @property
    def variables(self) -> dict[str, str]:
        """The environment by names; of several entries for a name the last counts."""
        return dict(entry.partition("=")[::2] for entry in self.env)

    def dumps(self) -> bytes:
        """Return the bytes whose digest is the image id."""
        fields = Struct(architecture=self.architecture)
        if self.author:
            fields["author"] = self.author
        if self.container:
            fields["container"] = self.container
        fields["created"] = self.created
        if self.docker_version:
            fields["docker_version"] = self.docker_version
        if self.history:
            fields["history"] = [entry.struct() for entry in self.history]
        fields["os"] = self.os
        fields["rootfs"] = Struct(type=self.rootfs_type, diff_ids=list(self.diff_ids))
        fields["config"] = _run_struct(self.run)
        if self.os_version:
            fields["os.version"] = self.os_version
        if self.variant:
            fields["variant"] = self.variant
        if self.os_features:
            fields["os.features"] = list(self.os_features)
        if self.inline_cache:
            fields["moby.buildkit.cache.v0"] = base64.b64encode(self.inline_cache).decode()
        return dumps(fields).encode("utf-8", "surrogateescape")


def _run_struct(run: Mapping[str, Any]) -> Struct:
    fields = Struct()
    for key in _RUN_CONFIG_KEYS:
        value = run.get(key)
        if key == "Healthcheck" and value is not None:
            fields[key] = Struct((name, value[name]) for name in _HEALTHCHECK_KEYS if value.get(name))
            continue
        if value in (None, "", False, 0) or value in ([], {}):
            continue
        fields[key] = list(value) if isinstance(value, tuple) else value
    return fields


def _known(value: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return the known keys of ``value``: exact matches, or else those that differ in case only."""
    by_lower = {key.lower(): key for key in value}
    found = {key: value[key] if key in value else value.get(by_lower.get(key.lower(), key)) for key in keys}
    return {key: item for key, item in found.items() if item is not None}


def read_config(data: bytes, *, where: str) -> ImageConfig:
    """Read an image configuration; raise ``CorruptImageError`` where a field has the wrong type."""
    top = _known(read_object(data, where=where), _TOP_KEYS)

    def text(key: str) -> str:
        value = top.get(key, "")
        if not isinstance(value, str):
            raise CorruptImageError(f"has {key} = {value!r}, expected a string", where=where)
        return value

    rootfs, run, history = top.get("rootfs", {}), top.get("config", {}), top.get("history", [])
    if not isinstance(rootfs, dict) or not isinstance(run, dict) or not isinstance(history, list):
        raise CorruptImageError("is not an image configuration", where=where)
    diff_ids = rootfs.get("diff_ids") or []
    if not isinstance(diff_ids, list) or not all(isinstance(each, str) and is_digest(each) for each in diff_ids):
        raise CorruptImageError("has diff_ids that are not digests", where=where)
    features = top.get("os.features", [])
    if not isinstance(features, list) or not all(isinstance(each, str) for each in features):
        raise CorruptImageError("has os.features that are not a list of strings", where=where)
    return ImageConfig(
        architecture=text("architecture"),
        os=text("os"),
        diff_ids=tuple(DiffId(each) for each in diff_ids),
        history=tuple(_read_history(entry) for entry in history if isinstance(entry, dict)),
        run=_read_run(run, where=where),
        created=text("created") or "0001-01-01T00:00:00Z",
        author=text("author"),
        container=text("container"),
        docker_version=text("docker_version"),
        os_version=text("os.version"),
        variant=text("variant"),
        os_features=tuple(features),
        rootfs_type=str(rootfs.get("type") or "layers"),
    )


def _read_run(run: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Read the object ``config``."""
    known = _known(run, _RUN_CONFIG_KEYS)
    known |= {key: _names_of(known[key], key, where=where) for key in _SETS if key in known}
    labels = known.get("Labels", {})
    if not isinstance(labels, dict) or not all(isinstance(each, str) for each in labels.values()):
        raise CorruptImageError("has labels that are not strings", where=where)
    for key in _LISTS_OF_TEXTS:
        listed = known.get(key, [])
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise CorruptImageError(f"has {key} that is not a list of strings", where=where)
    for key in _TEXTS:
        if not isinstance(known.get(key, ""), str):
            raise CorruptImageError(f"has {key} = {known[key]!r}, expected a string", where=where)
    if not isinstance(known.get("Healthcheck", {}), dict):
        raise CorruptImageError("has a health check that is not an object", where=where)
    return known


def _names_of(value: Any, key: str, *, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CorruptImageError(f"has {key} that are not an object", where=where)
    return {name: {} for name in value}


def _read_history(entry: Mapping[str, Any]) -> HistoryEntry:
    known = _known(entry, _HISTORY_KEYS)
    return HistoryEntry(
        created=str(known.get("created", "")),
        created_by=str(known.get("created_by", "")),
        author=str(known.get("author", "")),
        comment=str(known.get("comment", "")),
        empty_layer=bool(known.get("empty_layer", False)),
    )
