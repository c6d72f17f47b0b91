"""What it costs to run the unit tests of a buildpack.

    python tests/bench/bench_unit_tests.py [--rounds N] [--pytest PROGRAM]

measures in this run, alternating, pytest with an empty test, with the tests of a new buildpack (`lifecycle buildpack
new`: detect, build, two rebuilds, export, launch; its contract is left out), those of the procfile buildpack as the
README has them, and those of the SDK without a file on disk.  It prints milliseconds of processor time and of waiting,
seconds as pytest tells them (all medians), and the ratio of the first to the empty test; nothing passes or fails.
--pytest names that of another environment, as users have it; it needs pyfakefs for the last row.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lifecycle.buildpackages.scaffold import scaffold
from lifecycle.model.buildpackage import ModuleKind

SOURCE = Path(__file__).parents[2]
PROCFILE = """\
BUILDPACK = {buildpack!r}
APP = {{"Procfile": "web: echo hello from $PORT\\n"}}


def test_an_app_without_a_procfile_is_left_to_others(cnb):
    assert cnb.detect(cnb.buildpack(BUILDPACK, in_process=True)).exit_code == 100


def test_each_line_becomes_a_process(cnb):
    assert list(cnb.build(cnb.buildpack(BUILDPACK, in_process=True), files=APP).processes) == ["web"]


def test_the_process_runs_in_the_image(cnb):
    image = cnb.build(cnb.buildpack(BUILDPACK, in_process=True), files=APP).export()
    assert image.launch(env={{"PORT": "8080"}}).log == "hello from 8080\\n"
"""


def prepare(root: Path) -> dict[str, list[str]]:
    """Write the tests below a directory; return by name what pytest gets."""
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / "test_empty.py").write_text("def test_nothing():\n    pass\n")
    (root / "test_procfile.py").write_text(PROCFILE.format(buildpack=str(SOURCE / "buildpacks/procfile")))
    (root / "test_fakefs.py").write_text((SOURCE / "tests/unit/buildpacks/sdk/test_unit_example.py").read_text())
    scaffold(root / "new", "bench/new", ModuleKind.BUILDPACK)
    return {
        "empty test": ["test_empty.py"],
        "new buildpack": ["new", "-k", "not Contract"],
        "procfile": ["test_procfile.py"],
        "without files": ["test_fakefs.py", "-o", f"pythonpath={SOURCE / 'buildpacks/sdk'}"],
    }


def run(command: list[str], directory: Path) -> tuple[float, float, float]:
    """Run pytest; return milliseconds of processor time and of waiting, and its own seconds."""
    # As most users have it: what was compiled once is not compiled again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    waiting = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    told = re.search(r" in ([0-9.]+)s", output)
    if process.returncode != 0 or told is None:
        sys.exit(f"{command}: {output}")
    return (used.ru_utime + used.ru_stime) * 1000, waiting * 1000, float(told[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pytest", type=Path, default=Path(sys.executable).with_name("pytest"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = prepare(Path(name))
        figures: dict[str, list[tuple[float, float, float]]] = {each: [] for each in runs}
        for _ in range(given.rounds + 1):
            for each, arguments in runs.items():
                figures[each].append(run([str(given.pytest.absolute()), "-q", *arguments], Path(name)))
    sys.stdout.write(f"{'':20}{'processor ms':>14}{'waiting ms':>14}{'pytest s':>10}{'ratio':>8}\n")
    # The first run of each compiles.
    medians = {each: [statistics.median(row) for row in zip(*rows[1:], strict=True)] for each, rows in figures.items()}
    for each, (processor, waiting, own) in medians.items():
        ratio = processor / medians["empty test"][0]
        sys.stdout.write(f"{each:20}{processor:14.0f}{waiting:14.0f}{own:10.2f}{ratio:8.1f}\n")


if __name__ == "__main__":
    main()
