"""The short loop of who writes a buildpack: --rerun, --break, --shell-on-failure, --watch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from parts.forks import Command, forks

if TYPE_CHECKING:
    from pathlib import Path

INVALID_INPUT, BUILDPACK_FAILED = 3, 51
ONE = """#!/bin/sh
set -e
echo "one runs"
echo changed >> app.txt
mkdir -p "$CNB_LAYERS_DIR/layer/env.build"
printf from-one > "$CNB_LAYERS_DIR/layer/env.build/ONE"
printf '[types]\\nlaunch = true\\nbuild = true\\n' > "$CNB_LAYERS_DIR/layer.toml"
"""
TWO = """#!/bin/sh
echo "two sees ONE=$ONE, $(wc -l < app.txt) lines"
echo started >> "$CNB_LAYERS_DIR/attempts"
echo "attempt $(wc -l < "$CNB_LAYERS_DIR/attempts")"
test -e "$CNB_PLATFORM_DIR/env/WORKS" || exit 3
"""


class Loop:
    def __init__(self, root):
        self.root = root
        self.app = root / "app"
        self.app.mkdir()
        (self.app / "app.txt").write_text("line\n")
        for name, build in (("one", ONE), ("two", TWO)):
            (root / name / "bin").mkdir(parents=True)
            toml = f'api = "0.10"\n[buildpack]\nid = "me/{name}"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n'
            (root / name / "buildpack.toml").write_text(toml)
            self.write(name, build)
            (root / name / "bin" / "detect").write_text("#!/bin/sh\n")
            (root / name / "bin" / "detect").chmod(0o755)

    def write(self, name, build):
        path = self.root / name / "bin" / "build"
        path.write_text(build)
        path.chmod(0o755)

    def arguments(self, *more):
        named = [word for each in ("one", "two") for word in ("--buildpack", self.root / each)]
        return list(map(str, ["build", self.app, *named, *more]))

    @property
    def environment(self):
        return {**os.environ, "HOME": str(self.root), "XDG_STATE_HOME": "", "XDG_CACHE_HOME": ""}

    def build(self, *arguments, code=0, stdin=""):
        command = Command(self.arguments(*arguments), self.environment, stdin=stdin)
        done = forks().run(command, merged=True)
        assert done.returncode == code, done.stdout
        return done.stdout


@pytest.fixture
def loop(tmp_path):
    return Loop(tmp_path)


def test_a_build_goes_on_from_the_state_before_a_buildpack_as_often_as_one_likes(loop):
    failed = loop.build(code=BUILDPACK_FAILED)
    assert "--rerun me/two starts again from here" in failed
    for _ in range(2):
        again = loop.build("--rerun", "me/two", code=BUILDPACK_FAILED)
        assert "one runs" not in again
        assert "two sees ONE=from-one, 2 lines" in again
        assert "attempt 1" in again
    works = loop.build("--rerun", "me/two@1.0.0", "--env", "WORKS=1")
    assert "two sees ONE=from-one, 2 lines" in works
    assert "me/one:layer" in works


def test_the_image_is_that_of_a_build_from_the_start(loop):
    loop.build(code=BUILDPACK_FAILED)
    rerun = loop.build("--rerun", "me/two", "--env", "WORKS=1")
    whole = loop.build("--env", "WORKS=1")
    assert [line for line in rerun.splitlines() if line.startswith("image id")] == [
        line for line in whole.splitlines() if line.startswith("image id")
    ]


def test_changes_of_the_app_count_as_long_as_no_earlier_buildpack_changed_it(loop):
    loop.write("one", ONE.replace("echo changed >> app.txt\n", ""))
    loop.build(code=BUILDPACK_FAILED)
    (loop.app / "app.txt").write_text("a\nb\nc\n")
    assert "two sees ONE=from-one, 3 lines" in loop.build("--rerun", "me/two", code=BUILDPACK_FAILED)


def test_a_failed_build_does_not_take_the_place_of_the_last_good_one(loop):
    loop.write(
        "two",
        '#!/bin/sh\nprintf \'[[processes]]\\ntype = "web"\\ncommand = ["echo", "good"]\\ndefault = true\\n\' > "$CNB_LAYERS_DIR/launch.toml"\n',
    )
    loop.build()
    loop.write("two", TWO)
    for _ in range(2):
        loop.build(code=BUILDPACK_FAILED)
    done = forks().run(Command(["run"], loop.environment))
    assert done.stdout == "good\n", done.stderr
    builds = loop.root / ".local" / "state" / "cnb-lifecycle" / "builds"
    assert len(list(builds.glob("*/build-*"))) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--rerun", "me/two"], "there is no earlier build of this app"),
        (["--break", "me/two"], "write before:ID or after:ID"),
        (["--break", "before:me/three"], "--break names me/three, which is not in the group of this build"),
        (["--rerun", "me/two", "--cache-repo", "/tmp/x"], "nothing to share"),
        (["--bindings", "/nowhere"], "correct --bindings"),
        (["--env", f"{'N' * 256}=1"], "can't be the name of an environment variable"),
    ],
)
def test_what_can_not_be_done_is_told(loop, arguments, problem):
    assert problem in loop.build(*arguments, code=INVALID_INPUT)


def test_a_buildpack_that_was_not_reached_can_not_be_gone_on_from(loop):
    loop.write("one", "#!/bin/sh\nexit 1\n")
    loop.build(code=BUILDPACK_FAILED)
    assert "did not come to me/two: it ended at me/one@1.0.0" in loop.build("--rerun", "me/two", code=INVALID_INPUT)
    loop.write("one", ONE)
    assert "one runs" in loop.build("--rerun", "me/one", code=BUILDPACK_FAILED)


def test_other_buildpacks_before_it_need_a_whole_build(loop):
    loop.build(code=BUILDPACK_FAILED)
    toml = loop.root / "one" / "buildpack.toml"
    toml.write_text(toml.read_text().replace("1.0.0", "1.0.1"))
    assert "other buildpacks come before me/two" in loop.build("--rerun", "me/two", code=INVALID_INPUT)


def test_a_build_stops_before_and_after_a_buildpack_with_its_environment_plan_and_directory(loop):
    script = 'pwd; echo "ONE is $ONE"; test -f "$CNB_BP_PLAN_PATH" && echo plan; ls "$CNB_LAYERS_DIR"\n'
    output = loop.build("--break", "before:me/two", "--env", "WORKS=1", stdin=script)
    before, after = output.split("stopped before bin/build of me/two@1.0.0", 1)
    assert "two sees" not in before
    assert "ONE is from-one\nplan\n" in after
    assert "two sees" in after.partition("plan")[2]
    output = loop.build("--break", "after:me/one", "--env", "WORKS=1", stdin="ls $CNB_LAYERS_DIR")
    assert "layer\nlayer.toml\n" in output.partition("stopped after bin/build of me/one")[2]


def test_a_shell_on_failure_may_run_it_again_from_the_same_state(loop):
    script = 'touch left-over; echo x > "$CNB_LAYERS_DIR/left-over"; touch "$CNB_PLATFORM_DIR/env/WORKS"; exit 64\n'
    output = loop.build("--shell-on-failure", stdin=script)
    assert "bin/build failed with status 3" in output
    assert output.count("attempt 1") == 2
    assert "2 lines" in output.rpartition("two sees")[2]
    assert "left-over" not in subprocess.check_output(["find", loop.root / ".local"], text=True)


def test_leaving_the_shell_otherwise_ends_the_build_as_it_would_without(loop):
    assert "exited with status 3" in loop.build("--shell-on-failure", stdin="", code=BUILDPACK_FAILED)


def test_bindings_are_there_for_buildpacks(loop, tmp_path):
    (tmp_path / "bindings" / "database").mkdir(parents=True)
    (tmp_path / "bindings" / "database" / "type").write_text("postgresql")
    loop.write("two", '#!/bin/sh\ncat "$CNB_PLATFORM_DIR/bindings/database/type"\n')
    assert "postgresql" in loop.build("--bindings", tmp_path / "bindings")
    (tmp_path / "bindings" / "lost").symlink_to("nowhere")
    assert "can't be copied from" in loop.build("--bindings", tmp_path / "bindings", code=1)


@pytest.fixture
def watching(loop, tmp_path):
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lifecycle", *loop.arguments("--watch", "--env", "WORKS=1")],
            env=loop.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        yield tmp_path / "log"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130 or process.returncode > 128


def wait_for(log: Path, count):
    until = time.monotonic() + 60
    while log.read_text().count("watching for changes") < count:
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
    return log.read_text().split("watching for changes")[count - 1]


def test_a_change_of_a_buildpack_goes_on_from_there_and_one_of_the_app_builds_all(loop, watching):
    assert "one runs" in wait_for(watching, 1)
    loop.write("two", TWO.replace("two sees", "two now sees"))
    second = wait_for(watching, 2)
    assert f"changed: {loop.root / 'two' / 'bin' / 'build'}\n" in second
    assert "two now sees ONE=from-one, 2 lines" in second
    assert "one runs" not in second
    (loop.app / "app.txt").write_text("a\nb\nc\n")
    third = wait_for(watching, 3)
    assert "one runs" in third
    assert "4 lines" in third
