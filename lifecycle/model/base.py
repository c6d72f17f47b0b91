"""What all models of spec files share: strict types, no mutation, Go's reading of keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

_T = TypeVar("_T")

ListOf = Annotated[tuple[_T, ...], Field(strict=False)]
"""An array of a file, kept as a tuple; its elements stay strict."""

Table = dict[str, Any]
"""A table whose content belongs to a buildpack or a platform: any keys, any TOML values."""


def kebab(name: str) -> str:
    """Return the key of a spec file for a field: ``working_dir`` is written ``working-dir``."""
    return name.replace("_", "-")


class SpecModel(BaseModel):
    """One table of a spec file: strict, frozen, unknown keys ignored.

    Keys match exactly or, failing that, without regard to case, as the reference's decoder does it.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=kebab,
        populate_by_name=True,
        defer_build=True,
        ser_json_inf_nan="strings",
    )

    @model_validator(mode="before")
    @classmethod
    def _match_keys_without_case(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        expected = {field.alias or name for name, field in cls.model_fields.items()}
        missing = {key.lower(): key for key in expected if key not in data}
        return {
            key if key in expected else missing.get(key.lower(), key): value
            for key, value in data.items()
            if isinstance(key, str)
        }
