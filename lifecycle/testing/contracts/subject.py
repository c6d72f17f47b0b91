"""What a contract is about: all that is needed of it to collect its tests.

This module and those with the tests load nothing of the lifecycle: most runs of tests leave the contract out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A buildpack that is put through the contract, with an app that it builds.

    ``files`` are written into the copy of ``app``; ``env`` are variables of the user.  ``before`` and ``after`` are
    buildpacks beside it in the group.  ``plan`` replaces detection in builds: what the buildpack has to meet.
    ``broken`` are files of an app that passes detection and that it can't build.
    """

    buildpack: Path
    app: Path | None = None
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    plan: Sequence[str | Mapping[str, Any]] | None = None
    before: Sequence[Path] = ()
    after: Sequence[Path] = ()
    broken: Mapping[str, str | bytes] | None = None
