"""The configuration of an image after the Dockerfiles of extensions.

Spec: platform.md "extender" (outputs); image_extension.md "Dockerfile Requirements".
Reference: phase/extender.go for the history and the time of creation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.oci.config import HistoryEntry, ImageConfig
from lifecycle.rules.image_config import base_history
from lifecycle.rules.rebase import REBASABLE_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.oci.digest import DiffId
    from lifecycle.rules.extensions.dockerfile_steps import Applied

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_NEVER = "0001-01-01T00:00:00Z"


def sets_rebasable(labels: Mapping[str, str]) -> bool:
    """Say whether a Dockerfile with these labels declares its layers safe to be put on another base."""
    return labels.get(REBASABLE_LABEL, "") in _TRUE


def created_by(instruction: str, extension_id: str) -> str:
    """Return what the history says of a layer."""
    return f"Layer: '{instruction}', Created by extension: {extension_id}"


def after_dockerfile(
    config: ImageConfig,
    applied: Applied,
    layers: Sequence[tuple[DiffId, str]],
    *,
    extension_id: str,
    rebasable: bool,
) -> ImageConfig:
    """Return the configuration after a Dockerfile that made these layers: diffID and instruction of each.

    ``rebasable`` says whether this and all Dockerfiles before set the label.
    """
    labels = {**(applied.config.get("Labels") or {}), REBASABLE_LABEL: str(rebasable).lower()}
    entries = tuple(HistoryEntry(created_by=created_by(each, extension_id)) for _, each in layers)
    return replace(
        config,
        created=_NEVER,
        author=applied.author,
        run={**applied.config, "Labels": labels},
        diff_ids=(*config.diff_ids, *(diff_id for diff_id, _ in layers)),
        history=(*base_history(config), *entries),
    )
