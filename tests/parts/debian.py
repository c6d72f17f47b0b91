"""A run image as users have them: a small Debian, made by debootstrap and put into an image by umoci."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SUITE = "bookworm"


def debian_run_image(directory: Path) -> Path:
    """Make an OCI layout below `directory` with the image "run" and return it; skip where that can't be done."""
    for program in ("debootstrap", "umoci"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install {program}")
    if os.geteuid() != 0:
        pytest.skip("debootstrap makes a Debian as root only")
    root, layout = directory / "root", directory / "layout"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", SUITE, root], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap can't make a Debian here: {made.stdout[-300:]}")
    # Which files apt left there differs between runs, and no process of an app needs them.
    for path in (*(root / "var/cache/apt").glob("**/*.deb"), *(root / "var/lib/apt/lists").glob("*_*")):
        path.unlink()
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:run")
    umoci("insert", "--image", f"{layout}:run", root, "/")
    umoci(
        "config", "--image", f"{layout}:run",
        "--config.env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "--config.user", "1000:1000",
        "--config.label", "io.buildpacks.base.distro.name=debian",
        "--config.label", "io.buildpacks.base.distro.version=12",
    )  # fmt: skip
    shutil.rmtree(root)
    return layout


def umoci(*arguments: str | Path) -> None:
    subprocess.run(["umoci", *arguments], capture_output=True, check=True)
