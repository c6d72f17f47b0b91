"""``<layer>.toml`` and store.toml.  Spec: buildpack.md "Layer Content Metadata (TOML)", "store.toml (TOML)"."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from lifecycle.model.base import SpecModel, Table


class LayerTypes(SpecModel):
    """Who needs a layer: later buildpacks, the next build, the running app."""

    build: bool = False
    cache: bool = False
    launch: bool = False

    def names(self) -> tuple[str, ...]:
        """Return the flags that are set, in the order in which people are told of them."""
        return tuple(name for name in ("launch", "build", "cache") if getattr(self, name))


class LayerMetadata(SpecModel):
    """``<layer>.toml``; ``metadata`` is ``None`` where the file has no such table."""

    types: LayerTypes = Field(default_factory=LayerTypes)
    metadata: Table | None = None

    @model_validator(mode="before")
    @classmethod
    def _types_have_a_table(cls, data: Any) -> Any:
        if isinstance(data, dict) and {"launch", "cache", "build"} & data.keys():
            raise ValueError("the launch, cache and build flags should be in the types table")
        return data


class Store(SpecModel):
    """store.toml: what a buildpack keeps from build to build."""

    metadata: Table | None = None
