#!/usr/bin/env python3
"""Install the packages of requirements.txt, pylock.toml or uv.lock into a layer, or keep that of the last build.

Layers: ``packages`` (launch, build, cache) holds ``python/``, which goes on PYTHONPATH, and ``bin/``, which
the lifecycle puts on PATH; ``pip-cache`` (cache) holds what pip downloaded and built, ``uv`` (cache) the uv that
reads uv.lock where the build image has none.
"""

from __future__ import annotations

import os

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY

SOURCES = ("requirements.txt", "pylock.toml", "uv.lock")
"""In the order in which they are looked for: the first there is counts."""

PROVIDED = "python-packages"


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app directory says which packages it needs."""
    if not any((context.app_dir / name).is_file() for name in SOURCES):
        return context.fail(f"none of {', '.join(SOURCES)}")
    return context.pass_(bp.BuildPlan(provides=[PROVIDED], requires=[PROVIDED]))


def build(context: bp.BuildContext) -> None:
    """Leave the layers of this build."""
    import origin  # noqa: PLC0415  # detection needs none of them
    import package_list  # noqa: PLC0415
    import portable  # noqa: PLC0415
    import sources  # noqa: PLC0415

    source = sources.find(context, SOURCES)
    wanted = origin.describe(source.digest, context.descriptor.version, context.env)
    bp.log.info(f"Python {wanted.python} on {wanted.platform}")

    def restored(old: origin.Origin, new: origin.Origin) -> bp.Keep | bp.Drop:
        reason = source.always or origin.difference(old, new, source.name)
        return bp.Drop(reason) if reason else bp.Keep(f"{source.name}, Python and platform are as in the last build")

    cache_dir = context.tool_cache("pip-cache")
    layer = context.cached_layer("packages", key=wanted, restored=restored)
    site_dir = layer.path / "python"
    uv = sources.uv_layer(source, context)
    if not layer.restored:
        site_dir.mkdir()
        sources.install(source, context, site_dir, cache_dir, uv)
        portable.make_portable(layer.path, site_dir)
    if uv and not (uv.path / "bin").is_dir():
        uv.forget()
    layer.env.prepend("PYTHONPATH", site_dir, delim=os.pathsep)
    # No run of the app or of a later buildpack adds .pyc files to a layer that is the same everywhere.
    layer.env.default("PYTHONDONTWRITEBYTECODE", "1")

    packages = package_list.installed(site_dir)
    layer.sbom(bp.CYCLONEDX, package_list.cyclonedx(packages))
    bp.log.info("Packages: " + (", ".join(f"{package.name} {package.version}" for package in packages) or "none"))


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
