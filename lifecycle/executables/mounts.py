"""Mounting, as the kernel offers it: each call raises ``LifecycleError`` naming the step that the host refuses."""

from __future__ import annotations

import ctypes
import os
from enum import IntFlag
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from os import PathLike

_MNT_DETACH = 2
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000


class Unshared(IntFlag):
    """What a process has for itself.  Reference: unshare(2)."""

    MOUNTS = 0x00020000
    IPC = 0x08000000
    USERS = 0x10000000
    PROCESSES = 0x20000000
    NETWORK = 0x40000000


class MountFlag(IntFlag):
    """Reference: mount(2)."""

    READ_ONLY = 0x1
    NO_SET_UID = 0x2
    NO_DEVICES = 0x4
    NO_EXEC = 0x8
    BIND = 0x1000
    RECURSIVE = 0x4000
    UNBINDABLE = 0x20000
    PRIVATE = 0x40000


class Attribute(IntFlag):
    """Reference: mount_setattr(2)."""

    READ_ONLY = 0x1
    NO_SET_UID = 0x2
    NO_DEVICES = 0x4


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace"))


@cache
def libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def call(function: ctypes._NamedFuncPointer, *arguments: object, step: str) -> None:
    """Call a function that returns 0 unless it fails."""
    if function(*arguments) != 0:
        raise LifecycleError(f"{step}: {os.strerror(ctypes.get_errno())}")


def unshare(what: Unshared, *, step: str) -> None:
    """Let this process have something for itself."""
    call(libc().unshare, int(what), step=step)


def mount(
    source: str | PathLike[str] | None, target: Path, kind: str | None, flags: MountFlag | int, options: str = ""
) -> None:
    """Mount something, or change how it is mounted."""
    call(
        libc().mount,
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() if options else None,
        step=f"mount {target}",
    )


def bind(source: Path, target: Path, *, recursive: bool = False) -> None:
    """Let a directory or file show another."""
    mount(source, target, None, MountFlag.BIND | (MountFlag.RECURSIVE if recursive else 0))


def change(target: Path, *, add: Attribute | int = 0, remove: Attribute | int = 0, recursive: bool = False) -> None:
    """Change the attributes of what is mounted at ``target``, with ``recursive`` of all below too."""
    attributes = _Attributes(int(add), int(remove), 0, 0)
    call(
        libc().syscall,
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE if recursive else 0),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
        step=f"change the mount {target}",
    )


def make_private() -> None:
    """Keep all mounts of this process to itself, and those of others from it."""
    mount(None, Path("/"), None, MountFlag.RECURSIVE | MountFlag.PRIVATE)


def pivot_root(new: Path, old: Path) -> None:
    """Make ``new`` the root directory; what was it shows at ``old``, which is ``new`` or below."""
    call(libc().pivot_root, os.fsencode(new), os.fsencode(old), step="pivot root")


def detach(target: Path) -> None:
    """Take away what is mounted at ``target``, and all below."""
    call(libc().umount2, os.fsencode(target), _MNT_DETACH, step=f"detach {target}")
