"""What `lifecycle dist` makes for this machine."""

import subprocess
import sys
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


def distribution(factory: pytest.TempPathFactory) -> Distribution:
    """Return the one that all workers share."""
    return _in(made_once(factory, "distribution", make_distribution))


def make_distribution(directory: Path) -> Distribution:
    """Make one; skip the test where that can't be done."""
    architecture = host_platform().architecture
    if architecture not in ARCH:
        pytest.skip(f"there is no distribution for this machine's architecture, {architecture}")
    command = [sys.executable, "-m", "lifecycle", "dist", "--target", f"linux/{architecture}", "--output", directory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Debian's package" in done.stderr or "wheels for" in done.stderr:
        pytest.skip(f"the parts of a distribution can't be fetched here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return _in(directory)


def _in(directory: Path) -> Distribution:
    stem = directory / f"lifecycle-v{__version__}+linux.{ARCH[host_platform().architecture]}"
    return Distribution(stem.with_name(f"{stem.name}.tgz"), stem.with_name(f"{stem.name}.oci.tar"))
