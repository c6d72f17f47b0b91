"""The one error that a buildpack raises for what its user can mend."""

from __future__ import annotations


class BuildpackError(Exception):
    """An expected failure, printed as one message without a traceback.

    ``message`` is one sentence without a final stop that names the thing; ``fix`` says what to do about it.
    """

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return self.message if self.fix is None else f"{self.message}; {self.fix}"
