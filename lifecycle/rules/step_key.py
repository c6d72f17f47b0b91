"""What one buildpack's ``bin/build`` depends on, field by field, and which field made two keys differ.

A key (``model.step_record.step_key``) is a digest of digests, one for each field: whoever has a record can compute
its key again, and nobody learns more than which field changed.  Not in it: times, owners, hosts, the run image, the
previous image and restored layers.  Decision: spec/decisions/0012-shared-steps.md.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.model.canonical import canonical
from lifecycle.model.step_record import FIELDS
from lifecycle.oci.digest import Digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.model.step_record import LayerRecord
    from lifecycle.model.target import TargetData
    from lifecycle.oci.digest import DiffId

FORMAT = 1
"""Goes up when the same files would become another tar."""

SECRET_FIELDS = frozenset({"env", "bindings"})
"""Fields whose content may be secret: with a salt, their digests are keyed ones."""


@dataclass(frozen=True, slots=True)
class UpstreamLayer:
    """A layer that an earlier buildpack left for later ones."""

    buildpack_id: str
    name: str
    diff_id: DiffId | str


def field_digest(field: str, content: Any, *, salt: bytes = b"") -> Digest:
    """Return the digest of a field's content, a JSON value without floats.

    With ``salt`` the digest of a secret field can't be found by trying likely contents.
    """
    data = f"cnb-step-field/v1\n{field}\n".encode() + canonical(content)
    if salt and field in SECRET_FIELDS:
        return Digest("sha256:" + hmac.digest(salt, data, "sha256").hex())
    return digest_of(data)


def hint_key(buildpack_id: str, *, target: Mapping[str, Any], exec_env: str, paths: Mapping[str, str]) -> Digest:
    """Return the key under which any version of a step may be offered to its buildpack."""
    content = {"buildpack": buildpack_id, "target": target, "exec-env": exec_env, "paths": paths}
    return digest_of(b"cnb-hint/v1\n" + canonical(content))


def upstream_content(layers: Sequence[UpstreamLayer], environment: Digest) -> Any:
    """Return the content of the field ``upstream``: earlier build layers in order, and the environment they make."""
    rows = [[layer.buildpack_id, layer.name, layer.diff_id] for layer in layers]
    return {"layers": rows, "environment": environment}


def build_layers(buildpack_id: str, layers: Sequence[LayerRecord]) -> tuple[UpstreamLayer, ...]:
    """Return what the layers of one step are for later ones."""
    return tuple(UpstreamLayer(buildpack_id, layer.name, layer.diff_id or "") for layer in layers if layer.types.build)


_OF_THE_HOST = frozenset({"HOSTNAME", *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "NO"))})
"""Inherited variables that differ from host to host and change no layer; those of proxies may hold passwords."""


def build_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of a build's environment counts."""
    return {name: value for name, value in environment.items() if name.upper() not in _OF_THE_HOST}


def target_content(target: TargetData | None) -> dict[str, str]:
    """Return the content of the field ``target``."""
    if target is None:
        return {}
    distro = target.distro
    return {
        "os": target.os,
        "arch": target.arch,
        "arch-variant": target.arch_variant,
        "distro-name": distro.name if distro else "",
        "distro-version": distro.version if distro else "",
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """The record nearest to a step, and the fields in which they differ, in the order of ``FIELDS``."""

    record: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        if not self.fields:
            return f"equal to {self.record}"
        return f"differs from {self.record} in " + "; ".join(
            f"{field} ({FIELDS.get(field, 'a field of another version')})" for field in self.fields
        )


def nearest(fields: Mapping[str, str], records: Mapping[str, Mapping[str, str]]) -> Difference | None:
    """Return the record, by name, with the fewest fields that differ, the first of several; ``None`` without records.

    A field that only one side has differs.
    """
    found = [Difference(name, differing(fields, other)) for name, other in records.items()]
    return min(found, key=lambda each: len(each.fields), default=None)


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Return the fields in which two steps differ, known ones first."""
    names = dict.fromkeys((*FIELDS, *sorted({*one, *other})))
    return tuple(name for name in names if one.get(name) != other.get(name))
