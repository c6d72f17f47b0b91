"""What it costs to start a phase that has little to do.

    python tests/bench/bench_startup.py [--rounds N] [--executables DIR]... [--imports]

measures in this run, alternating, a bare `python3 -c pass`, each phase as pip installed it, and each phase among the
executables in every DIR (a /cnb/lifecycle), for a build of one buildpack in OCI layouts.  It prints milliseconds of
processor time and of waiting (medians), and the ratio of the former to the bare interpreter; nothing passes or fails.
--imports adds the modules that take longest to import.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lifecycle.launcher import launcher_path
from parts.nobody import AS_NOBODY, NOBODY
from parts.small_build import PHASES, SmallBuild, make_small_build


class Times:
    """Processor and waiting times of one kind of process, in milliseconds."""

    def __init__(self) -> None:
        self.processor: list[float] = []
        self.waiting: list[float] = []

    def add(self, command: Sequence[str], environment: dict[str, str]) -> None:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        self.waiting.append((time.perf_counter() - started) * 1000)
        self.processor.append((used.ru_utime + used.ru_stime) * 1000)
        if process.returncode != 0:
            sys.exit(f"{command}: {output.decode(errors='replace')}")


def build_in(directory: Path, uid: int | None) -> SmallBuild:
    build = make_small_build(directory, prefix=str(directory), owner=uid)
    shutil.copy(launcher_path(), directory / "cnb/lifecycle/launcher")
    return build


def slowest_imports(build: SmallBuild, phase: str) -> list[str]:
    command = [sys.executable, "-X", "importtime", "-m", "lifecycle", phase, *build.arguments(phase)]
    environment = {**os.environ, **build.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line][1:]
    slowest = sorted(((int(own), name.strip()) for own, _, name in rows), reverse=True)[:15]
    return [f"{own / 1000:8.1f} ms  {name}" for own, name in slowest]


def show(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--executables", type=Path, action="append", default=[])
    parser.add_argument("--imports", action="store_true")
    given = parser.parse_args()
    uid, user = (NOBODY, AS_NOBODY) if os.geteuid() == 0 else (None, ())

    installed = Path(sys.executable).with_name("lifecycle")
    forms = {"pip": None, **{str(directory): directory.absolute() for directory in given.executables}}
    names = [*PHASES, "creator"]
    times = {("bare", ""): Times(), **{(form, phase): Times() for form in forms for phase in names}}
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for number in range(given.rounds):
            times["bare", ""].add([*user, sys.executable, "-c", "pass"], dict(os.environ))
            for form, directory in forms.items():
                for kind, phases in (("five", PHASES), ("one", ("creator",))):
                    build = build_in(Path(name) / f"{number}-{kind}-{len(form)}", uid)
                    for phase in phases:
                        start = [str(installed), phase] if directory is None else [str(directory / phase)]
                        environment = {**os.environ, **build.environment, "PATH": os.environ["PATH"]}
                        times[form, phase].add([*user, *start, *build.arguments(phase)], environment)
        if given.imports:
            show(*slowest_imports(build_in(Path(name) / "imports", uid), "analyzer"))
    bare = statistics.median(times["bare", ""].processor)
    show(f"{'':40}{'processor ms':>14}{'waiting ms':>14}{'ratio':>8}")
    for (form, phase), each in times.items():
        processor, waiting = statistics.median(each.processor), statistics.median(each.waiting)
        show(f"{f'{form} {phase}':40}{processor:14.1f}{waiting:14.1f}{processor / bare:8.1f}")


if __name__ == "__main__":
    main()
