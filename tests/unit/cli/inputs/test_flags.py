"""Flags as Go programs read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cli.inputs.flags import FlagError, parse_bool, parse_flags

SWITCHES = frozenset({"daemon", "v"})
VALUED = frozenset({"layers", "tag"})


def _parse(*arguments):
    parsed = parse_flags(arguments, switches=SWITCHES, valued=VALUED)
    return dict(parsed.values), parsed.arguments


@pytest.mark.parametrize(
    ("arguments", "values", "rest"),
    [
        ([], {}, ()),
        (["-layers", "/l", "app"], {"layers": ("/l",)}, ("app",)),
        (["--layers", "/l"], {"layers": ("/l",)}, ()),
        (["-layers=/l"], {"layers": ("/l",)}, ()),
        (["--layers=/l=x"], {"layers": ("/l=x",)}, ()),
        (["-layers="], {"layers": ("",)}, ()),
        (["-layers", ""], {"layers": ("",)}, ()),
        (["-layers", "-daemon"], {"layers": ("-daemon",)}, ()),
        (["-tag", "a", "-tag=b"], {"tag": ("a", "b")}, ()),
        (["-daemon", "false"], {"daemon": ("true",)}, ("false",)),
        (["-daemon=F"], {"daemon": ("F",)}, ()),
        (["app", "-daemon"], {}, ("app", "-daemon")),
        (["-daemon", "--", "-v"], {"daemon": ("true",)}, ("-v",)),
        (["-", "-v"], {}, ("-", "-v")),
        (["", "-v"], {}, ("", "-v")),
    ],
)
def test_flags_end_at_the_first_other_argument(arguments, values, rest):
    assert _parse(*arguments) == (values, rest)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-nope"], "flag provided but not defined: -nope"),
        (["--nope=1"], "flag provided but not defined: -nope"),
        (["-layers"], "flag needs an argument: -layers"),
        (["-daemon=maybe"], 'invalid boolean value "maybe" for -daemon: parse error'),
        (["-daemon="], 'invalid boolean value "" for -daemon: parse error'),
        (["---layers"], "bad flag syntax: ---layers"),
        (["-=x"], "bad flag syntax: -=x"),
        (["--=x"], "bad flag syntax: --=x"),
    ],
)
def test_what_is_no_flag_is_refused_in_the_words_of_go(arguments, sentence):
    with pytest.raises(FlagError) as caught:
        _parse(*arguments)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("T", True), ("false", False), ("0", False), ("yes", None), ("tRUE", None), ("", None)],
)
def test_booleans_are_those_of_go(text, value):
    assert parse_bool(text) is value


@given(
    st.lists(st.tuples(st.sampled_from(["layers", "tag"]), st.text(), st.booleans(), st.booleans())),
    st.lists(st.text().filter(lambda text: not text.startswith("-"))),
)
def test_every_value_and_argument_comes_through_unchanged(flags, rest):
    arguments, expected = [], {}
    for name, value, double, joined in flags:
        dashes = "--" if double else "-"
        arguments += [f"{dashes}{name}={value}"] if joined else [f"{dashes}{name}", value]
        expected.setdefault(name, []).append(value)
    assert _parse(*arguments, *rest) == (
        {name: tuple(values) for name, values in expected.items()},
        tuple(rest),
    )


@given(st.lists(st.text() | st.from_regex(r"-{0,3}(layers|daemon|x)?=?[a-z]*", fullmatch=True)))
def test_any_arguments_are_read_or_refused(arguments):
    try:
        _, rest = _parse(*arguments)
    except FlagError:
        return
    assert rest == tuple(arguments[len(arguments) - len(rest) :])
