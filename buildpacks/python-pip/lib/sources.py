"""The files that say which packages an app needs, and what pip is to install for each of them."""

from __future__ import annotations

import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pip_install
import pylock
import requirements_files
import uv_export

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Source:
    """One of the files; ``digest`` is of all that it says, ``always`` why equal files may mean other packages."""

    name: str
    digest: str
    always: str | None = None


def find(context: bp.BuildContext, names: Sequence[str]) -> Source:
    """Return the first of the files that the app has."""
    found = [name for name in names if (context.app_dir / name).is_file()]
    for other in found[1:]:
        bp.log.warning(f"{other} is not read, because there is {found[0]}")
    match found:
        case ["pylock.toml", *_]:
            return Source("pylock.toml", bp.tree_digest(context.app_dir / "pylock.toml"))
        case ["uv.lock", *_]:
            return Source("uv.lock", bp.tree_digest(context.app_dir / "uv.lock", context.app_dir / "pyproject.toml"))
        case _:
            read = requirements_files.read(Path("requirements.txt"), context.env)
            return Source("requirements.txt", read.digest, read.always)


def uv_layer(source: Source, context: bp.BuildContext) -> bp.Layer[dict[str, str]] | None:
    """Return the layer for uv, if the build image has none and ``source`` needs it."""
    if source.name != "uv.lock" or uv_export.on_path(context.env):
        return None
    key = {"version": uv_export.VERSION, "machine": platform.machine()}
    return context.cached_layer("uv", types=bp.Types(0), key=key, restored=bp.keep_if_same)


def install(
    source: Source, context: bp.BuildContext, target: Path, cache_dir: Path, uv: bp.Layer[dict[str, str]] | None
) -> None:
    """Install into ``target``; ``uv`` is the layer where uv is, or comes, if the build image has none."""
    if source.name == "requirements.txt":
        pip_install.install(Path(source.name), target, cache_dir)
        return
    if source.name == "pylock.toml":
        text = pylock.requirements(context.app_dir / source.name)
    else:
        text = _export(context, cache_dir, uv).locked
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, f"{source.name}.txt")
        path.write_text(text, encoding="utf-8")
        # A lock file is complete, so there are no dependencies to look for.
        pip_install.install(path, target, cache_dir, "--no-deps", "--require-hashes", name=source.name)


def own_digest(source: Source, context: bp.BuildContext) -> str | None:
    """Return the digest of all that packages of the app's own files are built of, ``None`` if there are none."""
    if source.name != "uv.lock" or not uv_export.has_own(context.app_dir):
        return None
    return bp.tree_digest(*sorted(context.app_dir.iterdir()))


def install_own(context: bp.BuildContext, target: Path, cache_dir: Path, uv: bp.Layer[dict[str, str]] | None) -> None:
    """Build the packages of the app's own files and install them into ``target``, without what they depend on."""
    own = _export(context, cache_dir, uv).own
    if not own:
        return
    with tempfile.TemporaryDirectory() as scratch:
        # Some build backends leave files beside the sources.
        copy = Path(scratch, "app")
        shutil.copytree(context.app_dir, copy, symlinks=True)
        path = Path(scratch, "own.txt")
        path.write_text("".join(f"{copy}/{line}\n" for line in own), encoding="utf-8")
        pip_install.install(path, target, cache_dir, "--no-deps", name="the app's own packages")


def _export(context: bp.BuildContext, cache_dir: Path, uv: bp.Layer[dict[str, str]] | None) -> uv_export.Export:
    program = uv_export.install(uv.path, cache_dir) if uv else uv_export.on_path(context.env)
    return uv_export.export(context.app_dir, program or "uv", context.env)
