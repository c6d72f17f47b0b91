"""What a person, or with --json a program, sees of a build."""

import json
import logging
import os

import pytest

from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.cli.logs.size_text import size_text
from lifecycle.errors import BuildpackBuildError, LifecycleError
from lifecycle.files.modules import Buildpack
from lifecycle.images.store import WrittenImage
from lifecycle.model.descriptor import BuildpackDescriptor
from lifecycle.model.group import Group, GroupElement
from lifecycle.phases.restore import RestoredLayer, RestoredLayers
from lifecycle.rules.detection import ERROR as DETECT_ERROR
from lifecycle.rules.detection import Account, Attempt, Verdict
from lifecycle.rules.export_plan import Action, LayerKind, LayerVerdict
from lifecycle.rules.restoration import Restored

ACTIONS = {action.value: action for action in Action}
WRITTEN = WrittenImage(names=("app:v1",), reference="sha256:ref", image_id="sha256:id")
ERROR = LifecycleError("is wrong", where="file.toml", remedy="correct it")


def _verdict(action="add", size=1500):
    return LayerVerdict(id="a/b:layer", kind=next(iter(LayerKind)), action=ACTIONS[action], reason="because", size=size)


def _say_everything(log, tmp_path):
    info = {"api": "0.10", "buildpack": {"id": "a/b", "version": "1"}}
    log.heading("Detecting")
    log.note("noted")
    log.detail("detailed")
    log.warning("warned")
    log.group(Group(group=(GroupElement(id="a/b", version="1"),)))
    log.buildpack(Buildpack(tmp_path, BuildpackDescriptor.model_validate(info)))
    log.output(b"\x1b[31mred\x1b[0m\n")
    log.restored(RestoredLayers((RestoredLayer("a/b", "layer", Restored.CONTENTS, "because"),)))
    log.layer(_verdict())
    log.cached(_verdict("reuse"))
    log.error(ERROR)
    log.result(WRITTEN, verdicts=(_verdict(), _verdict("reuse")))


@pytest.fixture
def logger():
    root = logging.getLogger("lifecycle")
    before = (list(root.handlers), root.level, root.propagate)
    yield root
    root.handlers[:], root.propagate = before[0], before[2]
    root.setLevel(before[1])


def test_json_is_one_event_a_line_on_standard_output_alone(tmp_path, capsys):
    _say_everything(BuildLog(Style.JSON), tmp_path)
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert [event["event"] for event in events] == [
        "phase", "note", "warning", "buildpack", "build", "output", "restore", "layer", "cache", "error", "image",
    ]  # fmt: skip
    by_kind = {event.pop("event"): event for event in events}
    assert by_kind["phase"] == {"name": "detecting"}
    assert by_kind["output"] == {"text": "\x1b[31mred\x1b[0m\n"}
    assert by_kind["error"] == {"message": "is wrong", "where": "file.toml", "remedy": "correct it"}
    assert by_kind["layer"]["action"] == "add"
    assert by_kind["image"] == {
        "reference": "sha256:ref", "image_id": "sha256:id", "names": ["app:v1"], "layers": 2, "reused": 1,
    }  # fmt: skip


def test_a_name_that_is_no_utf_8_does_not_stop_the_events(capsys):
    name = os.fsdecode(b"\xff.txt")
    BuildLog(Style.JSON).error(LifecycleError("is wrong", where=name))
    assert json.loads(capsys.readouterr().out)["where"] == name


def test_quiet_shows_warnings_errors_and_the_result_only(tmp_path, capsys):
    _say_everything(BuildLog(Style.QUIET, color=False), tmp_path)
    out, err = capsys.readouterr()
    assert out == "tag       app:v1\nimage     sha256:ref\nimage id  sha256:id\n"
    assert err == "warning: warned\nerror: file.toml: is wrong\n       correct it\n"


@pytest.mark.parametrize(("error", "shown"), [(BuildpackBuildError("failed"), True), (ERROR, False)])
def test_quiet_shows_the_end_of_what_a_buildpack_printed_if_it_fails(capsys, error, shown):
    log = BuildLog(Style.QUIET, color=False)
    log.output(b"first\n" + 100_000 * b"x" + b"\nlast")
    log.error(error)
    err = capsys.readouterr().err
    assert ("x\nlast\nerror: failed" in err) is shown
    assert "first" not in err


