"""The log of detection, whole, and the account that comes with the result."""

from __future__ import annotations

import logging
import os

import pytest

from lifecycle.errors import BuildpackDetectError, NoGroupDetectedError
from lifecycle.executables.process import run_process
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.descriptor import Order, System
from lifecycle.model.target import TargetData
from lifecycle.phases.detect import DetectInputs, detect
from lifecycle.rules.detection import Account, Verdict


@pytest.fixture
def add(tmp_path):
    (tmp_path / "app").mkdir()

    def add(name, script, *, toml=""):
        root = tmp_path / "buildpacks" / name.replace("/", "_") / "1"
        (root / "bin").mkdir(parents=True)
        (root / "buildpack.toml").write_text(f"api = '0.12'\n[buildpack]\nid = '{name}'\nversion = '1'\n{toml}")
        (root / "bin" / "detect").write_text(f"#!/bin/sh\n{script}\n")
        (root / "bin" / "detect").chmod(0o755)
        (root / "bin" / "build").touch()

    return add


def run(tmp_path, *groups, system=None, **given):
    order = [
        {"group": [{"id": word.rstrip("?"), "version": "1", "optional": word.endswith("?")} for word in text.split()]}
        for text in groups
    ]
    inputs = DetectInputs(
        platform_api=LATEST_PLATFORM_API,
        app_dir=tmp_path / "app",
        buildpacks_dir=tmp_path / "buildpacks",
        extensions_dir=tmp_path / "extensions",
        platform_dir=tmp_path / "platform",
        build_config_dir=tmp_path / "build-config",
        order=Order.model_validate({"order": order}),
        system=System.model_validate({"system": system or {}}),
        process_env={"PATH": os.environ["PATH"]},
        **given,
    )
    return detect(inputs, run=run_process)


def logged(caplog):
    return [
        (logging.getLevelName(record.levelno)[0], record.getMessage())
        for record in caplog.records
        if not record.getMessage().startswith("Timer: ")
    ]


def test_the_log_of_a_success_at_debug_level(add, tmp_path, caplog):
    add("a/long-one", "echo 100% of a; printf 'provides = [{name = \"x\"}]' > $2")
    add("b", "echo only b; exit 100")
    add("c", "echo broken >&2; exit 7")
    add("d", 'printf \'requires = [{name = "y"}]\\n[[or]]\\nrequires = [{name = "x"}]\' > $2')
    caplog.set_level(logging.DEBUG, "lifecycle")
    run(tmp_path, "a/long-one b? c? d")
    assert logged(caplog) == [
        ("D", "======== Output: a/long-one@1 ========"),
        ("D", "100% of a\n"),
        ("D", "======== Output: b@1 ========"),
        ("D", "only b\n"),
        ("I", "======== Output: c@1 ========"),
        ("I", "broken\n"),
        ("D", "======== Results ========"),
        ("D", "pass: a/long-one@1"),
        ("D", "skip: b@1"),
        ("I", "err:  c@1 (7)"),
        ("D", "pass: d@1"),
        ("D", "Resolving plan... (try #1)"),
        ("D", "fail: d@1 requires y"),
        ("D", "Resolving plan... (try #2)"),
        ("I", "2 of 4 buildpacks participating"),
        ("I", "a/long-one 1"),
        ("I", "d          1"),
    ]


def test_a_success_says_only_who_takes_part(add, tmp_path, caplog):
    add("a", "echo hello")
    add("b", "exit 0")
    caplog.set_level(logging.INFO, "lifecycle")
    run(tmp_path, "a b")
    assert logged(caplog) == [("I", "a 1"), ("I", "b 1")]


