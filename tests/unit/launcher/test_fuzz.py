"""The launcher's readers of foreign bytes, fuzzed with sanitizers.

``CNB_FUZZ_SECONDS`` says how long each target is fuzzed (10 by default).  What crashes one is kept as
``corpus/<target>/<name>`` and is run first from then on.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = int(os.environ.get("CNB_FUZZ_SECONDS", "10"))
SEED = int.from_bytes(os.urandom(3), "big")
HERE = Path(__file__).parent
TARGETS = {
    "toml": ["arena", "toml"],
    "metadata": ["arena", "toml", "tree", "metadata", "process"],
    "execd": ["arena", "toml", "tree", "env", "execd"],
    "env": ["arena", "tree", "env"],
}
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


def has_libfuzzer(compiler: list[str], directory: Path) -> bool:
    source = directory / "probe.c"
    source.write_text("int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n && !d; }\n")
    command = [*compiler, "-fsanitize=fuzzer", source, "-o", directory / "probe"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def documents(target: str) -> list[Path]:
    return sorted((HERE / "corpus" / target).iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_makes_the_launcher_misbehave(
    target: str, tmp_path: Path, sanitizing_compiler: list[str], sanitized: Callable[..., None]
) -> None:
    program = tmp_path / target
    sources = [HERE / "fuzz" / name for name in (f"{target}_target.c", "fuzz.c", "memory.c")]
    found = tmp_path / "found"
    found.mkdir()
    if has_libfuzzer(sanitizing_compiler, tmp_path):
        sanitized(program, TARGETS[target], *sources, flags=("-fsanitize=fuzzer",))
        command: list[str | Path] = [
            program, f"-max_total_time={SECONDS}", f"-seed={SEED}", "-max_len=16384", "-timeout=20", "-verbosity=0",
            f"-artifact_prefix={tmp_path}/", found, HERE / "corpus" / target,
        ]  # fmt: skip
    else:
        driver = HERE / "fuzz" / "driver.c"
        sanitized(program, TARGETS[target], *sources, flags=("-fsanitize-coverage=trace-pc",), plain=[driver])
        command = [program, str(SECONDS), str(SEED), *documents(target)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, **OPTIONS},
    )
    inputs = [
        *tmp_path.glob("crash-*"),
        *tmp_path.glob("timeout-*"),
        *tmp_path.glob("oom-*"),
        *tmp_path.glob("running"),
    ]
    shown = {path.name: path.read_bytes()[:2000] for path in inputs}
    assert done.returncode == 0, f"seed {SEED}, {shown}\n{done.stdout[-2000:]}\n{done.stderr[-8000:]}"
