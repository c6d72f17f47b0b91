"""The launcher's TOML reader beside Python's."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFUSED = None
OTHER = {"other": 0}

VALID = [
    "",
    "# only a note",
    "a=1",
    "\ta\t=\t1\t",
    "a = 1 # note\r\n\r\nb = 2\r\n",
    "a = \"\"\nb = ''\nc = \"\"\"\"\"\"\nd = ''''''",
    "a = \"\"\"\"x\"\"\"\"\"\nb = ''''x'''''",
    'a = """\nfirst\\\n   \n\t  next \\\\ \\" ""\\""""',
    'a = """\r\nx\r\ny\\\r\n  z"""',
    "a = '''\n\\n\\'''",
    '"" = 1\n"a.b" = 2\n\'c d\' = 3\n"\\u0000" = 4\n"é" = 5',
    'a = "\\b\\t\\n\\f\\r\\"\\\\\\u00E9\\U0001F600\\u0000\\U0010FFFF"',
    "1 = 1\n-_ = 2\n2.2 = 3\ntrue = false\ninf = nan",
    "a.b.c = 1\na.b.d = 2\na . e = 3",
    "[a]\nb.c = 1\nb.d = 2\n[a.b.e]\nf = 1",
    "[a.b.c]\n[a]\nx = 1",
    "[a.b.c]\n[a]\nb.d = 1",
    "[x.y.z.w]\n[x]",
    "[[a]]\n[[a]]\nb = 1\n[a.c]\n[[a.d]]\n[[a.d]]\n[a.d.e]",
    "[[a.b]]\n[a]\nc = 1",
    "[ a . 'b c' . \"\\u0064\" ]\n[[ x . y ]]",
    "a = {}\nb = { c = 1, d.e = 2, d.f = { g = [] } }",
    "a = [\n  1, # one\n  [2, [3,],], 'x', true,\n  {a = 1},\n]\nb = [ ]",
    "a = [{}, {b = 1}]",
    "a = +0\nb = -0\nc = 1_000\nd = 0xDEAD_beef\ne = 0o17\nf = 0b1_0\ng = 99999999999999999999",
    "a = 1.0\nb = -0.0\nc = 1e3\nd = 1E+3\ne = 1.5e-3\nf = +inf\ng = -nan\nh = 1_0.0_1e1_0\ni = 0e0\nj = 6.626e-34",
    "a = 1979-05-27T07:32:00Z\nb = 1979-05-27t00:32:00.999999-07:00\nc = 1979-05-27 07:32:00z",
    "a = 1979-05-27T07:32:00\nb = 1979-05-27\nc = 07:32:00\nd = 00:32:00.9999999999\ne = 1979-05-27 # note",
    "a = 2000-02-29\nb = 2024-02-29\nc = 0001-01-01\nd = 9999-12-31T23:59:59+23:59",
    "a = 1\n[b]",
    "a = '\t'\n# \t\u007e é \U0001f600",
    "[a]\n[b]\n[a.c]",
    "a = 1 \n \n",
    "a={b=1}\nc=2",
    "[fruit]\napple.color = 1\n[fruit.apple.taste]\nsweet = true",
    "a = [[{b = [1]}]]",
]
INVALID = [
    "a", "a =", "= 1", "a = 1 b = 2", "a = 1, b = 2", "a\n= 1", "a = \n1", "a b = 1", "[a", "[a]]", "[[a]", "[a] b = 1", "[]", "[[]]",
    "[a.]", "[.a]", "[a..b]", "a. = 1", ".a = 1", "a..b = 1", "[ [a]]", "[[a] ]", "a = 1\na = 2", "a = 1\n'a' = 2", "[a]\n[a]",
    "a = 1\n[a]", "a = 1\na.b = 2", "a.b = 1\na = 2", "a.b = 1\na.b.c = 2", "a.b = 1\n[a]", "a.b.c = 1\n[a.b]", "[a.b]\n[a]\nb.c = 1",
    "[a.b]\n[a]\nb = 1", "[a]\nb = 1\n[a.b]", "[[a]]\n[a]", "[a]\n[[a]]", "[a.b]\n[[a]]", "a = []\n[[a]]", "a = [{}]\n[a.b]",
    "a = {}\n[a]", "a = {}\n[a.b]", "a = {}\na.b = 1", "a = {b = 1}\n[a.c]", "[[a.b]]\n[[a]]", "[a]\nb.c = 1\n[a.b]", "[[a]]\n[[a.b]]\n[a.b]",
    "[a.b.c.d]\nz = 9\n[a]\nb.c.d.k.t = 8", "[a.b.c]\nz = 9\n[a]\nb.c.t = 1", "a = {b = 1,}", "a = {,}", "a = {b = 1 c = 2}", "a = {b = 1\n}",
    "a = {\n}", "a = {b = 1, b = 2}", "a = {b.c = 1, b = 2}", "a = {b = {}, b.c = 1}", "a = {", "a = {b", "a = {b = 1", "a = [", "a = [1",
    "a = [1 2]", "a = [,]", "a = [1,,2]", "a = ]", "a = 'x", 'a = "x', "a = '''x''", 'a = """x""', "a = 'x\n'", 'a = "x\ny"', "a = 'x'y",
    'a = "\\x41"', 'a = "\\e"', 'a = "\\a"', 'a = "\\u00e"', 'a = "\\uD800"', 'a = "\\U00110000"', 'a = "\\UFFFFFFFF"', 'a = "\\ \n"', 'a = "\\',
    'a = "\\u', 'a = """\\ x"""', 'a = """x""""""', "a = '''x''''''", "'''a''' = 1", '"""a""" = 1', "a = 'x\u0000'", "a = 'x\u007f'", "a = 'x\u0001'",
    "# \u0000", "# \u007f", "# \r", "a = 1\rb = 2", "a = 'x\r'", "a = '''x\ry'''", "\ufeffa = 1", "é = 1", "a+b = 1", "a = 01", "a = -01", "a = 1_", "a = _1",
    "a = 1__0", "a = 0x", "a = 0x_1", "a = 0xg", "a = +0x1", "a = 0X1", "a = 0o8", "a = 0b2", "a = 1.", "a = .1", "a = 1.e1", "a = 1e", "a = 1e1.0", "a = 1_.0",
    "a = 1._0", "a = 00.1", "a = ++1", "a = Inf", "a = +true", "a = True", "a = truex", "a = falsey", "a = nan_", "a = 1 2", "a = 1979-05-27T", "a = 1979-5-27",
    "a = 1979-13-01", "a = 1979-00-01", "a = 1979-02-29", "a = 1900-02-29", "a = 1979-04-31", "a = 0000-01-01", "a = 1979-05-27T24:00:00", "a = 07:60:00",
    "a = 07:32", "a = 07:32:60", "a = 07:32:00.", "a = 07:32:00Z", "a = 1979-05-27Z", "a = 1979-05-27T07:32:00+24:00", "a = 1979-05-27T07:32:00+0100",
    "a = 1979-05-27T07:32:00 Z", "a = 1979-05-27  07:32:00", "a = 197-05-27", "a = 1979-05-2707:32:00", "a = --1", "a = 0xFF.0", "a = 0x1p1", "a = $b",
]  # fmt: skip
BYTES = [b"a = '\xff'", b"a = '\xc0\x80'", b"a = '\xed\xa0\x80'", b"a = '\xf4\x90\x80\x80'", b"a = '\xe2\x82'", b"# \xff", b"\xef\xbb\xbfa = 1",
         b"a\xff = 1", b"\xff\xfea\x00", b"a = '\xf0\x8f\xbf\xbf'", b"a = '\xe0\x9f\xbf'"]  # fmt: skip


