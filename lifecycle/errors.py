"""Every failure that we expect: one tree, so that ``cli`` alone decides what a user sees.

A message says what is wrong, ``where`` names the file, image or buildpack concerned and ``remedy`` what to do
about it.  Anything raised outside this tree is a bug and shows its traceback, but what the
host refuses (``cli/refusals.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike


class LifecycleError(Exception):
    """An expected failure.

    ``message`` is one sentence without a final stop; ``where`` locates it; ``remedy`` is an instruction.
    """

    def __init__(self, message: str, *, where: str | PathLike[str] | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = None if where is None else str(where)
        self.remedy = remedy

    def __str__(self) -> str:
        text = self.message if self.where is None else f"{self.where}: {self.message}"
        return text if self.remedy is None else f"{text}; {self.remedy}"


class InvalidInputError(LifecycleError):
    """A flag, argument or environment variable can't be used."""


class PlatformApiError(LifecycleError):
    """``CNB_PLATFORM_API`` is missing, unparsable or not supported."""


class BuildpackApiError(LifecycleError):
    """The ``api`` of a buildpack or extension is unparsable or not supported."""


class InvalidFileError(LifecycleError):
    """A file of the specification is unreadable, malformed or breaks one of its rules."""


class UnsafeArchiveError(LifecycleError):
    """An archive from outside would write outside its root, or holds what it may not hold."""


class VerificationError(LifecycleError):
    """Bytes from outside do not have the digest or size that was promised."""


class ImageError(LifecycleError):
    """An image can't be read or written."""


class ImageNotFoundError(ImageError):
    """There is no image of that name."""


class CorruptImageError(ImageError):
    """An image lacks a part, or a part of it can't be understood."""


class RegistryError(ImageError):
    """A registry refuses or fails.

    ``host`` is the ``host[:port]`` that was asked, ``status`` the HTTP status that it gave, if it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | PathLike[str] | None = None,
        remedy: str | None = None,
        host: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.host = host
        self.status = status


class AccessDeniedError(RegistryError):
    """A registry does not let us read or write (401, 403)."""


class BlobUnknownError(RegistryError):
    """A registry does not take a manifest because it lacks a blob that the manifest names."""


class RegistryConnectionError(RegistryError):
    """A registry can't be reached, or the connection to it broke."""


class RegistryBusyError(RegistryError):
    """A registry can't answer now (408, 429, 5xx); ``retry_after`` is the wait in seconds that it asks for."""

    def __init__(
        self,
        message: str,
        *,
        where: str | PathLike[str] | None = None,
        remedy: str | None = None,
        host: str = "",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, where=where, remedy=remedy, host=host, status=status)
        self.retry_after = retry_after


class RegistryTlsError(RegistryError):
    """One side of a TLS connection does not trust the other's certificate."""


class DaemonError(ImageError):
    """A container daemon can't be reached, or does not do what it was asked."""


class CacheError(LifecycleError):
    """A cache, or an entry of it, can't be read or written."""


class CacheEntryNotFoundError(CacheError):
    """A cache has no contents for that diffID."""


class UnsignedRecordError(CacheError):
    """A record of a shared cache that nobody trusted has signed."""


class ForeignSourceError(CacheError):
    """Something that is no cache, or one from which no layer can be restored."""


class DetectionError(LifecycleError):
    """Detection failed for a reason of its own."""


class NoGroupDetectedError(DetectionError):
    """No group passed detection, and no buildpack errored."""


class BuildpackDetectError(DetectionError):
    """No group passed detection, and at least one buildpack errored."""


class BuildError(LifecycleError):
    """The build phase failed, but not in a buildpack's ``bin/build``."""


class BuildpackBuildError(BuildError):
    """A buildpack's ``bin/build`` failed."""


class GenerateError(LifecycleError):
    """Generation failed, but not in an extension's ``bin/generate``."""


class ExtensionGenerateError(GenerateError):
    """An extension's ``bin/generate`` failed."""


class ExtendError(LifecycleError):
    """A base image can't be extended."""


class ExportError(LifecycleError):
    """The app image can't be put together."""


class RebaseError(LifecycleError):
    """An app image can't be put on another run image."""


class LaunchError(LifecycleError):
    """A process of the last build can't be started on this host."""


class DistributionError(LifecycleError):
    """A distribution can't be made or installed."""
