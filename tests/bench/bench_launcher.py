"""How large the launcher is, and how long it takes to start a process.

    python tests/bench/bench_launcher.py [--rounds N] [--reference LAUNCHER]

measures in this run, alternating, the start of a static C program that does nothing, that of static C programs that
execute it, at once or after they have read metadata.toml and listed each directory that the launcher has to look for,
and that of the launcher that executes it for images of some kinds.  The programs are compiled as the launcher is, and
the one that executes at once also by the host's own `cc -static`, if there is one.  It prints microseconds (the median,
and between which the middle half of all starts lies), the least, and the median's ratio to the bare program and to the
ones that only execute it (the host's second); nothing passes or fails.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lifecycle.launcher import build, launcher_path

BARE = "bare static program"
EXECS_IT = "static program that execs it"
HOST_EXECS_IT = "static program of the host's cc that execs it"
NOTHING = "int main(void) { return 0; }\n"
EXECS = """
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) { (void)argc; execve(argv[1], argv + 1, environ); return 1; }
"""

READS_AND_EXECS = """
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
extern char **environ;
static char text[1 << 16];
int main(int argc, char **argv) {
    int file = open(argv[2], O_RDONLY | O_CLOEXEC);
    while (read(file, text, sizeof text) > 0) {
    }
    close(file);
    for (int i = 3; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        while (directory != NULL && readdir(directory) != NULL) {
        }
        if (directory != NULL) {
            closedir(directory);
        }
    }
    char *none[] = {argv[1], NULL};
    execve(argv[1], none, environ);
    return 1;
}
"""


def compile_static(text: str, output: Path) -> Path:
    """Make a static program with the flags of the launcher's libc."""
    source = output.with_suffix(".c")
    source.write_text(text)
    target = f"{platform.machine()}-linux-musl"
    flags = ("-static", "-fPIE", "-pie", "-Os", "-s")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags, source, "-o", output]
    subprocess.run(command, check=True, env={**os.environ, **build.cache_variables()})
    return output


def compile_by_host(text: str, output: Path) -> Path | None:
    """Make a static program as the host's compiler does by default; None where it can't."""
    compiler = shutil.which("cc")
    source = output.with_suffix(".c")
    source.write_text(text)
    command = [str(compiler), "-static", "-Os", "-s", str(source), "-o", str(output)]
    made = compiler is not None and subprocess.run(command, check=False, capture_output=True).returncode == 0
    return output if made else None


def fill(root: Path, program: Path, *, buildpacks: int, layers: int, execd: bool) -> dict[str, str]:
    """Make an image's directories, and return the environment that names them."""
    (root / "app").mkdir(parents=True)
    text = ""
    for number in range(buildpacks):
        text += f'[[buildpacks]]\nid = "buildpacks/b{number}"\nversion = "1"\napi = "0.12"\n'
        for layer in range(layers):
            directory = root / f"layers/buildpacks_b{number}/l{layer}"
            for name in ("bin", "lib", "env.launch"):
                (directory / name).mkdir(parents=True)
            (directory / "env.launch/VARIABLE.append").write_text("x")
    text += f'[[processes]]\ntype = "web"\nbuildpack-id = "buildpacks/b0"\ncommand = ["{program}"]\ndirect = true\n'
    (root / "layers/config").mkdir(parents=True)
    (root / "layers/config/metadata.toml").write_text(text)
    if execd:
        (root / "layers/buildpacks_b0/l0/exec.d").mkdir()
        (root / "layers/buildpacks_b0/l0/exec.d/1").symlink_to(program)
    return {
        "CNB_PLATFORM_API": "0.15",
        "CNB_LAYERS_DIR": str(root / "layers"),
        "CNB_APP_DIR": str(root / "app"),
        "PATH": "/usr/bin:/bin",
    }


def looked_for(root: Path, buildpacks: int, layers: int) -> list[str]:
    """Return the directories that a launcher has to look for in what ``fill`` made."""
    found = [root / f"layers/buildpacks_b{number}" for number in range(buildpacks)]
    made = [directory / f"l{layer}" for directory in found for layer in range(layers)]
    return [*map(str, found), *(str(layer / name) for layer in made for name in ("env", "env.launch", "exec.d"))]


def starts(executable: Path, argv: list[str], env: dict[str, str]) -> Callable[[], float]:
    """Return what gives the seconds of one start, from before the process until after it."""

    def once() -> float:
        before = time.perf_counter()
        child = os.posix_spawn(executable, argv, env)
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - before
        if status != 0:
            raise SystemExit(f"{executable} {argv} ended with status {status}")
        return seconds

    return once


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--reference", type=Path, help="another launcher to measure beside ours")
    options = parser.parse_args()
    for arch in build.ARCHITECTURES:
        sys.stdout.write(f"size of the launcher for linux/{arch}: {launcher_path(arch).stat().st_size} bytes\n")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        nothing = compile_static(NOTHING, root / "nothing")
        execs = compile_static(EXECS, root / "execs")
        host_execs = compile_by_host(EXECS, root / "host-execs")
        reads = compile_static(READS_AND_EXECS, root / "reads")
        shapes = {
            "no layers": {"buildpacks": 1, "layers": 0, "execd": False},
            "1 buildpack, 1 layer": {"buildpacks": 1, "layers": 1, "execd": False},
            "6 buildpacks with 4 layers each": {"buildpacks": 6, "layers": 4, "execd": False},
            "1 buildpack, 1 layer, 1 exec.d program": {"buildpacks": 1, "layers": 1, "execd": True},
        }
        launchers = {"launcher": launcher_path()}
        if options.reference is not None:
            launchers["reference"] = options.reference.resolve()
        cases = {
            BARE: starts(nothing, ["nothing"], {}),
            EXECS_IT: starts(execs, ["execs", str(nothing)], {}),
        }
        if host_execs is not None:
            cases[HOST_EXECS_IT] = starts(host_execs, ["execs", str(nothing)], {})
        for number, (title, shape) in enumerate(shapes.items()):
            env = fill(root / str(number), nothing, **shape)  # type: ignore[arg-type]
            found = looked_for(root / str(number), shape["buildpacks"], shape["layers"])
            argv = ["reads", str(nothing), str(root / str(number) / "layers/config/metadata.toml"), *found]
            if not shape["execd"]:
                cases[f"static program that reads and execs, {title}"] = starts(reads, argv, env)
            for kind, launcher in launchers.items():
                cases[f"{kind}, {title}"] = starts(launcher, ["web"], env)
        times: dict[str, list[float]] = {title: [] for title in cases}
        for _ in range(options.rounds):
            for title, once in cases.items():
                times[title].append(once())
    bases = [statistics.median(times[title]) for title in (BARE, EXECS_IT, HOST_EXECS_IT) if title in times]
    for title, seconds in times.items():
        low, median, high = statistics.quantiles(seconds, n=4)
        ratios = "".join(f"  {median / base:5.2f}" for base in bases)
        sys.stdout.write(
            f"{median * 1e6:7.0f} µs ({low * 1e6:.0f} to {high * 1e6:.0f}, least {min(seconds) * 1e6:.0f})"
            f"{ratios}  {title}\n"
        )


if __name__ == "__main__":
    main()
