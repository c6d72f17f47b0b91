"""What a build saw of its steps, for the export that turns it into keys: digests only, in a file between phases."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from lifecycle.errors import CacheError
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.canonical import canonical
from lifecycle.oci.digest import Digest, is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedStep:
    """The fields of a step's key but for ``upstream``, which takes the diffIDs that export finds.

    ``environment`` is the digest of the build environment before the step and ``environment_after`` after it,
    ``app_after`` that of the app directory after it, ``None`` where it could not be read.  ``withheld`` says why the
    step has no key and no fields, ``""`` if it has.
    """

    buildpack_id: str
    version: str
    fields: Mapping[str, Digest]
    environment: Digest
    environment_after: Digest
    app_after: Digest | None
    withheld: str = ""
    facts: StepFacts = field(default_factory=StepFacts)


def dumps(steps: tuple[ObservedStep, ...]) -> bytes:
    """Return the bytes of the file."""
    rows = [
        {
            "id": step.buildpack_id,
            "version": step.version,
            "fields": dict(step.fields),
            "environment": step.environment,
            "environment-after": step.environment_after,
            "app-after": step.app_after,
            "withheld": step.withheld,
            "facts": asdict(step.facts),
        }
        for step in steps
    ]
    return canonical({"v": 1, "steps": rows})


def loads(data: bytes, *, where: str) -> tuple[ObservedStep, ...]:
    """Read the bytes of the file; raise ``CacheError`` for anything else."""
    try:
        value = json.loads(data)
        if not isinstance(value, dict) or value.get("v") != 1:
            raise ValueError("it is not of version 1")  # noqa: TRY301
        return tuple(_read(row) for row in value["steps"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CacheError(f"can't be understood: {error}", where=where) from error


def _read(row: Mapping[str, Any]) -> ObservedStep:
    return ObservedStep(
        buildpack_id=str(row["id"]),
        version=str(row["version"]),
        fields={str(name): _digest(each) for name, each in row["fields"].items()},
        environment=_digest(row["environment"]),
        environment_after=_digest(row["environment-after"]),
        app_after=None if row["app-after"] is None else _digest(row["app-after"]),
        withheld=str(row["withheld"]),
        facts=StepFacts(**{each.name: str(row["facts"][each.name]) for each in fields(StepFacts)}),
    )


def _digest(value: object) -> Digest:
    if not isinstance(value, str) or not is_digest(value):
        raise ValueError(f"{value!r} is no digest")
    return Digest(value)
