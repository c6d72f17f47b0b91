"""Builds the launcher from its C sources with the compiler of ziglang: the same bytes everywhere."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES_DIR = Path(__file__).resolve().parent

_ZIG_TARGETS = {"amd64": "x86_64-linux-musl", "arm64": "aarch64-linux-musl"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
ARCHITECTURES = tuple(_ZIG_TARGETS)
"""For which there is a launcher: images are often made for another architecture than the builder's."""

_FLAGS = ("-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Os", "-g0", "-s")
_HARDENING = (
    *("-static", "-fPIE", "-pie"),
    *("-fstack-protector-strong", "-fstack-clash-protection", "-ftrivial-auto-var-init=zero"),
    *("-fsanitize=undefined", "-fsanitize-trap=undefined"),
    *("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"),
)
"""musl has no checked variants of its functions, so there is no FORTIFY_SOURCE."""
_HARDENING_OF = {"amd64": ("-fcf-protection=full",), "arm64": ("-mbranch-protection=standard",)}
WARNINGS = (
    *("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla", "-Wformat=2"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes"),
)


class LauncherBuildError(RuntimeError):
    """The compiler is missing or refused the sources.

    Not in ``lifecycle.errors``: the build hook loads this module before there is a package.
    """


def host_arch() -> str:
    """Return the host's architecture in Go's words."""
    machine = platform.machine().lower()
    return _MACHINES.get(machine, machine)


def sources() -> list[Path]:
    """Return every file that the binary is made from."""
    return sorted([*SOURCES_DIR.glob("*.c"), *SOURCES_DIR.glob("*.h"), SOURCES_DIR / "build.py"])


def is_current(binary: Path) -> bool:
    """Say whether ``binary`` exists and is newer than all it is made from."""
    if not binary.is_file():
        return False
    built = binary.stat().st_mtime_ns
    return all(source.stat().st_mtime_ns <= built for source in sources())


def build_launchers(bin_dir: Path) -> list[Path]:
    """Compile ``bin_dir``/linux-<arch>/launcher for every architecture, unless it is newer than its sources."""
    binaries = {arch: bin_dir / f"linux-{arch}" / "launcher" for arch in ARCHITECTURES}
    with ThreadPoolExecutor() as threads:
        started = [
            threads.submit(build_launcher, binary, arch=arch)
            for arch, binary in binaries.items()
            if not is_current(binary)
        ]
    for each in started:
        each.result()
    return list(binaries.values())


def build_launcher(destination: Path, *, arch: str | None = None) -> Path:
    """Compile the static launcher for linux/``arch`` (the host's by default) to the file ``destination``."""
    arch = host_arch() if arch is None else arch
    if arch not in _ZIG_TARGETS:
        raise LauncherBuildError(f"there is no launcher for linux/{arch}; known: {', '.join(_ZIG_TARGETS)}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".launcher-", dir=destination.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        _compile(partial, arch)
        partial.chmod(0o755)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
    return destination


def _compile(output: Path, arch: str) -> None:
    names = [path.name for path in sources() if path.suffix == ".c"]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", _ZIG_TARGETS[arch], *_FLAGS, *WARNINGS]
    command += [*_HARDENING, *_HARDENING_OF[arch], f"-ffile-prefix-map={SOURCES_DIR}=."]
    command += [*names, "-o", str(output.resolve())]
    done = subprocess.run(
        command,
        cwd=SOURCES_DIR,
        env={**os.environ, **cache_variables()},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise LauncherBuildError(f"the launcher does not compile for linux/{arch}: {done.stderr.strip()}")


def cache_variables() -> dict[str, str]:
    """Return where zig keeps its objects: a directory of this user, whatever HOME is."""
    given = os.environ.get("ZIG_GLOBAL_CACHE_DIR")
    cache = Path(given) if given else Path(tempfile.gettempdir()) / f"cnb-lifecycle-zig-{os.getuid()}"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    if cache.stat().st_uid != os.getuid():
        cache = Path(tempfile.mkdtemp(prefix="cnb-lifecycle-zig-"))
    return {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
