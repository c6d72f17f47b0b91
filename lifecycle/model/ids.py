"""Names that become parts of paths: buildpack ids, versions, layer names.

Spec: buildpack.md "buildpack.toml (TOML)", distribution.md "Buildpack ID".
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

_RESERVED = frozenset({"app", "config", "generated", "sbom"})


def _module_id(text: str) -> str:
    parts = text.split("/")
    if not text or any(part in {"", ".", ".."} for part in parts) or not text.isprintable() or "\\" in text:
        raise ValueError("an id holds letters, digits, '.', '-' and '/', and no empty or '..' part")
    if text in _RESERVED:
        raise ValueError(f"the id {text!r} is reserved; choose another than {', '.join(sorted(_RESERVED))}")
    return text


def _version(text: str) -> str:
    if not text.isprintable() or "/" in text or text in {".", ".."}:
        raise ValueError("a version holds neither '/' nor control characters and is not '..'")
    return text


BuildpackId = Annotated[str, AfterValidator(_module_id)]
"""The id of a buildpack or image extension, safe as a path once its slashes are replaced."""

ModuleVersion = Annotated[str, AfterValidator(_version)]
"""The version of a buildpack or image extension, safe as one part of a path."""


def directory_name(module_id: str) -> str:
    """Return the name of the directories of a module: its id with ``/`` as ``_``."""
    return module_id.replace("/", "_")


def is_layer_name(name: str) -> bool:
    """Say whether ``name`` can be a layer of a buildpack: one part of a path, and no other file's name."""
    return name not in {"", ".", "..", "build", "launch", "store"} and "/" not in name and "\0" not in name
