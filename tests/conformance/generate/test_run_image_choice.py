"""The run image after generation, as analyzed.toml tells it."""

from __future__ import annotations

import logging

import pytest

from lifecycle.model.analyzed import RunImageChoice
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.target import TargetData

APIS = [PlatformApi(version) for version in PLATFORM_APIS if version.minor >= 10]
EXTENDING_APIS = [api for api in APIS if api.version.minor >= 12]
TARGET = TargetData(os="linux", arch="amd64")


def run_dockerfile(*lines):
    return "printf '" + "".join(f"{line}\\n" for line in lines) + "' > $1/run.Dockerfile"


def choose(extensions, *scripts, **given):
    names = [f"x{number}" for number in range(len(scripts))]
    for name, script in zip(names, scripts, strict=True):
        extensions.add(name, script)
    return extensions.generate(*names, **given)


KEEP = run_dockerfile("FROM ${base_image}", "RUN x")


@pytest.mark.requirement("PLAT-DET-035")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_the_last_extension_that_names_a_run_image_decides(extensions, api):
    generated = choose(extensions, run_dockerfile("FROM one"), run_dockerfile("FROM two"), api=api)
    assert generated.analyzed.run_image == RunImageChoice(reference="two", image="two")
    assert [each.ignored for each in generated.dockerfiles] == [True, False]


@pytest.mark.requirement("PLAT-DET-036")
@pytest.mark.parametrize("api", EXTENDING_APIS, ids=str)
def test_dockerfiles_that_keep_the_run_image_extend_it(extensions, api):
    generated = choose(extensions, KEEP, KEEP, api=api)
    assert generated.analyzed.run_image == RunImageChoice(
        reference="old@sha256:0", image="old", extend=True, target=TARGET
    )
    assert not any(each.ignored for each in generated.dockerfiles)


@pytest.mark.requirement("PLAT-FILE-008", "PLAT-DET-036", "PLAT-DET-038", "PLAT-DET-040")
@pytest.mark.parametrize("api", EXTENDING_APIS, ids=str)
@pytest.mark.parametrize("followed", [False, True])
def test_a_switch_makes_the_dockerfiles_before_it_void(extensions, api, followed):
    following = [KEEP] if followed else []
    generated = choose(extensions, KEEP, run_dockerfile("FROM new:1"), *following, api=api)
    assert generated.analyzed.run_image == RunImageChoice(reference="new:1", image="new:1", extend=followed)
    if api.version.minor >= 13:
        names = ["x0/run.Dockerfile.ignore", "x1/run.Dockerfile", "x2/run.Dockerfile"]
    else:
        names = ["run/x0/Dockerfile.ignore", "run/x1/Dockerfile", "run/x2/Dockerfile"]
    assert extensions.tree() == names[: 2 + followed]
    assert [each.path for each in generated.dockerfiles] == [
        extensions.root / "generated" / name for name in names[: 2 + followed]
    ]


def test_a_switch_to_the_run_image_there_is_keeps_its_target_data(extensions):
    generated = choose(extensions, run_dockerfile("FROM old"))
    assert generated.analyzed.run_image == RunImageChoice(reference="old@sha256:0", image="old", target=TARGET)


@pytest.mark.requirement("PLAT-DET-042")
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize(
    ("images", "known"), [([], False), (["other"], False), (["docker.io/library/new:latest"], True)]
)
def test_a_run_image_that_the_builder_does_not_know_gets_a_warning(extensions, api, images, known, caplog):
    choose(extensions, run_dockerfile("FROM new"), images=images, api=api)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    expected = ["new runtime base image 'new' not found in run metadata"]
    assert warned == ([] if known or api.version.minor < 12 else expected)


def test_instructions_that_are_not_recommended_get_a_warning(extensions, caplog):
    choose(extensions, run_dockerfile("FROM new", "RUN x", "EXPOSE 80"), images=["new"])
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "run.Dockerfile command EXPOSE on line 3 is not recommended"
    ]


def test_without_extensions_nothing_changes(extensions):
    generated = extensions.generate()
    assert generated.analyzed.run_image == RunImageChoice(reference="old@sha256:0", image="old", target=TARGET)
    assert generated.dockerfiles == ()
