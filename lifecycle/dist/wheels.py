"""The libraries that the lifecycle is made with, as wheels for any architecture, in the versions installed here."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from lifecycle.dist.sbom import Component
from lifecycle.dist.tools import run_python
from lifecycle.errors import DistributionError

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.dist.target import Target

DISTRIBUTION = "cnb-lifecycle"
_GLIBC = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34")
"""Versions for which wheels are built; none is newer than the C library that is carried."""


@dataclass(frozen=True, slots=True)
class WheelFiles:
    """The files of some wheels by path, and which library has which version."""

    versions: dict[str, str]
    files: dict[str, bytes]


def fetch_wheels(target: Target, python: str, work_dir: Path) -> WheelFiles:
    """Download the wheels of all that the lifecycle requires below ``work_dir`` and read them.

    Raises ``DistributionError``.
    """
    downloads = work_dir / f"wheels-{target.arch}"
    downloads.mkdir(parents=True)
    versions = work_dir / "constraints.txt"
    versions.write_text("".join(f"{name}=={version}\n" for name, version in _installed().items()), encoding="utf-8")
    platforms = [f"--platform=manylinux_{glibc}_{target.machine}" for glibc in _GLIBC]
    command = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", *platforms]
    command += [f"--platform=manylinux2014_{target.machine}", f"--python-version={python}", "--implementation=cp"]
    run_python(
        [*command, f"--constraint={versions}", f"--dest={downloads}", *_requirements()],
        purpose=f"the libraries' wheels for {target.value}",
        remedy="try again when the package index can be reached; a library without a wheel can't be carried",
    )
    found = WheelFiles({}, {})
    for wheel in sorted(downloads.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            found.files.update({each: archive.read(each) for each in archive.namelist() if not each.endswith("/")})
        name, version = wheel.name.split("-")[:2]
        found.versions[name.replace("_", "-")] = version
    return found


def installed_components() -> list[Component]:
    """Return what is installed beside the lifecycle, and the lifecycle itself."""
    own = [Component(DISTRIBUTION, metadata.version(DISTRIBUTION), "pypi")]
    return own + [Component(name, version, "pypi") for name, version in _installed().items()]


def _requirements() -> list[str]:
    try:
        required = metadata.requires(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise DistributionError(
            f"{DISTRIBUTION} is not installed here", remedy=f"install it with: pip install {DISTRIBUTION}"
        ) from error
    return sorted(each for each in required or () if "extra ==" not in each)


def _installed() -> dict[str, str]:
    """Return the version of every distribution here, so that what is carried is what was tested."""
    found = {each.name: each.version for each in metadata.distributions() if each.name != DISTRIBUTION}
    return dict(sorted(found.items()))