def test_the_log_goes_to_standard_error_and_the_result_to_standard_output(tmp_path, capsys):
    _say_everything(BuildLog(Style.NORMAL, color=False), tmp_path)
    out, err = capsys.readouterr()
    assert out.startswith("tag       app:v1\n")
    for text in (
        "==> Detecting",
        "noted",
        "a/b 1",
        "--> a/b 1",
        "added      1.5 kB  a/b:layer: because",
        "1 of 2 layers reused",
    ):
        assert text in err
    assert "detailed" not in err


def test_verbose_shows_details_too(tmp_path, capsys):
    _say_everything(BuildLog(Style.VERBOSE, color=False), tmp_path)
    assert "    detailed\n" in capsys.readouterr().err


def test_there_is_no_color_without_a_terminal_not_even_that_of_buildpacks(tmp_path, capsys):
    _say_everything(BuildLog(Style.VERBOSE), tmp_path)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "red" in err


def test_colors_are_passed_on_where_they_are_wanted(tmp_path, capsys):
    _say_everything(BuildLog(Style.NORMAL, color=True), tmp_path)
    err = capsys.readouterr().err
    assert "\x1b[31mred\x1b[0m" in err
    assert "\x1b[36;1m==> Detecting\x1b[0m" in err


def test_messages_of_phases_are_shown_by_their_level(logger, capsys):
    BuildLog(Style.NORMAL, color=False).attach()
    logging.getLogger("lifecycle.x").info("informed")
    logging.getLogger("lifecycle.x").warning("warned")
    assert capsys.readouterr().err == "warning: warned\n"
    BuildLog(Style.VERBOSE, color=False).attach()
    logging.getLogger("lifecycle.x").info("informed")
    logging.getLogger("lifecycle.x").warning("Did not find SBOM launch.sbom.cdx.json")
    assert capsys.readouterr().err == "    informed\n"


def test_a_build_that_restored_or_reused_everything_says_so(capsys):
    log = BuildLog(Style.NORMAL, color=False)
    log.restored(RestoredLayers(()))
    log.result(WRITTEN, verdicts=(_verdict("reuse"),))
    err = capsys.readouterr().err
    assert "nothing to restore" in err
    assert "every layer was reused" in err


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (10**12, "1.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_written_for_people(size, text):
    assert size_text(size) == text


def test_output_that_is_no_utf_8_becomes_an_event_all_the_same(capsys):
    BuildLog(Style.JSON).output(b"a\xff\n")
    assert json.loads(capsys.readouterr().out) == {"event": "output", "text": "a\ufffd\n"}


def _attempt(*accounts):
    given = {
        "id": "a/b",
        "version": "1",
        "extension": False,
        "optional": False,
        "code": 0,
        "output": "",
        "error": "",
    }
    return Attempt(tuple(Account(**{**given, **each}) for each in accounts), trials=1, passed=False)


def test_each_member_of_each_group_has_its_event_with_its_fate(capsys):
    BuildLog(Style.JSON).attempts(
        (
            _attempt({"verdict": Verdict.PASS, "unused": ("x", "y")}),
            _attempt({"verdict": Verdict.SKIP}, {"verdict": Verdict.ERROR, "code": DETECT_ERROR, "error": "killed"}),
        )
    )
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["group"], event["fate"], event["reason"]) for event in events] == [
        (1, "missing", "provides x, which none requires; provides y, which none requires"),
        (2, "skipped", "optional"),
        (2, "error", "killed"),
    ]


@pytest.mark.parametrize("style", [Style.NORMAL, Style.QUIET])
def test_what_a_detection_that_failed_with_an_error_printed_stands_below_it(capsys, style):
    errored = {"verdict": Verdict.ERROR, "code": 1}
    log = BuildLog(style, color=False)
    log.attempts((_attempt({**errored, "output": "File 'x', line 3\n\n  (\nSyntaxError\n"}),))
    log.attempts((_attempt({**errored, "output": "one line\n"}, {"verdict": Verdict.FAIL, "output": "not\nfor me\n"}),))
    assert capsys.readouterr().err == (
        "    error    a/b 1  bin/detect exited with status 1: SyntaxError\n"
        "             File 'x', line 3\n"
        "\n"
        "               (\n"
        "             SyntaxError\n"
        "    error    a/b 1  bin/detect exited with status 1: one line\n"
        "    failed   a/b 1  for me\n"
    )


def test_output_that_ends_within_a_line_does_not_swallow_the_next_one(capsys):
    log = BuildLog(Style.NORMAL, color=False)
    log.output(b"no end")
    log.note("noted")
    log.output(b"end\n")
    log.note("noted")
    assert capsys.readouterr().err == "no end\n    noted\nend\n    noted\n"
