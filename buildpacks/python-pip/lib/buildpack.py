#!/usr/bin/env python3
"""Install the packages of requirements.txt, pylock.toml or uv.lock into a layer, or keep that of the last build.

Layers: ``packages`` (launch, build, cache) holds ``python/``, which goes on PYTHONPATH, and ``bin/``, which
the lifecycle puts on PATH; ``own`` (launch, build, cache) has the same of packages that are built of the app's own
files; ``pip-cache`` (cache) holds what pip downloaded and built, ``uv`` (cache) the uv that
reads uv.lock where the build image has none.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

    from origin import Origin
    from package_list import Package

SOURCES = ("requirements.txt", "pylock.toml", "uv.lock")
"""In the order in which they are looked for: the first there is counts."""

PROVIDED = "python-packages"


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app directory says which packages it needs."""
    if not any((context.app_dir / name).is_file() for name in SOURCES):
        known = f"none of {', '.join(SOURCES)}"
        unlocked = (context.app_dir / "pyproject.toml").is_file()
        return context.fail(f"{known}; for pyproject.toml write one with: uv lock" if unlocked else known)
    return context.pass_(bp.BuildPlan(provides=[PROVIDED], requires=[PROVIDED]))


def build(context: bp.BuildContext) -> None:
    """Leave the layers of this build."""
    import origin  # noqa: PLC0415  # detection needs none of them
    import sources  # noqa: PLC0415

    source = sources.find(context, SOURCES)
    wanted = origin.describe(source.digest, context.descriptor.version, context.env)
    bp.log.info(f"Python {wanted.python} on {wanted.platform}")

    def restored(old: origin.Origin, new: origin.Origin) -> bp.Keep | bp.Drop:
        reason = source.always or origin.difference(old, new, source.name)
        return bp.Drop(reason) if reason else bp.Keep(f"{source.name}, Python and platform are as in the last build")

    def restored_own(old: origin.Origin, new: origin.Origin) -> bp.Keep | bp.Drop:
        reason = origin.difference(old, new, "the app")
        return bp.Drop(reason) if reason else bp.Keep("the app, Python and platform are as in the last build")

    cache_dir = context.tool_cache("pip-cache")
    layer = context.cached_layer("packages", key=wanted, restored=restored)
    uv = sources.uv_layer(source, context)
    if not layer.restored:
        sources.install(source, context, site(layer), cache_dir, uv)
    packages = finish(layer)
    if own_digest := sources.own_digest(source, context):
        own = context.cached_layer("own", key=replace(wanted, requirements=own_digest), restored=restored_own)
        if not own.restored:
            sources.install_own(context, site(own), cache_dir, uv)
        packages += finish(own)
    if uv and not (uv.path / "bin").is_dir():
        uv.forget()
    # No run of the app or of a later buildpack adds .pyc files to a layer that is the same everywhere.
    layer.env.default("PYTHONDONTWRITEBYTECODE", "1")
    bp.log.info("Packages: " + (", ".join(f"{package.name} {package.version}" for package in packages) or "none"))


def site(layer: bp.Layer[Origin]) -> Path:
    """Return the directory of a layer that goes on PYTHONPATH."""
    path = layer.path / "python"
    path.mkdir(exist_ok=True)
    return path


def finish(layer: bp.Layer[Origin]) -> list[Package]:
    """Let a layer be found by Python, and return what is installed in it."""
    import package_list  # noqa: PLC0415  # detection needs none of them
    import portable  # noqa: PLC0415

    if not layer.restored:
        portable.make_portable(layer.path, site(layer))
    layer.env.prepend("PYTHONPATH", site(layer), delim=os.pathsep)
    packages = package_list.installed(site(layer))
    layer.sbom(bp.CYCLONEDX, package_list.cyclonedx(packages))
    return packages


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
