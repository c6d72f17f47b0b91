"""A small Debian as users have it, made by debootstrap: its files, and a run image put together by umoci."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from parts.made_once import made_once

SUITE = "bookworm"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABELS = ("io.buildpacks.base.distro.name=debian", "io.buildpacks.base.distro.version=12")
_UNUSED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info")


def debian_root(factory: pytest.TempPathFactory) -> Path:
    """Return the root directory of a Debian that all workers share: copy before you change it.

    Skips the test where it can't be made.
    """
    return made_once(factory, "debian-root", _make_root)


def debian_run_image(factory: pytest.TempPathFactory) -> Path:
    """Make an OCI layout with the image "run" and return it; skip where that can't be done."""
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed: apt-get install umoci")
    root, layout = debian_root(factory), factory.mktemp("debian") / "layout"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:run")
    umoci("insert", "--image", f"{layout}:run", root, "/")
    umoci(
        "config", "--image", f"{layout}:run", "--config.env", PATH, "--config.user", "1000:1000",
        *(option for label in LABELS for option in ("--config.label", label)),
    )  # fmt: skip
    return layout


def _make_root(root: Path) -> None:
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed: apt-get install debootstrap")
    if os.geteuid() != 0:
        pytest.skip("debootstrap makes a Debian as root only")
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", SUITE, root], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap can't make a Debian here: {made.stdout[-300:]}")
    # Which files apt left there differs between runs, and no process of an app needs them.
    for path in (*(root / "var/cache/apt").glob("**/*.deb"), *(root / "var/lib/apt/lists").glob("*_*")):
        path.unlink()
    for name in _UNUSED:
        shutil.rmtree(root / name)


def umoci(*arguments: str | Path) -> None:
    subprocess.run(["umoci", *arguments], capture_output=True, check=True)
