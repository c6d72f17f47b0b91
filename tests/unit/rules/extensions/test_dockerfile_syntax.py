"""Dockerfiles are split into instructions and stages as BuildKit does it."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rules.extensions.dockerfile_syntax import (
    INSTRUCTIONS,
    DockerfileError,
    argument_names,
    parse_dockerfile,
)


def instructions(text):
    (stage,) = parse_dockerfile(text).stages
    return [(each.keyword, each.arguments, each.line) for each in stage.instructions]


def test_arguments_stages_and_lines_are_told_apart():
    dockerfile = parse_dockerfile("ARG a\nARG b=1 c\n\nFROM ${a} AS one\nRUN x\nfrom --platform=linux two\n  run y\n")
    assert [argument_names(each) for each in dockerfile.arguments] == [("a",), ("b", "c")]
    assert [stage.base for stage in dockerfile.stages] == ["${a}", "two"]
    assert [[(i.keyword, i.line) for i in stage.instructions] for stage in dockerfile.stages] == [
        [("RUN", 5)],
        [("RUN", 7)],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN a \\\n  b\nUSER c", [("RUN", "a   b", 2), ("USER", "c", 4)]),
        ("RUN a \\  \n# comment\n\n  # other\nb\nUSER c", [("RUN", "a b", 2), ("USER", "c", 7)]),
        ("RUN a\\", [("RUN", "a", 2)]),
        ("RUN \\\n\\\n\\ \na\nUSER c", [("RUN", "a", 2), ("USER", "c", 6)]),
        ("RUN a \\\\\nUSER c", [("RUN", "a \\\\", 2), ("USER", "c", 3)]),
        ("# RUN a\n  # RUN b\nUSER c # d", [("USER", "c # d", 4)]),
        ("RUN a\r\nUSER b\r\n", [("RUN", "a", 2), ("USER", "b", 3)]),
        ("run \\\n from", [("RUN", "from", 2)]),
    ],
)
def test_lines_are_continued_and_comments_left_out(text, expected):
    assert instructions(f"FROM x\n{text}") == expected


def test_many_lines_of_one_instruction_take_linear_time():
    text = "FROM x\nRUN a" + " \\\n b" * 50_000
    start = process_time()
    assert len(instructions(text)) == 1
    assert process_time() - start < 5


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("<<EOF", "EOF"), ("<<-EOF", "\t\tEOF"), ('<<"E F"', "E F"), ("<<'EOF' cat", "EOF"), ("3<<X", "X")],
)
def test_the_body_of_a_heredoc_holds_no_instructions(opening, closing):
    text = f"FROM x\nRUN {opening}\nFROM y\nCMD \\\n{closing}\nUSER z\n"
    assert [keyword for keyword, _, _ in instructions(text)] == ["RUN", "USER"]


def test_several_heredocs_follow_each_other():
    text = "FROM x\nCOPY <<a <<b /dir/\nFROM y\na\nFROM z\nb\nUSER u\n"
    assert [keyword for keyword, _, _ in instructions(text)] == ["COPY", "USER"]


@pytest.mark.parametrize("text", ['RUN "<<EOF"', "ENV a=<<EOF", "RUN cat<<EOF", "RUN a <<<EOF"])
def test_what_only_looks_like_a_heredoc_has_no_body(text):
    assert len(instructions(f"FROM x\n{text}\nUSER u\n")) == 2


def test_the_escape_directive_changes_the_continuation():
    text = "# syntax=docker/dockerfile:1\n#escape = `\nFROM x\nRUN c:\\\nUSER a `\n b\n"
    assert instructions(text) == [("RUN", "c:\\", 4), ("USER", "a  b", 5)]


def test_a_directive_after_a_comment_is_a_comment():
    assert instructions("# about\n# escape=`\nFROM x\nRUN a `\nUSER b\n") == [
        ("RUN", "a `", 4),
        ("USER", "b", 5),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "file with no instructions"),
        ("# only a comment\n\n", "file with no instructions"),
        ("RUN a\nFROM x\n", "line 1: no build stage in current context: RUN before FROM"),
        ("FROM x\nSUDO a\n", "line 2: unknown instruction: SUDO"),
        ("FROM\n", "line 1: FROM requires arguments"),
        ("FROM x AS\n", "line 1: FROM requires either one or three arguments"),
        ("FROM x named y\n", "line 1: FROM requires either one or three arguments"),
        ("FROM x\nRUN <<EOF\nEO\n", "line 2: unterminated heredoc: there is no line EOF"),
        ("# escape=x\nFROM x\n", "invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM x\n", "line 2: only one escape parser directive can be used"),
    ],
)
def test_what_is_no_dockerfile_is_refused(text, problem):
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(text)
    assert str(caught.value) == problem


@given(st.text(st.sampled_from(list("FROM RUN ARG\n\\`#<E-'\"$ {}=\t\r")), max_size=60))
def test_any_text_is_a_dockerfile_or_refused(text):
    try:
        dockerfile = parse_dockerfile(text)
    except DockerfileError:
        return
    found = [*dockerfile.arguments, *(each for stage in dockerfile.stages for each in stage.instructions)]
    assert all(each.keyword in INSTRUCTIONS and each.arguments for each in found)
    assert [each.line for each in found] == sorted(each.line for each in found)
