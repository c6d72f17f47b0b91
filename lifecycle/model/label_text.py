"""The texts of the two labels that the next build reads, as models.

Spec: platform.md "io.buildpacks.lifecycle.metadata (JSON)".  Reference: as Go's decoder does it, a ``null``
is as good as a missing key, and numbers become floats.
"""

from __future__ import annotations

from typing import Any, TypeVar

from lifecycle.model.base import SpecModel
from lifecycle.model.lifecycle_metadata import CacheMetadata, LifecycleMetadata
from lifecycle.oci.gojson import loads

_M = TypeVar("_M", bound=SpecModel)

# Below these keys lies what belongs to a buildpack, where a null is a value.
_FOREIGN = frozenset({"data", "metadata"})


def read_lifecycle_metadata(text: str) -> LifecycleMetadata:
    """Read the label of an app image; raise ``ValueError`` if it can't be understood."""
    return _read(LifecycleMetadata, text)


def read_cache_metadata(text: str) -> CacheMetadata:
    """Read the label or file of a cache; raise ``ValueError`` if it can't be understood."""
    return _read(CacheMetadata, text)


def _read(model: type[_M], text: str) -> _M:
    value = loads(text)
    return model() if value is None else model.model_validate(_without_nulls(value))


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: each if key.lower() in _FOREIGN else _without_nulls(each)
                for key, each in value.items()
                if each is not None
            }
        case list():
            return [_without_nulls(each) for each in value]
        case _:
            return value
