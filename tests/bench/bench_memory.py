"""How much memory `lifecycle build` takes for layers of different sizes, by destination.

    python tests/bench/bench_memory.py [--sizes 50 2000] [--registry HOST:PORT] [--daemon]

A buildpack makes one launch and cache layer of that many megabytes, of bytes that can't be compressed; each image is
built twice, first new, then on an empty disk from the cache image where there is a registry. It prints the peak of each
process and its ratio to that of the smallest size; nothing passes or fails. Without --registry one is started here.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.memory import MIB, memory_of_command
from parts.registry import RegistryServer

BUILDPACK = """\
api = "0.10"
[buildpack]
id = "bench/large"
version = "1"
[[targets]]
os = "linux"
"""
BUILD = """\
#!/bin/sh
set -eu
cd "$CNB_LAYERS_DIR"
if [ -e large.toml ]; then
    printf '[types]\\nlaunch = true\\ncache = true\\n' >large.toml
    exit
fi
mkdir large
openssl enc -aes-128-ctr -pass pass:$SIZE -nosalt -in /dev/zero 2>/dev/null | head -c ${SIZE}000000 >large/file
printf '[types]\\nlaunch = true\\ncache = true\\n' >large.toml
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 2000], metavar="MB")
    parser.add_argument("--registry", metavar="HOST:PORT", help="a registry to push to; one of our own unless given")
    parser.add_argument("--daemon", action="store_true", help="also the daemon of DOCKER_HOST")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as scratch:
        directory = Path(scratch)
        (directory / "registry").mkdir()
        _write_buildpack(directory)
        if options.registry:
            _measure(directory, options.registry, options.sizes, daemon=options.daemon)
            return
        with RegistryServer(directory / "registry") as server:
            _measure(directory, server.host, options.sizes, daemon=options.daemon)


def _write_buildpack(directory: Path) -> None:
    (directory / "app").mkdir()
    (directory / "app" / "file").write_text("app", encoding="utf-8")
    root = directory / "buildpack"
    (root / "bin").mkdir(parents=True)
    (root / "buildpack.toml").write_text(BUILDPACK, encoding="utf-8")
    for name, text in (("detect", "#!/bin/sh\n"), ("build", BUILD)):
        (root / "bin" / name).write_text(text, encoding="utf-8")
        (root / "bin" / name).chmod(0o755)


def _measure(directory: Path, registry: str, sizes: list[int], *, daemon: bool) -> None:
    destinations = ["layout", "image.tar", "docker-archive:docker.tar", "registry", *(["daemon"] if daemon else [])]
    _say(f"{'destination':<26}{'build':<8}" + "".join(f"{size:>10} MB" for size in sizes) + f"{'ratio':>10}")
    for destination in destinations:
        rows: dict[str, list[int]] = {"new": [], "again": []}
        for size in sizes:
            for build, peaks in rows.items():
                peaks.append(_peak(directory, registry, destination, size, build))
        for build, peaks in rows.items():
            shown = "".join(f"{peak / MIB:>9.1f} MiB" for peak in peaks)
            _say(f"{destination:<26}{build:<8}{shown}{peaks[-1] / peaks[0]:>10.2f}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _peak(directory: Path, registry: str, destination: str, size: int, build: str) -> int:
    tag = f"{registry}/bench/{destination.partition(':')[0].replace('.', '-')}:{size}"
    home = directory / "home" / f"{build}-{size}"
    home.mkdir(parents=True, exist_ok=True)
    done = memory_of_command(
        [
            sys.executable, "-m", "lifecycle", "build", str(directory / "app"), "-b", str(directory / "buildpack"),
            "-o", destination, "-t", tag, "--cache-image", f"{registry}/bench/cache:{size}", "-e", f"SIZE={size}",
        ],
        environment={**os.environ, "HOME": str(home), "XDG_STATE_HOME": "", "XDG_CACHE_HOME": ""},
        cwd=directory,
        timeout=1800,
    )  # fmt: skip
    if done.exit_code:
        raise SystemExit(done.stderr)
    return done.peak


if __name__ == "__main__":
    main()
