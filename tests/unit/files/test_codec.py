from __future__ import annotations

import errno
import math
import os
import tomllib
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, field_validator

from lifecycle.errors import InvalidFileError, LifecycleError
from lifecycle.files.codec import (
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_SIZE,
    TomlMismatchError,
    dumps,
    load,
    parse_toml,
    read_toml,
    save,
)
from lifecycle.files.explanation import explain, key_path
from lifecycle.model.base import ListOf, SpecModel
from lifecycle.oci import gojson
from lifecycle.oci.gojson import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    "ab\"\\\b\t\n\f\r\0\x1f\x7f'.#=[]{}", max_size=6
)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
leaves = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    texts,
    st.datetimes(timezones=st.none() | offsets),
    st.dates(),
    st.times().map(lambda moment: moment.replace(fold=0)),
)


def tables(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(texts, values, max_size=4)


values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | tables(inner) | st.lists(tables(inner), max_size=3),
    max_leaves=25,
)


def shown(value: Any) -> str:
    """Return a text that tells each two TOML values apart, and equals for nan."""
    match value:
        case dict():
            return "{" + ",".join(f"{key!r}:{shown(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(shown, value)) + "]"
        case datetime():
            return f"datetime {value.replace(tzinfo=None).isoformat()} {value.utcoffset()}"
        case _:
            return f"{type(value).__name__} {value!r}"


@given(tables(values))
def test_every_table_that_toml_can_hold_is_read_back_by_tomllib(table: dict[str, Any]) -> None:
    assert shown(tomllib.loads(dumps(table))) == shown(table)


@given(tables(values))
def test_writing_what_was_read_changes_no_byte(table: dict[str, Any]) -> None:
    text = dumps(table)
    assert dumps(parse_toml(text)) == text


@given(tables(values))
def test_a_struct_is_the_same_table_in_its_own_order(table: dict[str, Any]) -> None:
    assert shown(tomllib.loads(dumps(Struct(table)))) == shown(table)


def outcome(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | InvalidFileError:
    try:
        return read()
    except InvalidFileError as error:
        return error


@given(st.text(max_size=40))
def test_any_text_is_a_table_or_an_error_that_names_the_file(text: str) -> None:
    result = outcome(lambda: parse_toml(text, where="x.toml"))
    assert isinstance(result, dict) or str(result).startswith("x.toml: ")


@given(st.binary(max_size=40))
def test_any_bytes_are_a_table_or_an_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    result = outcome(lambda: read_toml(path))
    assert isinstance(result, dict) or result.where == str(path)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("levels", "wrap"),
    [
        (1, lambda inner: {"a": inner}),
        (2, lambda inner: {"a": [inner]}),
        (2, lambda inner: {"a": [1, inner]}),
        (3, lambda inner: {"a": [[inner]]}),
    ],
    ids=["tables", "arrays of tables", "inline tables", "arrays of arrays"],
)
def test_what_a_label_can_hold_can_be_written(levels: int, wrap: Callable[[Any], Any]) -> None:
    value: Any = {"leaf": 1}
    for _ in range(gojson.MAX_DEPTH // levels - 1):
        value = wrap(value)
    assert gojson.loads(gojson.dumps(value)) == value
    assert tomllib.loads(dumps(value)) == value


def test_tables_that_nest_too_deep_are_refused_on_both_ways() -> None:
    message = f"nests arrays or tables more than {MAX_DEPTH} deep"
    header = ".".join(["a"] * (MAX_DEPTH + 1))
    with pytest.raises(InvalidFileError, match=message):
        parse_toml(f"[{header}]")
    with pytest.raises(InvalidFileError, match=message):
        dumps(nested(MAX_DEPTH + 2))


@pytest.mark.parametrize("text", ["{} = 1", "[{}]", "[[{}]]", "a = {{{} = 1}}", 'a = """x"""""\n{} = 1'], ids=ascii)
@pytest.mark.parametrize("part", ["a", '"a.b"', " 'a' ", "\t1\t"], ids=ascii)
def test_a_key_of_many_parts_is_refused_before_it_eats_memory(text: str, part: str) -> None:
    with pytest.raises(InvalidFileError, match=f"more than {MAX_DEPTH} deep"):
        parse_toml(text.format(".".join([part] * 20_000)))


@pytest.mark.parametrize(
    "text",
    [
        "a = [" + "[],{}," * 130_000 + "]",
        "[[b]]\n" * 130_000,
        "".join(f"{n} = {n}\n" for n in range(130_000)),
    ],
    ids=["array", "headers", "keys"],
)
def test_more_items_than_any_buildpack_needs_are_refused_before_they_eat_memory(text: str) -> None:
    with pytest.raises(InvalidFileError, match=f"x: has more than {MAX_ITEMS} keys and values"):
        parse_toml(text, where="x")


@pytest.mark.parametrize("value", ["'{}'", '"{}"', "'''\n\n''{}\n'''''", '"""\n\n"{}\n""\\""""""', "1 # {}"], ids=ascii)
def test_dots_in_strings_and_comments_are_no_keys(value: str) -> None:
    dots = "a." * 1_000 + "a"
    assert parse_toml(f"x = {value.format(dots)}\ny = 2")["y"] == 2


@pytest.mark.parametrize("text", ['\\"""\n', '\\"', "'''\n", "'\n", '"\\"', "a ", "a.", '"""\\"""', '"\\\n'], ids=ascii)
def test_malformed_text_is_refused_quickly(text: str) -> None:
    start = process_time()
    with pytest.raises(InvalidFileError):
        parse_toml("a = " + text * 100_000)
    assert process_time() - start < 2


def test_arrays_that_nest_too_deep_for_the_parser_are_an_error() -> None:
    with pytest.raises(InvalidFileError, match=r"x\.toml: nests arrays or tables too deep"):
        parse_toml("a = " + "[" * 100_000, where="x.toml")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_integers_beyond_64_bits_are_refused_on_both_ways(number: int) -> None:
    message = r"^x.toml: metadata\.list\[1\]: an integer of more than 64 bits$"
    with pytest.raises(InvalidFileError, match=message):
        parse_toml(f"[metadata]\nlist = [1, {number}]", where="x.toml")
    with pytest.raises(InvalidFileError, match=message):
        dumps({"metadata": {"list": [1, number]}}, where="x.toml")


def test_an_integer_of_thousands_of_digits_is_an_error_not_a_crash() -> None:
    with pytest.raises(InvalidFileError, match=r"x\.toml: "):
        parse_toml("a = " + "1" * 5000, where="x.toml")


def test_a_null_in_an_array_can_not_be_written() -> None:
    with pytest.raises(InvalidFileError, match=r"^a\.b: an array can't have an empty element$"):
        dumps({"a": {"b": [1, None]}})


def test_text_that_is_not_utf8_can_not_be_written() -> None:
    with pytest.raises(InvalidFileError, match="would hold text that is not UTF-8"):
        dumps({"path": os.fsdecode(b"/layers/\xff")})


@pytest.mark.parametrize(
    "value", [time(1, 2, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=90)))]
)
def test_a_text_that_would_read_back_as_another_value_does_not_leave_the_codec(value: Any) -> None:
    with pytest.raises(TomlMismatchError, match=r"would (not be TOML|read back as another value)"):
        dumps({"a": value})


