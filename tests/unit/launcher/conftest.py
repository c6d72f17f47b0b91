"""Programs made from the launcher's sources with sanitizers, which the launcher itself does without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle.launcher import build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FUZZ_DIR = Path(__file__).parent / "fuzz"
FLAGS = ("-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-g", f"-I{build.SOURCES_DIR}", f"-I{FUZZ_DIR}")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def _compiled(command: Sequence[str | Path]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def sanitizing_compiler(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The first compiler of this host that has the sanitizers, as a command."""
    probe = tmp_path_factory.mktemp("compiler") / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    for name in ("clang", "clang-14", "gcc"):
        if shutil.which(name) and _compiled([name, *SANITIZERS, probe, "-o", probe.with_suffix("")]):
            return [name]
    pytest.skip("neither clang nor gcc with the address sanitizer is installed")


@pytest.fixture(scope="session")
def sanitized(sanitizing_compiler: list[str]) -> Callable[..., None]:
    """Compile files of lifecycle/launcher (by their stems) and others to a program, with sanitizers."""

    def compile_program(
        output: Path, stems: Sequence[str], *others: Path, flags: Sequence[str] = (), plain: Sequence[Path] = ()
    ) -> None:
        traced = [build.SOURCES_DIR / f"{stem}.c" for stem in stems] + list(others)
        objects = []
        for number, source in enumerate([*traced, *plain]):
            made = output.with_suffix(f".{number}.o")
            own = [] if source in plain else [*SANITIZERS, *flags]
            command = [*sanitizing_compiler, *FLAGS, *own, "-c", str(source), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            objects.append(str(made))
        link = [flag for flag in flags if flag != "-fsanitize-coverage=trace-pc"]
        done = subprocess.run(
            [*sanitizing_compiler, *SANITIZERS, *link, *objects, "-o", str(output)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return compile_program
