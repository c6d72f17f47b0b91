"""The phases by the names of their executables."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """A phase executable of ``/cnb/lifecycle``."""

    ANALYZER = "analyzer"
    DETECTOR = "detector"
    RESTORER = "restorer"
    EXTENDER = "extender"
    BUILDER = "builder"
    EXPORTER = "exporter"
    CREATOR = "creator"
    REBASER = "rebaser"