def test_a_value_of_no_toml_type_is_a_bug() -> None:
    with pytest.raises(TypeError, match="bytes has no TOML form"):
        dumps({"a": b"x"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = \n", "line 1, column 5: invalid value"),
        (b"a = 1\nb = [1,\n  2\nc = 3", "line 4, column 1: unclosed array"),
        (b"a = 1\na = 2\n", "line 2, column 6: cannot overwrite a value"),
        (b'a = "', "at its end: unterminated string"),
        (b"a = 1\nb = '\xff'\n", "line 2: is not UTF-8: byte 0xff"),
        (b"\xff\xfea\0=\0", "is UTF-16; save it as UTF-8"),
        (b"a = 1\rb = 2", "line 1, column 6: "),
    ],
)
def test_a_malformed_file_is_an_error_with_line_and_column(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "order.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidFileError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "order.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n[b]\r\nc = 2\r\n")
    assert read_toml(path) == {"a": 1, "b": {"c": 2}}


def test_a_missing_file_is_an_error_or_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"/group\.toml: does not exist$"):
        read_toml(tmp_path / "group.toml")
    assert read_toml(tmp_path / "group.toml", missing_ok=True) is None
    assert load(Order, tmp_path / "group.toml", missing_ok=True) is None


def test_a_directory_in_the_place_of_a_file_is_an_error_even_if_it_may_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=f"can't be read: {os.strerror(errno.EISDIR)}"):
        read_toml(tmp_path, missing_ok=True)


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(InvalidFileError, match="/dev/zero: is larger than 16 MiB"):
        read_toml(Path("/dev/zero"))


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "store.toml"
    content = b'a = """' + b"x" * 1000
    path.write_bytes(content + b"\n" * (MAX_SIZE - len(content) - 3) + b'"""')
    table = read_toml(path)
    assert len(table["a"]) > MAX_SIZE - 1000
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InvalidFileError, match="is larger than 16 MiB"):
        read_toml(path)


