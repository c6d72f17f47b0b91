"""Exit codes: which number tells a platform what went wrong.  Spec: platform.md, "Exit Code" of each phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.inputs.flags import FlagError
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import (
    BuildError,
    BuildpackApiError,
    BuildpackBuildError,
    BuildpackDetectError,
    DetectionError,
    ExportError,
    ExtendError,
    ExtensionGenerateError,
    GenerateError,
    InvalidFileError,
    InvalidInputError,
    NoGroupDetectedError,
    PlatformApiError,
)

if TYPE_CHECKING:
    from lifecycle.errors import LifecycleError

GENERIC = 1
SIGNALLED = 128
"""Added to the number of the signal that ended the program."""

_BY_ERROR: tuple[tuple[type[LifecycleError], int], ...]
_BY_ERROR = (
    (FlagError, 2),
    (InvalidInputError, 3),
    (PlatformApiError, 11),
    (BuildpackApiError, 12),
    (NoGroupDetectedError, 20),
    (BuildpackDetectError, 21),
    (DetectionError, 22),
    (BuildpackBuildError, 51),
    (BuildError, 52),
    (ExtensionGenerateError, 91),
    (GenerateError, 92),
    (ExtendError, 102),
    (ExportError, 62),
)

_BY_PHASE = {
    Phase.ANALYZER: 32,
    Phase.DETECTOR: 22,
    Phase.RESTORER: 42,
    Phase.EXTENDER: 102,
    Phase.BUILDER: 52,
    Phase.EXPORTER: 62,
    Phase.REBASER: 72,
}


def exit_code(error: LifecycleError, step: Phase | None) -> int:
    """Return the code for ``error`` in the phase ``step``, ``None`` while no phase has begun its work."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    if step is Phase.DETECTOR and isinstance(error, InvalidFileError):
        return GENERIC  # the order and the buildpacks in it are read before detection begins
    return GENERIC if step is None else _BY_PHASE.get(step, GENERIC)