@pytest.fixture(scope="module")
def read(sanitized: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], Any]]:
    """Our reading of a document, by a process that reads one after the other."""
    program = tmp_path_factory.mktemp("toml") / "toml_json"
    fuzz_dir = Path(__file__).parent / "fuzz"
    sanitized(program, ["arena", "toml"], fuzz_dir / "toml_json.c", fuzz_dir / "memory.c")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None

        def ask(document: bytes) -> Any:
            assert running.stdin is not None
            assert running.stdout is not None
            running.stdin.write(b"%d\n%s" % (len(document), document))
            running.stdin.flush()
            line = running.stdout.readline()
            assert line, f"the reader died of {document!r}"
            return json.loads(line)

        yield ask
        running.stdin.close()
        assert running.wait() == 0


def expected(document: bytes) -> Any:
    """What tomllib reads, without the values that our reader only checks."""
    try:
        return without_values(tomllib.loads(document.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return REFUSED


def without_values(value: Any) -> Any:
    match value:
        case dict():
            return {key: without_values(each) for key, each in value.items()}
        case list():
            return [without_values(each) for each in value]
        case str() | bool():
            return value
    return OTHER


@pytest.mark.parametrize("document", VALID)
def test_a_valid_document_is_read_as_tomllib_reads_it(read: Any, document: str) -> None:
    wanted = expected(document.encode())
    assert wanted is not REFUSED
    assert read(document.encode()) == wanted


@pytest.mark.parametrize("document", [*(each.encode() for each in INVALID), *BYTES], ids=repr)
def test_an_invalid_document_is_refused_as_tomllib_refuses_it(read: Any, document: bytes) -> None:
    assert expected(document) is REFUSED
    assert read(document) is REFUSED


LONG = settings(max_examples=600, deadline=None)
key_parts = st.sampled_from(["a", "b", "c", '"a"', "'b'", '""', "1", "a-_", '"\\u0061"', "é", "true"])
keys = st.lists(key_parts, min_size=1, max_size=3).map(".".join) | st.lists(key_parts, min_size=1, max_size=3).map(
    " . ".join
)
pieces = st.lists(
    st.sampled_from(
        [
            *list("ab \t\n\"'\\é😀ur0{}[]=,#."),
            '""',
            "''",
            "\\u00e9",
            "\\n",
            "\\\n ",
            "\r\n",
            "\r",
            '"""',
            "'''",
            "\\U0001F600",
            "\x00",
            "\x7f",
        ]
    ),
    max_size=8,
).map("".join)
strings = st.builds("{0}{1}{0}".format, st.sampled_from(['"', "'", '"""', "'''"]), pieces)
digits = st.text("0123456789_", min_size=1, max_size=4)
numbers = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "+", "-", "0x", "0o", "0b", "-0x"]),
    digits | st.sampled_from(["inf", "nan", "f_F", "7_7", "1_0"]),
    st.just("") | digits.map(".{}".format) | st.just("."),
    st.just("") | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), digits),
)
two_digits = st.sampled_from(["00", "01", "02", "12", "13", "23", "24", "28", "29", "30", "31", "59", "60", "9", "001"])
dates = st.builds(
    "{}-{}-{}".format, st.sampled_from(["1979", "2000", "1900", "0000", "0001", "2024", "99"]), two_digits, two_digits
)
times = st.builds(
    "{}:{}:{}{}".format, two_digits, two_digits, two_digits, st.sampled_from(["", ".", ".1", ".1234567", "._1"])
)
moments = dates | times | st.builds(
    "{}{}{}{}".format, dates, st.sampled_from(["T", "t", " ", "  ", ""]), times,
    st.sampled_from(["", "Z", "z", "+01:00", "-00:00", "+24:00", "-01:60", " Z", "+1:00", "+01"]),
)  # fmt: skip
booleans = st.sampled_from(["true", "false", "True", "tru", "falsee"])
values = st.recursive(
    strings | numbers | moments | booleans,
    lambda inner: st.one_of(
        st.builds(
            "[{}{}]".format,
            st.lists(inner, max_size=3).map(", ".join),
            st.sampled_from(["", ",", "\n", " # n\n", ",,"]),
        ),
        st.builds(
            "{{{}{}}}".format,
            st.lists(st.builds("{} = {}".format, keys, inner), max_size=3).map(", ".join),
            st.sampled_from(["", " ", ",", "\n"]),
        ),
    ),
    max_leaves=5,
)
lines = st.one_of(
    st.builds("{} = {}".format, keys, values),
    st.builds("{} = 1".format, keys),
    keys.map("[{}]".format),
    keys.map("[[{}]]".format),
    st.sampled_from(["", "# note", " ", "[", "]", "=", "\r"]),
)
documents = st.builds(
    lambda ls, end: end.join(ls), st.lists(lines, max_size=7), st.sampled_from(["\n", "\r\n", " # n\n"])
)
easy_keys = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)
tables = st.lists(
    easy_keys.map("[{}]".format) | easy_keys.map("[[{}]]".format) | easy_keys.map("{} = 1".format) | easy_keys.map("{} = {{}}".format)
    | easy_keys.map("{} = {{a.b = 1}}".format) | easy_keys.map("{} = [{{}}]".format),
    max_size=6,
).map("\n".join)  # fmt: skip