def test_a_saved_table_is_loaded_into_its_model(tmp_path: Path) -> None:
    path = tmp_path / "layers" / "order.toml"
    save(path, Struct(order=[Struct(group=[Struct(id="a/b", optional=True)])]))
    assert path.read_bytes() == b'[[order]]\n\n  [[order.group]]\n    id = "a/b"\n    optional = true\n'
    assert load(Order, path) == Order(order=(Group(group=(Element(id="a/b", optional=True),)),))


def test_a_table_that_can_not_be_written_names_its_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    save(path, {"a": 1})
    with pytest.raises(LifecycleError, match=r"/plan\.toml: b: an integer of more than 64 bits"):
        save(path, {"b": 2**64})
    assert path.read_text() == "a = 1\n"


class Element(SpecModel):
    id: str
    version: str = ""
    optional: bool = False
    kind: Literal["build", "launch"] = "build"
    command: str | ListOf[str] = ()
    count: int | None = None
    when: date | None = None

    @field_validator("version")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if "/" in value:
            raise ValueError("a version holds no '/'")
        return value


class Group(SpecModel):
    group: ListOf[Element] = ()
    exec_env: dict[str, bool] = Field(default_factory=dict)


class Order(SpecModel):
    order: ListOf[Group] = ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '[[order]]\n[[order.group]]\nid="a"\n[[order.group]]\nversion="1"',
            "order[0].group[1].id is required",
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\noptional="yes"',
            'order[0].group[0].optional: expected true or false, found "yes"',
        ),
        ("[[order]]\n[[order.group]]\nid=1", "order[0].group[0].id: expected a string, found 1"),
        (
            '[[order]]\n[[order.group]]\nid=1\nOptional="no"',
            "order[0].group[0].id: expected a string, found 1 (and 1 more)",
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\nOptional="no"',
            'order[0].group[0].Optional: expected true or false, found "no"',
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\ncommand=1.5',
            "order[0].group[0].command: expected a string or an array, found 1.5",
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\ncount="1"',
            'order[0].group[0].count: expected an integer, found "1"',
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\nversion="1/2"',
            "order[0].group[0].version: a version holds no '/'",
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\nkind="x"',
            "order[0].group[0].kind: expected 'build' or 'launch', found \"x\"",
        ),
        ("order = 1", "order: expected an array, found 1"),
        ("order = [1, 2]", "order[0]: expected a table, found 1 (and 1 more)"),
        ("[order]\na = 1", "order: expected an array, found a table"),
        (
            '[[order]]\n[order.exec-env]\n"a b" = [1]',
            'order[0].exec-env."a b": expected true or false, found an array',
        ),
        (
            '[[order]]\n[[order.group]]\nid="a"\nwhen=10:00:00',
            "order[0].group[0].when: expected a date, found 10:00:00",
        ),
        (f'[[order]]\ngroup = "{"x" * 100}"', f'order[0].group: expected an array, found "{"x" * 40}…"'),
    ],
)
def test_what_does_not_fit_a_model_is_said_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "order.toml"
    path.write_text(content)
    with pytest.raises(InvalidFileError) as caught:
        load(Order, path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_platform_may_name_a_pipe_as_a_shell_makes_one_and_a_buildpack_may_leave_none() -> None:
    reader, writer = os.pipe()
    os.write(writer, b'[[order]]\n[[order.group]]\nid = "a"\n')
    os.close(writer)
    path = Path(f"/dev/fd/{reader}")
    try:
        with pytest.raises(InvalidFileError, match=rf"^/dev/fd/{reader}: is not a file$"):
            load(Order, path, regular=True)
        assert load(Order, path) == Order(order=(Group(group=(Element(id="a"),)),))
    finally:
        os.close(reader)


def test_an_array_with_a_wrong_element_names_the_element(tmp_path: Path) -> None:
    (tmp_path / "order.toml").write_text('[[order]]\n[[order.group]]\nid="a"\ncommand=["a", 2]')
    with pytest.raises(InvalidFileError, match=r"order\[0\]\.group\[0\]\.command\[1\]: expected a string, found 2"):
        load(Order, tmp_path / "order.toml")


def test_an_error_is_explained_without_the_table_too() -> None:
    with pytest.raises(ValidationError) as caught:
        Element.model_validate({"id": "a", "command": 1})
    explained = explain(caught.value, "buildpack.toml")
    assert str(explained) == "buildpack.toml: command: expected a string or an array, found 1"


def test_a_location_is_written_as_toml_writes_keys() -> None:
    assert key_path(["order", 0, "group", 1, "id"]) == "order[0].group[1].id"
    assert key_path(["a b", "", "c.d"]) == '"a b".""."c.d"'


def test_nan_is_equal_to_nan_and_zero_keeps_its_sign() -> None:
    assert dumps({"a": [math.nan, -0.0, 0.0, -math.inf]}) == "a = [nan, -0.0, 0.0, -inf]\n"
