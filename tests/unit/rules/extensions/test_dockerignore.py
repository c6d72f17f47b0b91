"""Files that .dockerignore leaves out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rules.extensions.dockerignore import parse_dockerignore


@pytest.mark.parametrize(
    ("text", "ignored", "kept"),
    [
        ("*.log", ["a.log"], ["dir/a.log", "a.txt"]),
        ("**/*.log", ["a.log", "dir/a.log"], ["a.txt"]),
        ("dir", ["dir", "dir/a/b"], ["other", "dirx"]),
        ("/dir/", ["dir/a"], ["a/dir"]),
        ("*\n!keep\n", ["a", "b/c"], ["keep", "keep/a"]),
        ("dir\n!dir/keep\ndir/keep/no", ["dir/a", "dir/keep/no"], ["dir/keep", "dir/keep/yes"]),
        ("# dir\n\n  a  ", ["a"], ["dir", "# dir"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[ab].x", ["a.x", "b.x"], ["c.x"]),
        (r"\*", ["*"], ["a"]),
        ("dir/**", ["dir/a", "dir/a/b"], ["dir", "other"]),
        ("a.b", ["a.b"], ["axb"]),
        ("**/**/a", ["a", "b/a", "b/c/a"], ["b", "a.b"]),
        ("****a", ["a", "b/ca"], ["b"]),
        (f"{'**/' * 30}a", ["a", f"{'b/' * 30}a"], [f"{'b/' * 30}c"]),
        (".\n/\n!\n", [], ["a"]),
    ],
)
def test_patterns(text, ignored, kept):
    rules = parse_dockerignore(text)
    assert [each for each in ignored if not rules.ignores(each)] == []
    assert [each for each in kept if rules.ignores(each)] == []


@given(st.text(st.sampled_from(list("a*?[]!\\/.#\n")), max_size=20))
def test_any_text_can_be_read(text):
    parse_dockerignore(text).ignores("a/a")