def test_a_failure_says_everything_whatever_the_level(add, tmp_path, caplog):
    add("a", "echo no; exit 100")
    add("b", "printf 'requires = [{name = \"y\"}]' > $2")
    add("c", "exit 100")
    caplog.set_level(logging.ERROR, "lifecycle")
    caplog.handler.setLevel(logging.NOTSET)
    with pytest.raises(NoGroupDetectedError) as caught:
        run(tmp_path, "a", "b", "c?")
    assert logged(caplog) == [
        ("D", "======== Output: a@1 ========"),
        ("D", "no\n"),
        ("D", "======== Results ========"),
        ("D", "fail: a@1"),
        ("D", "======== Results ========"),
        ("D", "pass: b@1"),
        ("D", "Resolving plan... (try #1)"),
        ("D", "fail: b@1 requires y"),
        ("D", "======== Results ========"),
        ("D", "skip: c@1"),
        ("D", "fail: no viable buildpacks in group"),
        ("E", "No buildpack groups passed detection."),
        ("E", "Please check that you are running against the correct path."),
    ]
    assert str(caught.value) == "no buildpacks participating"


def test_an_error_is_shown_with_its_reason(add, tmp_path, caplog):
    add("a", "echo half; kill -9 $$")
    add("b", "echo '[' > $2")
    add("c", "", toml="[[targets]]\nos = 'windows'\n")
    with pytest.raises(BuildpackDetectError) as caught:
        run(tmp_path, "a b c", target=TargetData(os="linux", arch="amd64"))
    lines = logged(caplog)
    assert lines[:3] == [
        ("I", "======== Output: a@1 ========"),
        ("I", "half\n"),
        ("I", "======== Error: a@1 ========"),
    ]
    assert lines[3] == ("I", "bin/detect was killed by signal 9 (Killed)")
    assert lines[4] == ("I", "======== Error: b@1 ========")
    assert "plan.toml" in lines[5][1]
    assert lines[6] == ("I", "======== Error: c@1 ========")
    assert lines[7][1].startswith("unable to satisfy target os/arch constraints; run image: {")
    assert lines[8:] == [
        ("D", "======== Results ========"),
        ("I", "err:  a@1"),
        ("I", "err:  b@1"),
        ("I", "err:  c@1"),
        ("E", "No buildpack groups passed detection."),
    ]
    assert str(caught.value) == "buildpack(s) failed with err"


def test_system_buildpacks_are_announced(add, tmp_path, caplog):
    for name in "abc":
        add(name, "")
    caplog.set_level(logging.DEBUG, "lifecycle")
    entries = [{"id": name, "version": "1"} for name in "abc"]
    run(tmp_path, "b", system={"pre": {"buildpacks": entries[:2]}, "post": {"buildpacks": entries[2:]}})
    assert logged(caplog)[:2] == [
        ("D", "Prepending 1 system buildpack(s) to group"),
        ("D", "Appending 1 system buildpack(s) to group"),
    ]


def test_the_account_tells_why_each_group_failed(add, tmp_path):
    add("a", "echo first; echo; echo no package.json; exit 100")
    add("b", 'printf \'requires = [{name = "y"}, {name = "z"}]\\nprovides = [{name = "x"}]\' > $2')
    with pytest.raises(NoGroupDetectedError) as caught:
        run(tmp_path, "a", "a? b")
    first, second = caught.value.attempts
    assert first.elements == (
        Account(
            id="a",
            version="1",
            extension=False,
            optional=False,
            verdict=Verdict.FAIL,
            code=100,
            output="first\n\nno package.json\n",
            error="",
        ),
    )
    assert [(each.id, each.verdict, each.unmet, each.unused) for each in second.elements] == [
        ("a", Verdict.SKIP, (), ()),
        ("b", Verdict.PASS, ("y",), ()),
    ]
    assert (first.trials, second.trials, first.passed, second.errored) == (0, 1, False, False)


def test_the_account_of_a_success_tells_who_takes_part(add, tmp_path):
    add("a", "exit 3")
    add("b", "printf 'provides = [{name = \"x\"}]' > $2")
    add("c", "")
    first, second = run(tmp_path, "a", "b? c").attempts
    assert (first.passed, first.errored, second.passed) == (False, True, True)
    assert [(each.id, each.participates, each.unused) for each in second.elements] == [
        ("b", False, ("x",)),
        ("c", True, ()),
    ]
