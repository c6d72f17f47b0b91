"""What registries say in their answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.images.registry.answer import address, read_errors, whole_number, words_of


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no"},{"code":"X"}]}', " (DENIED: no, X)"),
        (b'{"details":"incorrect username or password"}', " (incorrect username or password)"),
        (b'{"error":"invalid_grant","error_description":"expired"}', " (invalid_grant: expired)"),
        (b'{"message":"bad \\u001b[2J\\u202e gateway"}', " (bad  [2J  gateway)"),
        (b'{"errors":"none"}', ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_errors_in_words(body, words):
    assert words_of(read_errors(body)) == words


@given(st.binary(max_size=200))
def test_any_body_is_read_without_an_error(body):
    assert words_of(read_errors(body)).isprintable()


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("0", 0), ("", None), (None, None), ("-1", None), ("²", None), ("9" * 5000, None)]
)
def test_numbers_in_headers(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/upload?x=1", "https://host:5000/upload?x=1"),
        ("next", "https://host:5000/v2/next"),
        ("//other/x", "https://other/x"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("ftp://x/", None),
        ("http://[", None),
        ("http://x:99999/", None),
    ],
)
def test_locations(location, expected):
    found = address("https://host:5000/v2/a", location)
    assert (found and found.geturl()) == expected
