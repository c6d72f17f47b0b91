"""Contents of layers on their way from a tar into the layers directory.

They are extracted beside it and moved into place once all bytes proved right.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError
from lifecycle.files.work_dir import work_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def staging_in(layers_dir: Path) -> Iterator[Path]:
    """Give a directory on the file system of ``layers_dir`` that is removed at the end."""
    try:
        layers_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LifecycleError(f"can't be written: {error.strerror}", where=layers_dir) from error
    with work_directory("restorer", layers_dir) as staging:
        yield staging


def in_image(path: Path, *, layers_dir: Path, image_layers_dir: PurePosixPath | None) -> PurePosixPath:
    """Return the place in images of a path below the layers directory."""
    return (image_layers_dir or PurePosixPath(layers_dir)) / path.relative_to(layers_dir)


def move_into_place(extracted: Path, target: Path) -> None:
    """Let ``extracted`` be ``target``; what is there already ends up beside ``extracted``.

    Raises ``LifecycleError``; what was there is there still.
    """
    old = extracted.with_name(extracted.name + ".old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        try:
            extracted.rename(target)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                old.rename(target)
            raise
    except OSError as error:
        raise LifecycleError(f"can't be written: {error.strerror}", where=target) from error


def remove_layer(path: Path) -> None:
    """Remove the directory of a layer and the files that belong to it."""
    files = [path.with_name(path.name + suffix) for suffix in (".toml", ".sha")]
    with contextlib.suppress(OSError):
        prefix = f"{path.name}.sbom."
        files += [each for each in path.parent.glob("*.json") if each.name.startswith(prefix)]
    try:
        for file in files:
            file.unlink(missing_ok=True)
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise LifecycleError(f"can't be removed: {error.strerror}", where=path) from error
