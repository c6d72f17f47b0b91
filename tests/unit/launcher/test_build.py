"""The launcher's build: the same small, hardened bytes everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lifecycle.errors import LaunchError
from lifecycle.launcher import build, launcher_path

LARGEST = 150_000
MACHINES = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
ROOT = Path(__file__).parents[3]


def copied_build(directory: Path) -> Path:
    """A copy of the sources, whose build.py makes the launchers in another process."""
    shutil.copytree(build.SOURCES_DIR, directory, ignore=shutil.ignore_patterns("bin", "__pycache__"))
    return directory / "build.py"


def build_in(directory: Path, arch: str) -> bytes:
    script = copied_build(directory)
    code = f"import sys; sys.path.insert(0, {str(script.parent)!r}); import build; from pathlib import Path; "
    code += f"build.build_launcher(Path({str(directory)!r}) / 'made', arch={arch!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    return (directory / "made").read_bytes()


@pytest.fixture(scope="module", params=build.ARCHITECTURES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, build.build_launcher(tmp_path_factory.mktemp("built") / "launcher", arch=request.param)


def readelf(*args: str | Path) -> str:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed: apt-get install binutils")
    return subprocess.run(["readelf", "-W", *args], capture_output=True, text=True, check=True).stdout


def test_builds_in_other_directories_give_the_same_bytes(built: tuple[str, Path], tmp_path: Path) -> None:
    arch, launcher = built
    assert build_in(tmp_path / "other" / "longer-name", arch) == launcher.read_bytes()


def test_it_is_small_and_executable(built: tuple[str, Path]) -> None:
    _, launcher = built
    assert launcher.stat().st_size < LARGEST
    assert launcher.stat().st_mode & 0o777 == 0o755


def test_it_is_static_and_hardened(built: tuple[str, Path]) -> None:
    arch, launcher = built
    header = readelf("-h", launcher)
    segments = readelf("-l", launcher)
    assert MACHINES[arch] in header
    assert "DYN (Position-Independent Executable" in header
    assert "INTERP" not in segments
    assert "NEEDED" not in readelf("-d", launcher)
    assert "GNU_RELRO" in segments
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack
    assert not [line for line in segments.splitlines() if "LOAD" in line and "RWE" in line]


def test_it_names_no_directory_of_its_build(built: tuple[str, Path]) -> None:
    _, launcher = built
    found = launcher.read_bytes()
    for directory in (build.SOURCES_DIR, Path.home(), Path(sys.prefix), launcher.parent):
        assert str(directory).encode() + b"/" not in found


def test_an_older_binary_is_built_anew_and_a_current_one_kept(tmp_path: Path) -> None:
    binary = tmp_path / "launcher"
    assert not build.is_current(binary)
    binary.write_bytes(b"")
    assert build.is_current(binary)
    os.utime(binary, (0, 0))
    assert not build.is_current(binary)


def test_a_source_that_does_not_compile_is_told_with_the_compilers_words(tmp_path: Path) -> None:
    script = copied_build(tmp_path / "broken")
    with (script.parent / "tree.c").open("a") as source:
        source.write("int broken(void) { return nothing_such; }\n")
    code = f"import sys; sys.path.insert(0, {str(script.parent)!r}); import build; from pathlib import Path; "
    code += f"build.build_launcher(Path({str(tmp_path)!r}) / 'made')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "LauncherBuildError: the launcher does not compile" in done.stderr
    assert "nothing_such" in done.stderr
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.glob(".launcher-*"))


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(build.LauncherBuildError, match="linux/riscv128; known: amd64, arm64"):
        build.build_launcher(tmp_path / "launcher", arch="riscv128")
    with pytest.raises(LaunchError, match="no launcher for linux/riscv128"):
        launcher_path("riscv128")


def test_the_installed_package_has_a_launcher_for_every_architecture() -> None:
    for arch in build.ARCHITECTURES:
        assert launcher_path(arch).stat().st_mode & 0o111


def test_one_wheel_for_all_platforms_holds_both_launchers(tmp_path: Path) -> None:
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("bin", "__pycache__")
    for name in ("lifecycle", "buildpacks/sdk"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        for arch in build.ARCHITECTURES:
            entry = archive.getinfo(f"lifecycle/launcher/bin/linux-{arch}/launcher")
            assert entry.external_attr >> 16 & 0o777 == 0o755
            assert archive.read(entry)[:4] == b"\x7fELF"
        assert "lifecycle/buildpackages/sdk/cnb_buildpack/__init__.py" in archive.namelist()
