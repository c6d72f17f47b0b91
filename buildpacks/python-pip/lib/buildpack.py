#!/usr/bin/env python3
"""Install the packages of requirements.txt into a layer, or keep the layer of the last build.

Layers: ``packages`` (launch, build, cache) holds ``python/``, which goes on PYTHONPATH, and ``bin/``, which
the lifecycle puts on PATH; ``pip-cache`` (cache) holds what pip downloaded and built.
"""

from __future__ import annotations

import os
from pathlib import Path

import cnb_buildpack as bp

REQUIREMENTS = Path("requirements.txt")
PROVIDED = "python-packages"


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app directory has a requirements.txt."""
    if not (context.app_dir / REQUIREMENTS).is_file():
        return context.fail(f"no {REQUIREMENTS}")
    return context.pass_(bp.BuildPlan(provides=[PROVIDED], requires=[PROVIDED]))


def build(context: bp.BuildContext) -> None:
    """Leave the layers of this build."""
    import origin  # noqa: PLC0415  # detection needs none of them
    import package_list  # noqa: PLC0415
    import pip_install  # noqa: PLC0415
    import portable  # noqa: PLC0415
    import requirements_files  # noqa: PLC0415

    requirements = requirements_files.read(REQUIREMENTS, context.env)
    wanted = origin.describe(requirements.digest, context.descriptor.version, context.env)
    bp.log.info(f"Python {wanted.python} on {wanted.platform}")

    def restored(old: origin.Origin, new: origin.Origin) -> bp.Keep | bp.Drop:
        reason = requirements.always or origin.difference(old, new)
        return bp.Drop(reason) if reason else bp.Keep(f"{REQUIREMENTS}, Python and platform are as in the last build")

    cache = context.cached_layer("pip-cache", types=bp.Types(0), key={}, restored=bp.keep_if_same)
    layer = context.cached_layer("packages", key=wanted, restored=restored)
    site_dir = layer.path / "python"
    if not layer.restored:
        site_dir.mkdir()
        pip_install.install(REQUIREMENTS, site_dir, cache.path)
        portable.make_portable(layer.path, site_dir)
    layer.env.prepend("PYTHONPATH", site_dir, delim=os.pathsep)
    # No run of the app or of a later buildpack adds .pyc files to a layer that is the same everywhere.
    layer.env.default("PYTHONDONTWRITEBYTECODE", "1")

    packages = package_list.installed(site_dir)
    layer.sbom(bp.CYCLONEDX, package_list.cyclonedx(packages))
    bp.log.info("Packages: " + (", ".join(f"{package.name} {package.version}" for package in packages) or "none"))


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
