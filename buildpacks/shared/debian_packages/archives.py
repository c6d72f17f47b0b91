"""What apt would install, and the archives of it."""

from __future__ import annotations

import hashlib
import re
import tempfile
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# 'URL' file-name size SHA256:digest
_URI = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) [0-9]+ SHA256:(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Archive:
    """One package of one version: the file that apt keeps it in, and the digest that its signed index tells."""

    name: str
    version: str
    architecture: str
    file_name: str
    sha256: str
    url: str

    def place(self, archives_dir: Path) -> Path:
        """Return where apt leaves it: what lies in a directory of this machine is not copied."""
        parts = urllib.parse.urlsplit(self.url)
        return Path(urllib.parse.unquote(parts.path)) if parts.scheme == "file" else archives_dir / self.file_name

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.architecture} {self.sha256}"


def read_uris(text: str) -> tuple[Archive, ...]:
    """Read what ``apt-get --print-uris`` prints; ``BuildpackError`` for an archive without a SHA-256."""
    found = []
    for line in text.splitlines():
        if not line.startswith("'"):
            continue
        match = _URI.match(line)
        if match is None:
            url = line.split()[0].strip("'")
            raise bp.BuildpackError(
                f"apt has no SHA-256 for {bp.public(url)}",
                fix="take packages from repositories that are signed",
            )
        name, version, architecture = match["file"].removesuffix(".deb").rsplit("_", 2)
        version = urllib.parse.unquote(version)
        found.append(Archive(name, version, architecture, match["file"], match["sha256"], match["url"]))
    return tuple(sorted(found, key=lambda each: (each.name, each.architecture)))


class Apt:
    """apt with directories of its own, so that it needs no root and changes nothing of the build image.

    Sources, keys and preferences are those of the build image; ``archives_dir`` keeps what was downloaded.
    """

    def __init__(self, work_dir: Path, archives_dir: Path, status: str) -> None:
        (work_dir / "lists" / "partial").mkdir(parents=True)
        (archives_dir / "partial").mkdir(parents=True, exist_ok=True)
        (work_dir / "status").write_text(status, encoding="utf-8")
        settings = {
            "Dir::State": work_dir,
            "Dir::State::status": work_dir / "status",
            "Dir::Cache": work_dir,
            "Dir::Cache::archives": archives_dir,
            # Root would else give up its rights for those of a user who can't enter these directories.
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "APT::Update::Error-Mode": "any",
            "Acquire::ForceHash": "SHA256",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        self._command = ["apt-get", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
        self._archives_dir = archives_dir

    def update(self) -> None:
        """Fetch the indexes of all sources and check who signed them."""
        bp.run([*self._command, "-qq", "update"], fix="check the network and the sources in /etc/apt")

    def resolve(self, packages: Sequence[str], fix: str) -> tuple[Archive, ...]:
        """Return what has to be installed for some packages, each ``name`` or ``name=version``.

        Raises ``BuildpackError`` with ``fix`` if apt does not know one.
        """
        return read_uris(
            bp.capture(
                [*self._command, "-qq", "--yes", "--print-uris", "install", *packages],
                fix=fix,
            )
        )

    def download(self, packages: Sequence[str], archives: Sequence[Archive]) -> dict[Archive, Path]:
        """Return the file of each archive, checked; what else is in the directory of archives goes."""
        bp.run([*self._command, "-qq", "--yes", "--download-only", "install", *packages])
        paths = {each: each.place(self._archives_dir) for each in archives}
        for path in self._archives_dir.glob("*.deb"):
            if path not in paths.values():
                path.unlink()
        for archive, path in paths.items():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != archive.sha256:
                raise bp.BuildpackError(f"{path.name} has SHA-256 {digest}, not {archive.sha256}", fix="build again")
        return paths


@contextmanager
def apt(archives_dir: Path, status: str) -> Iterator[Apt]:
    """Yield apt with indexes that last as long as the build."""
    with tempfile.TemporaryDirectory(prefix="apt-") as directory:
        yield Apt(Path(directory), archives_dir, status)
