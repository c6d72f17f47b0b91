"""Steps have equal keys only if they would do the same to the same files."""

from dataclasses import replace

import pytest

from lifecycle.rules.extensions.dockerfile_steps import evaluate
from lifecycle.rules.extensions.dockerfile_syntax import parse_dockerfile
from lifecycle.rules.extensions.step_chain import start_of_chain, step_key

HEAD = "ARG base_image\nFROM ${base_image}\n"


def keys(text, *, base="sha256:1", layers=(), context="", **args):
    found, previous = [], start_of_chain(base)
    for step in evaluate(parse_dockerfile(HEAD + text), {"User": "1:1"}, args).steps:
        previous = step_key(previous, layers, step, context=context)
        found.append(previous)
    return found


def test_equal_steps_have_equal_keys():
    assert keys("RUN a\nRUN b") == keys("# comment\nRUN  a\n\nRUN b")
    assert len(set(keys("RUN a\nRUN a"))) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"text": "RUN b"},
        {"text": "ENV x=1\nRUN a"},
        {"text": "USER 2\nRUN a"},
        {"text": 'SHELL ["/x"]\nRUN a'},
        {"text": "WORKDIR /x\nRUN a"},
        {"text": "RUN x\nRUN a"},
        {"base": "sha256:2"},
        {"layers": ("sha256:3",)},
        {"context": "4"},
    ],
)
def test_whatever_a_step_depends_on_changes_its_key(other):
    assert keys("RUN a")[-1] != keys(**{"text": "RUN a", **other})[-1]


@pytest.mark.requirement("EXT-APPLY-003")
def test_a_build_argument_that_is_new_in_each_build_makes_all_steps_after_its_declaration_new():
    text = "RUN a\nARG build_id=0\nRUN b\nRUN c"
    first, second = keys(text, build_id="1"), keys(text, build_id="2")
    assert [one == other for one, other in zip(first, second, strict=True)] == [True, False, False]


def test_an_argument_that_is_not_declared_changes_nothing():
    assert keys("RUN a", build_id="1") == keys("RUN a", build_id="2")


def test_the_line_of_a_step_changes_nothing():
    (step,) = evaluate(parse_dockerfile(HEAD + "RUN a"), {}, {}).steps
    moved = replace(step, instruction=replace(step.instruction, line=99))
    assert step_key("", (), step, context="") == step_key("", (), moved, context="")
