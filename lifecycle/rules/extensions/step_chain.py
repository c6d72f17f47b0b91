"""Keys of the steps of Dockerfiles: equal keys mean that a step would find the same files and do the same.

A key depends on the base image, the layers made so far, all steps before in the same Dockerfile, and the step itself
with its variables and the files it copies.  So a build argument that is new in each build, as ``build_id``, makes all
steps after its declaration new.  Spec: image_extension.md "Dockerfile Requirements".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.oci.digest import DiffId
    from lifecycle.rules.extensions.dockerfile_steps import Step

_VERSION = 1


def start_of_chain(base_digest: str) -> str:
    """Return what the first key of a Dockerfile follows; ``base_digest`` is that of the image that is extended."""
    return _digest([_VERSION, base_digest])


def step_key(previous: str, layers: Sequence[DiffId], step: Step, *, context: str) -> str:
    """Return the key of a step; ``context`` is the fingerprint of what it copies."""
    return _digest(
        [
            previous,
            list(layers),
            type(step.action).__name__,
            dataclasses.asdict(step.action),
            sorted(step.env.items()),
            step.user,
            step.working_dir,
            context,
        ]
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
