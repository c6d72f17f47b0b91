"""Things that take long to make, once for all workers of a test run."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from parts.shared_process import run_directory


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the directory of that name, which `make` has filled, for the first worker that asks.

    The others wait for it. Where `make` skips its test, the tests of the others skip with the same sentence.
    """
    directory = run_directory(factory, name)
    made, skipped = directory.with_name(f"{name}.made"), directory.with_name(f"{name}.skipped")
    with directory.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if skipped.exists():
            pytest.skip(skipped.read_text())
        if not made.exists():
            try:
                make(directory)
            except pytest.skip.Exception as skip:
                skipped.write_text(str(skip.msg))
                raise
            made.touch()
    return directory
