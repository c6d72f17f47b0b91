from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.layers.match import MalformedPatternError, pattern

# What filepath.Match of Go 1.26 says; None is its ErrBadPattern.
SAID_BY_GO = [
    ("*", "file", True),
    ("*", "dir/file", False),
    ("**", "file", True),
    ("**", "dir/file", False),
    ("a/**/b", "a/c/b", True),
    ("a/**/b", "a/c/d/b", False),
    ("node_modules", "node_modules", True),
    ("node_modules", "node_modules/x", False),
    ("public/*", "public/x", True),
    ("public/*", "public/x/y", False),
    ("*x", "xxx", True),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("[^a]", "/", True),
    ("a[^b]b", "a/b", True),
    ("*[^x]*b", "ab/cb", False),
    ("{a,b}", "a", False),
    ("/a", "a", False),
    ("../a", "a", False),
    ("a\\*b", "a*b", True),
    ("a\\*b", "ab", False),
    ("[\\]a]", "]", True),
    ("[x\\-]", "x", True),
    ("[b-a]", "a", False),
    ("[é]", "é", True),
    ("?", "\udcff", True),
    ("", "", True),
    ("", "a", False),
    ("[", "a", None),
    ("[^", "a", None),
    ("[]a]", "]", None),
    ("[-x]", "x", None),
    ("[x-]", "x", None),
    ("[a-b-c]", "a", None),
    ("\\", "a", None),
    ("a*[", "ab", None),
    ("a*[", "b", False),
]


@pytest.mark.parametrize(("text", "name", "expected"), SAID_BY_GO)
def test_a_pattern_matches_as_in_go(text: str, name: str, expected: bool | None) -> None:
    compiled = pattern(text.encode())
    subject = name.encode("utf-8", "surrogateescape")

    if expected is None:
        with pytest.raises(MalformedPatternError):
            compiled.matches(subject)
    else:
        assert compiled.matches(subject) is expected


@given(st.binary(max_size=20))
def test_an_escaped_name_matches_itself_only(name: bytes) -> None:
    escaped = pattern(b"".join(b"\\" + bytes([each]) for each in name))

    assert escaped.matches(name)
    assert not escaped.matches(name + b"x")
