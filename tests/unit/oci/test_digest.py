"""Digests and streams that are verified while they are read."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import VerificationError
from lifecycle.oci.digest import digest_of, is_digest, verified


@given(st.lists(st.binary(max_size=20)), st.booleans())
def test_right_bytes_pass_unchanged(chunks, sized):
    data = b"".join(chunks)
    size = len(data) if sized else None
    assert list(verified(chunks, digest=digest_of(data), size=size, where="x")) == chunks


def test_too_few_bytes_are_noticed_at_the_end():
    read = verified([b"ab"], digest=digest_of(b"abc"), size=3, where="blob")
    assert next(read) == b"ab"
    with pytest.raises(VerificationError, match="blob: ends after 2 of 3 bytes"):
        next(read)


def test_an_excess_is_noticed_before_it_is_passed_on():
    read = verified([b"abc", b"d", b"endless"], digest=digest_of(b"abc"), size=3, where="blob")
    assert next(read) == b"abc"
    with pytest.raises(VerificationError, match="more than the expected 3 bytes"):
        next(read)


@pytest.mark.parametrize("size", [3, None])
def test_a_wrong_digest_is_noticed_at_the_end(size):
    read = verified([b"abx"], digest=digest_of(b"abc"), size=size, where="blob")
    assert next(read) == b"abx"
    with pytest.raises(VerificationError, match=f"has the digest {digest_of(b'abx')}, expected {digest_of(b'abc')}"):
        next(read)


def test_a_digest_is_sha256_in_hex():
    assert digest_of(b"abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert is_digest(digest_of(b""))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 64 + "\n",
        "sha512:" + "a" * 64,
    ],
)
def test_any_other_form_is_no_digest(text):
    assert not is_digest(text)
