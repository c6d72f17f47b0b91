"""What the host refuses is told in one line, whichever command comes upon it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("build", LONG), 1),
        (("build", ".", "--buildpack", LONG), 1),
        (("build", ".", "--buildpack", ".", "--bindings", LONG), 1),
        (("build", ".", "--buildpack", ".", "--output", f"oci:../{LONG}"), 1),
        (("buildpack", "lint", LONG), 1),
        (("buildpack", "package", LONG), 1),
        (("buildpack", "inspect", LONG), 1),
        (("install", "--dest", LONG), 1),
        (("diff", f"oci:{LONG}", f"oci:{LONG}"), 4),
        (("verify", "--", LONG, "--buildpack", "."), 1),
        (("rebase", f"oci:{LONG}"), 72),
    ],
)
def test_a_name_that_is_too_long_is_an_error_and_no_traceback(
    tmp_path, arguments: tuple[str, ...], status: int
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/build").touch()
    (tmp_path / "buildpack.toml").write_text('api = "0.12"\n[buildpack]\nid = "a"\nversion = "1"\n')
    done = subprocess.run(
        [sys.executable, "-m", "lifecycle", *arguments],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert "can't be used: File name too long\n       choose a shorter name\n" in done.stderr
    assert done.returncode == status
