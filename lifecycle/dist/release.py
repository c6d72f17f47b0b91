"""Makes the files of a release: for each target the archive and the lifecycle image, the same bytes each time."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from lifecycle import __version__
from lifecycle.dist.archive import write_archive
from lifecycle.dist.contents import lifecycle_contents
from lifecycle.dist.debian import fetch_packages, python_packages
from lifecycle.dist.descriptor import descriptor_text
from lifecycle.dist.executable import make_executable
from lifecycle.dist.image import lifecycle_image
from lifecycle.dist.modules import collect
from lifecycle.dist.publish import NAMES
from lifecycle.dist.sbom import Component
from lifecycle.dist.wheels import DISTRIBUTION, fetch_wheels
from lifecycle.errors import DistributionError
from lifecycle.files.work_dir import work_directory
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.launcher import launcher_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lifecycle.dist.contents import Contents
    from lifecycle.dist.target import Target
    from lifecycle.images.store import NewImage

_PYTHON = "3.11"
"""The version of CPython that is carried; compiling its bytecode takes the same one."""


def make_release(
    targets: Sequence[Target],
    output: Path,
    *,
    phases: Sequence[str],
    report: Callable[[str], None],
    publish: Callable[[Mapping[Target, NewImage]], None] = lambda _: None,
) -> None:
    """Write the archive and the image of every target below ``output``; ``report`` is told what is going on.

    ``publish`` is given all images at the end.  Raises ``LifecycleError``.
    """
    if sys.version_info[:2] != tuple(map(int, _PYTHON.split("."))):
        raise DistributionError(
            f"distributions are made with Python {_PYTHON}, this is {sys.version.split()[0]}",
            remedy=f"install {DISTRIBUTION} with Python {_PYTHON} and run it there",
        )
    if importlib.util.find_spec("ziglang") is None:
        raise DistributionError(
            "the compiler of the executables is missing, the package ziglang",
            remedy="pip install 'cnb-lifecycle[dist]'",
        )
    descriptor = descriptor_text(__version__)
    images: dict[Target, NewImage] = {}
    with work_directory("dist") as directory:
        for target in targets:
            work_dir = directory / target.arch
            work_dir.mkdir()
            contents = _contents(target, work_dir, phases, report)
            stem = f"lifecycle-v{__version__}+linux.{NAMES[target.arch]}"
            report(f"{target.value}: writing {stem}.tgz and {stem}.oci.tar")
            write_archive(contents, descriptor, output / f"{stem}.tgz", work_dir)
            image = lifecycle_image(contents, descriptor, target, __version__, work_dir)
            store = ArchiveStore(output / f"{stem}.oci.tar", platform=ImagePlatform("linux", target.arch))
            store.write(image, [__version__])
            images[target] = image
        publish(images)


def _contents(target: Target, work_dir: Path, phases: Sequence[str], report: Callable[[str], None]) -> Contents:
    launcher = launcher_path(target.arch)
    report(f"{target.value}: fetching CPython {_PYTHON} and its libraries from Debian")
    packages = fetch_packages(python_packages(_PYTHON), target, work_dir)
    report(f"{target.value}: fetching wheels")
    wheels = fetch_wheels(target, _PYTHON, work_dir)
    report(f"{target.value}: compiling")
    carried = collect(packages.files, wheels.files, work_dir, _PYTHON)
    program = make_executable(target, packages, carried, _PYTHON, work_dir)
    components = [Component(name, version, "deb") for name, version in packages.versions.items()]
    components += [Component(name, version, "pypi") for name, version in wheels.versions.items()]
    components.append(Component(DISTRIBUTION, __version__, "pypi"))
    return lifecycle_contents(program, launcher.read_bytes(), phases=phases, version=__version__, components=components)
