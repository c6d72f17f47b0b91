"""Image references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidInputError
from lifecycle.oci.reference import parse_reference, parse_tag, same_image_name

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ubuntu", "index.docker.io/library/ubuntu:latest"),
        ("ubuntu:22.04", "index.docker.io/library/ubuntu:22.04"),
        ("me/app", "index.docker.io/me/app:latest"),
        ("docker.io/ubuntu", "index.docker.io/library/ubuntu:latest"),
        ("registry-1.docker.io/me/app:v1", "index.docker.io/me/app:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("host:5000/a/b/c:v1", "host:5000/a/b/c:v1"),
        ("example.com/app", "example.com/app:latest"),
        ("[::1]:5000/app:x", "[::1]:5000/app:x"),
        (f"example.com/app@{DIGEST}", f"example.com/app@{DIGEST}"),
        (f"example.com/app:v1@{DIGEST}", f"example.com/app@{DIGEST}"),
    ],
)
def test_defaults_are_filled_in(text, name):
    reference = parse_reference(text)
    assert reference.name == name
    assert reference.text == text
    assert parse_reference(name).name == name


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "a//b", "Upper/case", "example.com/", "example.com/app:", "example.com/app:ä", "example.com/a:b:c",
        "example.com/../app", "example.com/app@sha256:abc", "example.com/app@", "example.com:port/app", "a b",
        "example.com/app\n", "https://example.com/app", "a" * 300, "app:" + "t" * 129,
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused_with_a_remedy(text):
    with pytest.raises(InvalidInputError, match="is not a valid image reference") as caught:
        parse_reference(text)
    assert caught.value.remedy is not None


@given(st.text() | st.from_regex(r"[a-zA-Z.:/@\[\]\-_0-9]*", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    try:
        reference = parse_reference(text)
    except InvalidInputError:
        return
    assert parse_reference(reference.name).name == reference.name


def test_a_digest_wins_over_a_tag_but_the_tag_is_kept_for_comparing():
    reference = parse_reference(f"example.com/app:v1@{DIGEST}")
    assert (reference.identifier, reference.tag, reference.without_digest()) == (
        DIGEST,
        "v1",
        "example.com/app:v1",
    )
    assert parse_reference(f"example.com/app@{DIGEST}").tag is None


def test_a_digest_can_not_be_written_to():
    assert parse_tag("example.com/app").tag == "latest"
    with pytest.raises(InvalidInputError, match="written to a tag"):
        parse_tag(f"example.com/app@{DIGEST}")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest", True),
        ("ubuntu", f"ubuntu@{DIGEST}", True),
        ("ubuntu", "ubuntu:22.04", False),
        ("not valid", "not valid", True),
        ("not valid", "ubuntu", False),
    ],
)
def test_names_are_compared_without_digest_and_defaults(one, other, same):
    assert same_image_name(one, other) is same
