"""What `lifecycle dist` makes, for this machine unless another architecture is named."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle import __version__
from lifecycle.images.image_platform import host_platform
from parts.made_once import made_once

ARCH = {"amd64": "x86-64", "arm64": "arm64"}
"""Architectures with a distribution, and their names in those of its files."""


@dataclass(frozen=True)
class Distribution:
    """The files of a release: executables for platforms, and an image with them."""

    archive: Path
    image: Path

    @contextmanager
    def opened(self) -> Iterator[tarfile.TarFile]:
        """Open the archive, to be extracted as it is: Debian's Python 3.11.2 has no argument that says so."""
        with tarfile.open(self.archive) as opened:
            opened.extraction_filter = lambda member, _: member
            yield opened


def distribution(factory: pytest.TempPathFactory, architecture: str = "") -> Distribution:
    """Return the one that all workers share."""
    architecture = architecture or host_platform().architecture
    name = f"distribution-{architecture}"
    return _in(made_once(factory, name, lambda directory: make_distribution(directory, architecture)), architecture)


def make_distribution(directory: Path, architecture: str = "") -> Distribution:
    """Make one; skip the test where that can't be done."""
    architecture = architecture or host_platform().architecture
    if architecture not in ARCH:
        pytest.skip(f"there is no distribution for {architecture}")
    command = [sys.executable, "-m", "lifecycle", "dist", "--target", f"linux/{architecture}", "--output", directory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Debian's package" in done.stderr or "wheels for" in done.stderr:
        pytest.skip(f"the parts of a distribution can't be fetched here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return _in(directory, architecture)


def _in(directory: Path, architecture: str) -> Distribution:
    stem = directory / f"lifecycle-v{__version__}+linux.{ARCH[architecture]}"
    return Distribution(stem.with_name(f"{stem.name}.tgz"), stem.with_name(f"{stem.name}.oci.tar"))
