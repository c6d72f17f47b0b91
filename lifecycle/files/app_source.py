"""Copying an app's source to where it is built, so that the build never touches the original.

The copy depends on content alone: permissions are 0755 or 0644 by the executable bit, as Git keeps them, so clones of
other users with other umasks give the same image.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from lifecycle.errors import InvalidFileError, LifecycleError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_VERSION_CONTROL = ".git"


def copy_app(
    source: Path,
    destination: Path,
    *,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    own: Collection[Path] = (),
) -> int:
    """Copy the directory ``source`` into the empty directory ``destination`` and return the number of files.

    ``include`` keeps only what its .gitignore patterns match, ``exclude`` drops what they match.  The repository's
    own ``.git`` differs between clones and stays behind unless ``include`` names it.  Symbolic links are kept as
    they are; sockets, pipes and devices are left out, and so are ``destination`` and the places ``own``, files or
    directories that the build itself writes, where they lie in ``source``.
    Raises ``LifecycleError`` for what can't be read.
    Spec: extensions/project-descriptor.md "io.buildpacks.include and io.buildpacks.exclude".
    """
    included = None if include is None else _patterns(include)
    excluded = _patterns(["/" + _VERSION_CONTROL, *(exclude or ())] if include is None else [])

    def wanted(relative: str) -> bool:
        return (included is None or included.match_file(relative)) and not excluded.match_file(relative)

    files = 0
    left_out = {Path(os.path.realpath(path)) for path in (destination, *own)}
    for directory, directory_names, file_names in os.walk(source, onerror=_unreadable):
        below = Path(directory).relative_to(source)
        real = os.path.realpath(directory)
        links = [name for name in directory_names if Path(directory, name).is_symlink()]
        directory_names[:] = sorted(
            name
            for name in directory_names
            if name not in links
            and Path(real, name) not in left_out
            and not excluded.match_file(f"{(below / name).as_posix()}/")
        )
        if included is None:
            for name in directory_names:
                _make_directory(destination / below / name)
        for name in sorted([*file_names, *links]):
            if Path(real, name) not in left_out and wanted((below / name).as_posix()):
                files += _copy(Path(directory, name), destination / below / name)
    return files


def _patterns(lines: Sequence[str]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except GitIgnorePatternError as error:
        raise InvalidFileError(f"include or exclude has a pattern that .gitignore does not allow: {error}") from error


def _unreadable(error: OSError) -> None:
    raise LifecycleError(f"can't be read: {error.strerror}", where=error.filename) from error


def _make_directory(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)


def _copy(source: Path, destination: Path) -> int:
    _make_directory(destination.parent)
    try:
        mode = source.lstat().st_mode
        if stat.S_ISLNK(mode):
            destination.symlink_to(source.readlink())
        elif stat.S_ISREG(mode):
            shutil.copyfile(source, destination)
            destination.chmod(0o755 if mode & 0o111 else 0o644)
        else:
            return 0
    except OSError as error:
        raise LifecycleError(f"can't be copied to {destination.parent}: {error.strerror}", where=source) from error
    return 1
