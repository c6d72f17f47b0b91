"""What the host refuses, wherever that is found: a place that this user may not search, a disk that is full.

No check beforehand could cover all of it, and it is no bug that wants a traceback.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEDIES: Final = {
    errno.EACCES: "give this user access to it, or choose another place",
    errno.EPERM: "give this user access to it, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "mend the link, which leads to itself",
    errno.EIO: "look at the disk: it fails",
}


@contextmanager
def refusals_as_errors() -> Iterator[None]:
    """Raise ``LifecycleError`` for an ``OSError`` by which the host refuses something; any other is a bug and stays."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        if remedy is None or not isinstance(error.filename, str | bytes):
            raise
        raise LifecycleError(
            f"can't be used: {error.strerror}", where=os.fsdecode(error.filename), remedy=remedy
        ) from error
