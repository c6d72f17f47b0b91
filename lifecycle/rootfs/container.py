"""The container that this process is in, whose file system is the image's: what of it is not the image's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ExtendError
from lifecycle.files.ownership import mount_points
from lifecycle.rootfs.paths import resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MARKS = ("/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io", "/var/run/secrets/kubernetes.io")
_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
_CONTROL_GROUPS = (b"docker", b"kubepods", b"containerd", b"libpod", b"lxc", b"crio", b"garden", b"buildkit")
_NEVER = ("/proc", "/sys", "/dev", "/kaniko", "/var/run", "/.dockerenv", "/etc/mtab")
"""What no image has, whatever is mounted there; ``/var/run`` and ``/etc/mtab`` are links in many containers."""

_NAMES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""What container engines write."""


def check_container(environment: Mapping[str, str], *, root: Path = Path("/")) -> None:
    """Raise ``ExtendError`` unless this looks like a container: what is extended is the file system itself."""
    if any((root / mark.lstrip("/")).exists() for mark in _MARKS) or any(map(environment.get, _VARIABLES)):
        return
    if any(_lines_with(root / "proc" / "1" / "cgroup", _CONTROL_GROUPS)):
        return
    if any(_lines_with(root / "proc" / "self" / "mountinfo", (b" / / ",), b" - overlay ")):
        return
    raise ExtendError(
        "the extender changes the file system that it runs in, and this does not look like a container",
        remedy="run it in a container of the image that is to be extended; if this is one, set container=oci there",
    )


def check_root() -> None:
    """Raise ``ExtendError`` unless this process is root."""
    if os.geteuid() != 0:
        raise ExtendError(
            f"Dockerfiles can't be applied by user {os.geteuid()}",
            remedy="let the extender start as root, as pack does",
        )


def ignored_paths(directories: Iterable[Path]) -> frozenset[bytes]:
    """Return the absolute paths that are in no layer: ``directories``, what is mounted, and what containers have."""
    paths = {*_NEVER, *mount_points()} - {"/"}
    for each in directories:
        paths |= {os.path.abspath(each), os.path.realpath(each)}  # noqa: PTH100  # links stay in one of them
    return frozenset(os.fsencode(path) for path in paths - {"/"})


def ignored_names(names: Iterable[str]) -> frozenset[bytes]:
    """Return the absolute paths that are in no layer where ``names`` alone are mounted."""
    return frozenset(os.fsencode(name.rstrip("/")) for name in (*_NEVER, *_NAMES, *names))


def make_mount_points(root: Path, names: Iterable[str]) -> frozenset[bytes]:
    """Make what is missing of ``names`` in an image; one that ends with a slash is a directory.

    Returns the absolute paths in the image to which links lead from the names.  Raises ``ExtendError``.
    """
    found = set()
    for name in names:
        place = resolved(root, name)
        try:
            if name.endswith("/"):
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
        except OSError as error:
            raise ExtendError(f"nothing can be mounted there: {error.strerror}", where=name) from error
        found.add(b"/" + os.fsencode(place.relative_to(root)))
    return frozenset(found)


def is_ignored(path: bytes, ignored: frozenset[bytes]) -> bool:
    """Say whether a path is one of those ignored, or below one."""
    return any(path == each or path.startswith(each + b"/") for each in ignored)


def _lines_with(path: Path, words: Iterable[bytes], also: bytes = b"") -> Iterable[bytes]:
    try:
        content = path.read_bytes()
    except OSError:
        return ()
    return [line for line in content.splitlines() if also in line and any(word in line for word in words)]
