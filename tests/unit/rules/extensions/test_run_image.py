"""The run.Dockerfiles of a group decide about the run image."""

from __future__ import annotations

import pytest

from lifecycle.model.analyzed import Analyzed, RunImageChoice
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.target import TargetData
from lifecycle.rules.extensions.dockerfiles import Checked
from lifecycle.rules.extensions.run_image import RunImageDecision, decide_run_image, with_run_image

OLD = RunImageChoice(reference="old@sha256:1", image="old", target=TargetData(os="linux", arch="amd64"))


def keep(*, instructions=False):
    return Checked("", instructions, ())


def switch(base, *, instructions=False):
    return Checked(base, instructions, ())


@pytest.mark.parametrize(
    ("dockerfiles", "decision"),
    [
        ([], RunImageDecision("", extend=False, ignored=0)),
        ([keep()], RunImageDecision("", extend=False, ignored=0)),
        ([keep(), keep(instructions=True)], RunImageDecision("", extend=True, ignored=0)),
        ([switch("a"), switch("b")], RunImageDecision("b", extend=False, ignored=1)),
        ([keep(instructions=True), switch("a")], RunImageDecision("a", extend=False, ignored=1)),
        ([switch("a"), keep(instructions=True)], RunImageDecision("a", extend=True, ignored=0)),
        ([switch("a", instructions=True)], RunImageDecision("a", extend=True, ignored=0)),
        ([keep(), switch("a"), keep(), switch("b"), keep()], RunImageDecision("b", extend=False, ignored=3)),
    ],
)
def test_the_last_switch_wins_and_what_is_left_may_extend(dockerfiles, decision):
    assert decide_run_image(dockerfiles) == decision


@pytest.mark.parametrize("version", PLATFORM_APIS, ids=str)
def test_a_new_run_image_has_no_target_data(version):
    api = PlatformApi(version)
    after = with_run_image(Analyzed(run_image=OLD), RunImageDecision("new", extend=True, ignored=0), platform_api=api)
    assert after.run_image == RunImageChoice(reference="new", image="new", extend=True)
    same = with_run_image(Analyzed(run_image=OLD), RunImageDecision("old", extend=False, ignored=0), platform_api=api)
    assert same.run_image == (OLD if version.minor >= 12 else RunImageChoice(reference="old", image="old"))


def test_the_old_run_image_may_be_extended():
    api = PlatformApi(PLATFORM_APIS[-1])
    extend = RunImageDecision("", extend=True, ignored=0)
    after = with_run_image(Analyzed(run_image=OLD), extend, platform_api=api)
    assert after.run_image == OLD.model_copy(update={"extend": True})
    assert with_run_image(Analyzed(), extend, platform_api=api).run_image == RunImageChoice(extend=True)
    nothing = RunImageDecision("", extend=False, ignored=0)
    assert with_run_image(Analyzed(), nothing, platform_api=api) == Analyzed()
