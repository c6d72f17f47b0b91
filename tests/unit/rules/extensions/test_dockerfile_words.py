"""Words of Dockerfiles are read as BuildKit reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rules.extensions.dockerfile_words import WordError, expand, expand_content, split

VARIABLES = {"x": "value", "empty": "", "a_1": "long name", "quote": "a b"}
TEXT = st.text(st.sampled_from(list("ax1_ ${}:-+?'\"\\`\t")), max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$x", "value"),
        ("${x}/bin:$x", "value/bin:value"),
        ("$x_", ""),
        ("${a_1}!", "long name!"),
        ("$unset", ""),
        ("${unset:-y}", "y"),
        ("${empty:-y}", "y"),
        ("${empty-y}", ""),
        ("${unset-y}", "y"),
        ("${x:-y}", "value"),
        ("${x:+y}", "y"),
        ("${empty:+y}", ""),
        ("${empty+y}", "y"),
        ("${unset+y}", ""),
        ("${x:?needed}", "value"),
        ("${unset:-${x}}", "value"),
        ("${unset:-'a}b'}", "a}b"),
        (r"\$x", "$x"),
        (r"\${x}", "${x}"),
        ("'$x'", "$x"),
        ('"$x y"', "value y"),
        (r'"\$x \" \\ \n"', r'$x " \ \n'),
        (r"a\ b", "a b"),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("$1", ""),
        ("", ""),
    ],
)
def test_variables_quotes_and_escapes(text, expected):
    assert expand(text, VARIABLES) == expected


def test_the_escape_character_may_be_another_one():
    assert expand("c:\\`$x\\$x", VARIABLES, escape="`") == "c:\\$x\\value"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${x", "missing }"),
        ("${unset:-y", "missing }"),
        ("${}", "bad substitution"),
        ("${x#y}", "unsupported modifier (#) in substitution of x"),
        ("${x:y}", "unsupported modifier (y)"),
        ("${unset:?is needed}", "unset: is needed"),
        ("${empty:?}", "empty: not allowed to be empty or unset"),
        (f"{'${unset:-' * 2000}x{'}' * 2000}", "variables nest more than 100 deep"),
        ("'a", "matching single-quote"),
        ('"a', "matching double-quote"),
    ],
)
def test_what_can_not_be_understood_is_told(text, problem):
    with pytest.raises(WordError) as caught:
        expand(text, VARIABLES)
    assert problem in str(caught.value)


def test_content_keeps_its_quotes_and_backslashes():
    assert expand_content("a='$x' \"$x\" \\n \\$x \\\\", VARIABLES) == "a='value' \"value\" \\n $x \\"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b\tc", ("a", "b", "c")),
        ("  a  ", ("a",)),
        ("a='b c' d", ("a='b c'", "d")),
        ('a="b \\" c" d', ('a="b \\" c"', "d")),
        (r"a\ b c", (r"a\ b", "c")),
        ("'a\\' b", ("'a\\'", "b")),
        ("", ()),
    ],
)
def test_words_are_split_at_white_space_outside_of_quotes(text, expected):
    assert split(text) == expected


@given(TEXT, st.sampled_from("\\`"))
def test_any_text_is_expanded_or_refused(text, escape):
    try:
        found = expand(text, VARIABLES, escape=escape)
    except WordError:
        return
    assert isinstance(found, str)


@given(st.lists(st.text("abc=:/.", min_size=1, max_size=5), max_size=5))
def test_words_without_quotes_come_back(words):
    assert split("  ".join(words)) == tuple(words)


@given(st.text(st.characters(exclude_characters="'"), max_size=20))
def test_what_is_in_single_quotes_stays_as_it_is(text):
    assert expand(f"'{text}'", VARIABLES) == text
