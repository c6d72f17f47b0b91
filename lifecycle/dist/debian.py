"""CPython and the libraries below it for any architecture, from Debian's packages.

``apt-get`` fetches and verifies them, with package lists of its own for the target, so that the host is not changed and
need not have the target's architecture.  The packages' files are read here; nothing of a package is run.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.dist.tools import run_tool
from lifecycle.errors import DistributionError

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.dist.target import Target

_ARCHIVE = b"!<arch>\n"
_MEMBER = 60
_REMEDY = "make distributions on Debian or Ubuntu, with package sources that hold the target's architecture"


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """The regular files of some packages by path (``usr/lib/…``), and which package has which version."""

    versions: dict[str, str]
    files: dict[str, bytes]
    links: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> bytes:
        """Return the file or link of that base name; raises ``DistributionError``."""
        for path, content in self.files.items():
            if path.rpartition("/")[2] == name:
                return content
        for path, goal in self.links.items():
            if path.rpartition("/")[2] == name:
                return self.named(goal.rpartition("/")[2])
        raise DistributionError(f"no package of {', '.join(self.versions)} has {name}", remedy=_REMEDY)


def python_packages(version: str) -> tuple[str, ...]:
    """Return the packages with CPython ``3.11``, its C headers and all that it is linked with."""
    python = [f"libpython{version}{part}" for part in ("", "-minimal", "-stdlib", "-dev")]
    return (*python, "libc6", "libexpat1", "libffi8", "libgcc-s1", "libssl3", "zlib1g")


def fetch_packages(names: tuple[str, ...], target: Target, work_dir: Path) -> PackageFiles:
    """Download the newest versions of packages for ``target`` below ``work_dir`` and read them.

    Raises ``DistributionError``.
    """
    home = work_dir / f"apt-{target.arch}"
    downloads = home / "downloads"
    for directory in (home / "lists" / "partial", home / "cache" / "archives" / "partial", downloads):
        directory.mkdir(parents=True, exist_ok=True)
    options = {
        "APT::Architecture": target.arch,
        "APT::Architectures": target.arch,
        "APT::Sandbox::User": "",
        "Dir::State::lists": str(home / "lists"),
        "Dir::State::status": "/dev/null",
        "Dir::Cache": str(home / "cache"),
    }
    apt = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in options.items())]
    run_tool([*apt, "update"], purpose=f"Debian's package lists for {target.arch}", remedy=_REMEDY)
    run_tool([*apt, "download", *names], purpose=f"Debian's packages for {target.arch}", remedy=_REMEDY, cwd=downloads)
    found = PackageFiles({}, {})
    for name in names:
        package = next(downloads.glob(f"{name}_*.deb"), None)
        if package is None:
            raise DistributionError(f"apt-get downloaded no file of {name}", remedy=_REMEDY)
        found.versions[name] = package.name.split("_")[1].replace("%3a", ":")
        _read_package(package, found)
    return found


def _read_package(path: Path, found: PackageFiles) -> None:
    """Add the files of one package.  Format: deb(5)."""
    content = path.read_bytes()
    if not content.startswith(_ARCHIVE):
        raise DistributionError("is no Debian package", where=path)
    at = len(_ARCHIVE)
    while at + _MEMBER <= len(content):
        name, size = content[at : at + 16].decode().strip().rstrip("/"), int(content[at + 48 : at + 58])
        at += _MEMBER
        if name.startswith("data.tar"):
            _read_data(content[at : at + size], path, found)
        at += size + size % 2


def _read_data(data: bytes, path: Path, found: PackageFiles) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    found.files[name] = stream.read()
                elif member.issym():
                    found.links[name] = member.linkname
    except (tarfile.TarError, OSError) as error:
        raise DistributionError(f"its files can't be read: {error}", where=path, remedy=_REMEDY) from error
