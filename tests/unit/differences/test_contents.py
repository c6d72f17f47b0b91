"""How contents differ, and why they may."""

import gzip
import io
import py_compile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.differences.causes import Circumstances, causes_of_content, causes_of_presence
from lifecycle.differences.contents import MAX_LINES, MAX_TEXT, compare_contents


def compare(first, second):
    return compare_contents(first, second, first_size=len(first), second_size=len(second))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_the_first_byte_that_differs_is_told(first, second):
    at = compare(first, second).offset
    assert first[:at] == second[:at]
    assert first == second or first[at : at + 1] != second[at : at + 1]


def test_short_texts_are_shown_line_by_line():
    assert compare(b"a\nb\nc\n", b"a\nx\nc\n").lines == ("@@ -1,3 +1,3 @@", " a", "-b", "+x", " c")


def test_the_end_of_the_last_line_is_told():
    assert compare(b"a\n", b"a").lines == ("@@ -1 +1 @@", "-a", "+a (no newline at the end)")


def test_what_is_shown_is_bounded_and_harmless():
    found = compare(b"\x1b[2J\n" + b"".join(b"%d\n" % n for n in range(500)), b"y" * 10_000)
    assert len(found.lines) == MAX_LINES
    assert found.cut
    assert all(line.isprintable() and len(line) <= 201 for line in found.lines)


@pytest.mark.parametrize("data", [b"a\0", b"\xff\xfe", b"a" * (MAX_TEXT + 1), b"\n" * 2000])
def test_what_is_no_short_text_is_not_shown(data):
    assert compare(data, data + b"!").lines == ()


def test_of_a_file_whose_beginnings_are_the_same_nothing_is_told():
    found = compare_contents(b"aa", b"aa", first_size=10, second_size=10)
    assert (found.offset, found.lines) == (None, ())


def pyc(tmp_path, mtime, mode=py_compile.PycInvalidationMode.TIMESTAMP):
    import os

    source = tmp_path / "m.py"
    source.write_text("x = 1\n")
    os.utime(source, (mtime, mtime))
    py_compile.compile(str(source), str(tmp_path / "m.pyc"), invalidation_mode=mode)
    return (tmp_path / "m.pyc").read_bytes()


def zipped(year):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (year, 1, 1, 0, 0, 0)), b"a")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        (b"built 2026-11-26T19:08:53Z\n", b"built 2026-11-26T19:08:55Z\n", "a time"),
        (b"Thu Nov 26 19:08:53 UTC 2026", b"Thu Nov 26 19:08:55 UTC 2026", "a time"),
        (b"stamp=1795721557", b"stamp=1795721559", "a time"),
        (b"stamp=1795721557.123", b"stamp=1795721559.77", "a time"),
        (b"stamp=1795721557123", b"stamp=1795721559456", "a time"),
        (b"20261126-190853", b"20261126-190855", "a time"),
        (b"see /tmp/tmpab12cd", b"see /tmp/tmpxy34zz", "the name of a temporary file"),
        (b"dc68d4ab-70d4-4092-a519-b56b7912459f", b"5b7921dd-7a11-4f5b-8c26-bbc268a0c3ff", "a random id"),
        (b"b\na\nc\n", b"a\nb\nc\n", "the same parts in another order"),
        (b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}', "the same parts in another order"),
        (gzip.compress(b"a", mtime=1), gzip.compress(b"a", mtime=2), "the time in the header of a gzip file"),
        (zipped(2001), zipped(2002), "the times of the files in a zip archive"),
        (b"at /work/one/x", b"at /other/x", "a path of the build"),
        (b"jobs 8", b"jobs 7", "processors"),
    ],
)  # fmt: skip
def test_the_usual_causes_are_told(first, second, cause):
    known = Circumstances(
        pairs=((b"/work/one", b"/other", "a path of the build"),), words=((b"8", b"7", "processors"),)
    )
    causes = causes_of_content(b"/layers/x/y/file", first, second, known)
    assert [each for each in causes if each.startswith(cause)] == [*causes]
    assert causes


def test_bytecode_with_the_time_of_its_source_is_told_and_other_bytecode_not(tmp_path):
    one, other = pyc(tmp_path, 1), pyc(tmp_path, 2)
    (cause,) = causes_of_content(b"/a/__pycache__/m.pyc", one, other)
    assert "--invalidation-mode unchecked-hash" in cause
    hashed = [pyc(tmp_path, mtime, py_compile.PycInvalidationMode.UNCHECKED_HASH) for mtime in (1, 2)]
    assert hashed[0] == hashed[1]


def test_a_log_is_told_by_its_name():
    assert causes_of_content(b"/layers/x/y/install.log", b"a", b"b") == causes_of_presence(b"/layers/x/y/log/a")
    assert causes_of_presence(b"/layers/x/y/data-1795721557") == ("a name that was made from a time or at random",)
    assert causes_of_presence(b"/layers/x/y/catalog/blog.html") == ()


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([b"/a", b"/a.pyc", b"/a.gz"]))
def test_any_contents_can_be_looked_at(first, second, path):
    assert isinstance(causes_of_content(path, first, second), tuple)
