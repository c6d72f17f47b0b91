"""The build log."""

from __future__ import annotations

import re

import pytest

import cnb_buildpack as bp


def say():
    bp.log.heading("Python")
    bp.log.step("looking")
    bp.log.debug("details")
    with bp.log.timed("Installing"):
        bp.log.info("  much")
    bp.log.warning("old")


def test_lines_are_plain_where_no_terminal_is(capsys):
    say()
    said = capsys.readouterr()
    assert re.fullmatch(r"\[Python\]\n  looking\nInstalling\n  much\n  done in \d+\.\d s\n", said.out)
    assert said.err == "warning: old\n"


@pytest.mark.parametrize("no_color", [False, True], ids=["wanted", "not wanted"])
def test_colour_can_be_asked_for_and_refused(capsys, monkeypatch, no_color):
    monkeypatch.setenv("FORCE_COLOR", "1")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    say()
    said = capsys.readouterr()
    assert ("\033[" in said.out, "\033[" in said.err) == (not no_color, not no_color)


def test_details_are_for_those_who_debug(capsys, monkeypatch):
    monkeypatch.setenv("BP_LOG_LEVEL", "DEBUG")
    say()
    assert "details\n" in capsys.readouterr().out
