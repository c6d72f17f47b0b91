"""Python buildpacks in the process of the test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lifecycle.errors import BuildpackBuildError

DETECT = "#!/usr/bin/env python3\n"
BUILD = """\
#!/usr/bin/env python3
import os, subprocess, sys
import own_part
print("in", os.getpid(), sys.argv[0])
print("of", own_part.NAME, os.environ["BP_ONE"], file=sys.stderr)
subprocess.run(["sh", "-c", "echo child; read line || echo no input"], check=True)
os.environ["LEFT"] = "1"
os.umask(0o077)
"""


@pytest.fixture
def python_buildpack(made):
    root = made(detect=DETECT, build=BUILD)
    (root / "bin" / "own_part.py").write_text('NAME = "first"\n')
    return root


def test_python_executables_run_in_this_process(cnb, python_buildpack):
    before = Path.cwd(), dict(os.environ), list(sys.path), list(sys.argv), os.umask(0o022)
    log = cnb.build(cnb.buildpack(python_buildpack, in_process=True), env={"BP_ONE": "1"}).log
    assert f"in {os.getpid()} " in log
    assert log.lines[0].endswith("/bin/build")
    assert log.endswith("of first 1\nchild\nno input\n")
    assert (Path.cwd(), dict(os.environ), sys.path, sys.argv, os.umask(before[4])) == before
    assert list(python_buildpack.rglob("__pycache__")) == []


def test_a_buildpack_that_is_changed_in_a_test_is_run_as_it_is_now(cnb, python_buildpack):
    part = python_buildpack / "bin" / "own_part.py"
    for name in ("first", "other"):
        part.write_text(f'NAME = "{name}"\n')
        log = cnb.build(cnb.buildpack(python_buildpack, in_process=True), env={"BP_ONE": "1"}).log
        assert f"of {name} 1\n" in log


def test_an_sdk_that_is_changed_in_a_test_is_loaded_as_it_is_now(cnb, made, monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] == "cnb_buildpack"]:
        monkeypatch.delitem(sys.modules, name)
    root = made(detect=DETECT, build="#!/usr/bin/env python3\nimport cnb_buildpack\nprint(cnb_buildpack.NAME)\n")
    sdk = root / "bin" / "cnb_buildpack.py"
    logs = []
    for name in ("first", "first", "other"):
        if name not in "".join(logs):
            sdk.write_text(f'NAME = "{name}"\n')
        logs.append(cnb.build(cnb.buildpack(root, in_process=True)).log)
    assert logs == ["first\n", "first\n", "other\n"]


def test_modules_of_one_buildpack_are_none_of_another(cnb, python_buildpack, made):
    other = made("test/other", detect=DETECT, build=BUILD)
    (other / "bin" / "own_part.py").write_text('NAME = "second"\n')
    group = [cnb.buildpack(root, in_process=True) for root in (python_buildpack, other)]
    log = cnb.build(group, env={"BP_ONE": "1"}).log
    assert "of first 1\n" in log
    assert "of second 1\n" in log


def test_an_exception_fails_the_build_as_a_process_would_and_is_the_cause(cnb, made):
    root = made(detect=DETECT, build="#!/usr/bin/env python3\nraise ValueError('why')\n")
    buildpack = cnb.buildpack(root, in_process=True)
    with pytest.raises(BuildpackBuildError, match="exited with status 1") as failed:
        cnb.build(buildpack)
    assert str(failed.value.__cause__) == "why"
    assert cnb.build(buildpack, check=False).log.endswith("ValueError: why\n")


@pytest.mark.parametrize(("code", "status"), [("0", 0), ("", 0), ("100", 100), ("'no'", 1), ("True", 1), ("-1", 255)])
def test_exit_statuses_are_those_of_a_process(cnb, made, code, status):
    root = made(detect=f"#!/usr/bin/env python3\nimport sys\nsys.exit({code})\n")
    seen = [cnb.detect(cnb.buildpack(root, in_process=each)) for each in (True, False)]
    assert [each.exit_code for each in seen] == [status, status]
    assert seen[0].log == seen[1].log


def test_a_function_may_stand_for_the_executables(cnb, made, tmp_path):
    seen = []

    def main():
        name = Path(sys.argv[0]).name
        seen.append(name)
        if name == "detect":
            return 0 if Path("main.txt").exists() else 100
        Path(os.environ["CNB_LAYERS_DIR"], "made.toml").write_text("[types]\nlaunch = true\n")
        Path(os.environ["CNB_LAYERS_DIR"], "made").mkdir()
        return None

    root = made()
    for path in (root / "bin").iterdir():
        path.unlink()
    buildpack = cnb.buildpack(root, main=main)
    assert not cnb.detect(buildpack)
    assert cnb.build(buildpack, files={"main.txt": ""}).layers["made"].launch
    assert seen == ["detect", "detect", "build"]


def test_text_that_is_no_unicode_is_kept_as_far_as_it_can_be(cnb, made):
    root = made(detect=DETECT, build="#!/usr/bin/env python3\nimport sys\nsys.stdout.buffer.write(b'\\xff\\n')\n")
    assert cnb.build(cnb.buildpack(root, in_process=True)).log == "\ufffd\n"
