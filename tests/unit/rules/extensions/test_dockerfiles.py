"""What extensions may put into their Dockerfiles."""

from __future__ import annotations

import pytest

from lifecycle.errors import GenerateError
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.rules.extensions.dockerfiles import Checked, Kind, check_dockerfile

API = PlatformApi(PLATFORM_APIS[-1])
GOOD = "ARG base_image\nFROM ${base_image}\n"


def check(kind, text, api=API):
    return check_dockerfile(kind, text, platform_api=api)


@pytest.mark.requirement("EXT-DKR-003")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FROM ${base_image}\n", "build.Dockerfile did not start with required ARG command"),
        ("ARG other\nFROM ${base_image}\n", "build.Dockerfile did not start with required ARG command"),
        (
            "ARG a\nARG base_image\nFROM ${base_image}\n",
            "build.Dockerfile did not start with required ARG command",
        ),
        (
            "ARG base_image\nFROM debian\n",
            "build.Dockerfile did not contain required FROM ${base_image} command",
        ),
        (
            "ARG base_image\nFROM $base_image\n",
            "build.Dockerfile did not contain required FROM ${base_image} command",
        ),
        ("ARG base_image\n", "build.Dockerfile did not contain required FROM ${base_image} command"),
        (f"{GOOD}FROM x\n", "build.Dockerfile is not permitted to use multistage build"),
        (f"{GOOD}SUDO x\n", "failed to parse build.Dockerfile: line 3: unknown instruction: SUDO"),
    ],
)
def test_a_build_dockerfile_begins_with_the_base_image_and_has_one_stage(text, problem):
    with pytest.raises(GenerateError) as caught:
        check(Kind.BUILD, text)
    assert caught.value.message == problem


@pytest.mark.requirement("EXT-DKR-002", "EXT-DKR-003")
@pytest.mark.parametrize("kind", Kind)
def test_the_instructions_of_the_specification_need_no_warning(kind):
    names = [
        "ADD a /b",
        "ARG x",
        "COPY a /b",
        "ENV a=b",
        "LABEL a=b",
        "RUN x",
        'SHELL ["sh"]',
        "USER 1",
        "WORKDIR /",
    ]
    assert check(kind, GOOD + "\n".join(names)) == Checked("", instructions=True, warnings=())


@pytest.mark.parametrize("kind", Kind)
def test_other_instructions_get_a_warning_each(kind):
    text = GOOD + "RUN a \\\n  b\nEXPOSE 80\nvolume /x\n"
    assert check(kind, text).warnings == (
        f"{kind}.Dockerfile command EXPOSE on line 5 is not recommended",
        f"{kind}.Dockerfile command VOLUME on line 6 is not recommended",
    )


@pytest.mark.requirement("EXT-DKR-002")
@pytest.mark.parametrize(
    ("text", "base", "instructions"),
    [
        (GOOD, "", False),
        ("FROM ${base_image}\nRUN x\n", "", True),
        ("FROM debian:12\n", "debian:12", False),
        ("ARG x=1\nFROM debian:12 AS y\nUSER 1\n", "debian:12", True),
    ],
)
def test_a_run_dockerfile_keeps_or_switches_the_run_image(text, base, instructions):
    assert check(Kind.RUN, text) == Checked(base, instructions, ())


@pytest.mark.requirement("EXT-DKR-002")
def test_a_run_dockerfile_has_one_stage():
    with pytest.raises(GenerateError, match=r"run\.Dockerfile is not permitted to use multistage build"):
        check(Kind.RUN, "FROM a\nFROM b\n")


def test_a_variable_other_than_the_base_image_is_refused():
    with pytest.raises(GenerateError, match=r"FROM \$other, whose variable has no value here"):
        check(Kind.RUN, "ARG other=debian\nFROM $other\n")


@pytest.mark.parametrize("version", PLATFORM_APIS, ids=str)
def test_before_platform_api_0_12_a_run_dockerfile_can_only_switch(version):
    api = PlatformApi(version)
    assert check(Kind.RUN, "FROM debian\n", api).base == "debian"
    if version.minor >= 12:
        assert check(Kind.RUN, "FROM debian\nRUN x\n", api).instructions
    else:
        with pytest.raises(GenerateError, match="instructions other than FROM: line 2 has RUN"):
            check(Kind.RUN, "FROM debian\nRUN x\n", api)
