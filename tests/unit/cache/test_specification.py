"""What people write for caches to read and to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cache.specification import read_source, read_target, redacted
from lifecycle.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "kind", "attributes"),
    [
        ("reg/app:main", "registry", {"ref": "reg/app:main"}),
        ("localhost:5000/app", "registry", {"ref": "localhost:5000/app"}),
        ("type=registry,ref=reg/app", "registry", {"ref": "reg/app"}),
        (" TYPE=registry , REF = reg/app ", "registry", {"ref": "reg/app"}),
        ("/var/cache", "local", {"src": "/var/cache"}),
        ("./a=b", "local", {"src": "./a=b"}),
        ("../layout", "local", {"src": "../layout"}),
        ('type=local,"src=/with,comma",tag=v1', "local", {"src": "/with,comma", "tag": "v1"}),
        ("type=registry,ref=reg/app,timeout=2.5,verify=full", "registry", None),
    ],
)
def test_sources_are_words_or_lists_of_keys(text, kind, attributes):
    spec = read_source(text)
    assert spec.type == kind
    if attributes is not None:
        assert dict(spec.attributes) == attributes


@pytest.mark.parametrize(
    ("text", "kind", "attributes"),
    [
        ("reg/app:cache", "registry", {"ref": "reg/app:cache"}),
        ("./cache", "local", {"dest": "./cache"}),
        ("type=inline", "inline", {}),
        (
            "type=registry,ref=reg/app,mode=max,compression=zstd,compression-level=3,image-manifest=false",
            "registry",
            {
                "ref": "reg/app",
                "mode": "max",
                "compression": "zstd",
                "compression-level": "3",
                "image-manifest": "false",
            },
        ),
    ],
)
def test_targets_have_the_keys_of_buildx(text, kind, attributes):
    spec = read_target(text)
    assert (spec.type, dict(spec.attributes)) == (kind, attributes)


@pytest.mark.parametrize("read", [read_source, read_target])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("type=s3,bucket=b", "has the type 's3'"),
        ("ref=reg/app", "has no type"),
        ("type=registry", "lacks ref"),
        ("type=registry,ref=", "lacks ref"),
        ("type=registry,ref=reg/app,colour=red", "has no key 'colour'"),
        ("type=registry,ref=reg/app,ref=reg/b", "has 'ref' twice"),
        ("type=registry,ref=UPPER/app:tag:tag", "not a valid image reference"),
        ("reg/app,reg/other", "is not key=value"),
        ('type=registry,"ref=reg/app', "is not a comma-separated list"),
        ("type=registry,ref=reg/app,registry.insecure=maybe", "is not a boolean"),
    ],
)
def test_a_value_that_can_not_be_meant_is_refused_with_a_reason(read, text, problem):
    with pytest.raises(InvalidInputError, match=problem) as caught:
        read(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type=registry,ref=reg/app,compression=estargz", "estargz is not supported"),
        ("type=registry,ref=reg/app,compression=lz4", "compression=lz4 is unknown"),
        ("type=registry,ref=reg/app,mode=some", "mode=some is unknown"),
        ("type=registry,ref=reg/app,compression-level=high", "is not a whole number"),
    ],
)
def test_what_no_target_can_do_is_refused_by_name(text, problem):
    with pytest.raises(InvalidInputError, match=problem):
        read_target(text)


@pytest.mark.parametrize(
    "text", ["type=inline", "type=local,src=/x,digest=sha256:1", "type=registry,ref=reg/app,timeout=0"]
)
def test_what_no_source_can_be_is_refused(text):
    with pytest.raises(InvalidInputError):
        read_source(text)


def said(read, text):
    """Return all that a user sees of a value."""
    try:
        spec = read(text)
    except InvalidInputError as error:
        return f"{error} {error!r}"
    return f"{spec} {spec!r}"


@pytest.mark.parametrize(
    "text",
    [
        "user:secret@registry.example/app",
        "type=registry,ref=user:secret@registry.example/app",
        "https://user:secret@registry.example/app",
        "type=distributed,ref=reg/app,sync=https://user:secret@registry.example/",
    ],
)
@pytest.mark.parametrize("read", [read_source, read_target])
def test_credentials_are_in_no_error_and_no_text(text, read):
    assert "secret" not in said(read, text)


@pytest.mark.parametrize("text", ["user:{}@registry.example/app", "https://user:{}@registry.example/app"])
@pytest.mark.parametrize("read", [read_source, read_target])
@given(password=st.text("=/@:,+\"'", max_size=4).map(lambda text: f"secret{text}secret"))
def test_passwords_of_any_characters_are_in_no_error(text, password, read):
    ref = text.format(password)
    for value in (ref, f"type=registry,ref={ref},timeout=1", f"type=registry,{quoted('ref', ref)}"):
        assert "secret" not in said(read, value)


@pytest.mark.parametrize(
    "text",
    [
        f"reg/app@sha256:{'a' * 64}",
        f"type=registry,ref=reg:5000/app:1@sha256:{'a' * 64},timeout=1",
        "type=local,src=/data/a:b@c",
        "./a:b@c",
    ],
)
def test_a_digest_and_a_path_are_no_credentials(text):
    assert redacted(text) == read_source(text).text == text


def test_an_invalid_reference_is_told_with_the_whole_reason():
    with pytest.raises(InvalidInputError, match="reference: what follows '@' has to be sha256: and 64 hex digits"):
        read_source("registry.example/app@sha256:12")


@given(st.text(max_size=60))
def test_any_text_is_a_source_or_refused(text):
    assert all(said(read, text) for read in (read_source, read_target))


def quoted(key, value):
    doubled = value.replace('"', '""')
    return f'"{key}={doubled}"'


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=20))
def test_quotes_let_a_path_have_any_character(path):
    spec = read_source(f"type=local,{quoted('src', path)}")
    assert spec.get("src") == path