@LONG
@given(document=documents)
def test_a_generated_document_is_read_as_tomllib_reads_it(read: Any, document: str) -> None:
    assert read(document.encode()) == expected(document.encode())


@LONG
@given(document=tables)
def test_tables_may_be_opened_where_tomllib_lets_them(read: Any, document: str) -> None:
    assert read(document.encode()) == expected(document.encode())


@LONG
@given(value=values)
def test_a_generated_value_is_read_as_tomllib_reads_it(read: Any, value: str) -> None:
    document = f"a = {value}\n".encode()
    assert read(document) == expected(document)


@LONG
@given(text=st.text(), document=st.binary(max_size=60))
def test_arbitrary_text_and_bytes_are_read_as_tomllib_reads_them(read: Any, text: str, document: bytes) -> None:
    for each in (json.dumps(text), f"'{text}'", f'"""{text}"""'):
        quoted = f"a = {each}".encode()
        assert read(quoted) == expected(quoted)
    assert read(document) == expected(document)


@pytest.mark.parametrize("shape", ["a = {}1{}", "[{}a]", "{}a = 1", "a = {}"])
def test_a_hundred_levels_are_read_and_endless_ones_refused(read: Any, shape: str) -> None:
    def nested(levels: int) -> bytes:
        match shape:
            case "a = {}1{}":
                return shape.format("[" * levels, "]" * levels).encode()
            case "a = {}":
                return shape.format("{a = " * levels + "1" + "}" * levels).encode()
        return shape.format("a." * levels).encode()

    assert read(nested(90)) == expected(nested(90))
    assert read(nested(100_000)) is REFUSED


def test_a_table_may_have_a_hundred_thousand_keys(read: Any) -> None:
    document = "".join(f"key{number} = 'x'\n" for number in range(100_000)).encode()
    assert len(read(document)) == 100_000
    assert read(document + b"key77777 = 1\n") is REFUSED
