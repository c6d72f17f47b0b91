"""What registries ask for with a 401."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.images.registry.challenge import Scope, merge_scopes, read_challenges, read_scopes, repository_scope

TOKENS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=("Cc",)), max_size=30)
CHALLENGES = st.lists(
    st.tuples(TOKENS, st.dictionaries(TOKENS.map(str.lower), VALUES, min_size=1, max_size=4)), max_size=3
)


def _quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(CHALLENGES, st.sampled_from([",", ", ", " , "]))
def test_what_is_written_by_the_rules_is_read_back(challenges, comma):
    header = comma.join(
        f"{scheme} " + comma.join(f"{name}={_quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    assert [(each.scheme, dict(each.parameters)) for each in read_challenges(header)] == [
        (scheme.lower(), parameters) for scheme, parameters in challenges
    ]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(header):
    for challenge in read_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ("BASIC Realm=plain", [("basic", {"realm": "plain"})]),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('NTLM TlRMTVNTUAAC==, Basic realm="x"', [("ntlm", {}), ("basic", {"realm": "x"})]),
        ("", []),
    ],
)
def test_challenges_as_servers_send_them(header, expected):
    assert [(each.scheme, dict(each.parameters)) for each in read_challenges(header)] == expected


def test_scopes_of_one_resource_become_one():
    merged = merge_scopes(
        (repository_scope("a/b", "pull"),), read_scopes("repository:a/b:push,pull registry:catalog:* broken")
    )
    assert [scope.text for scope in merged] == ["repository:a/b:pull,push", "registry:catalog:*"]


def test_a_repository_of_a_host_with_port_keeps_its_colon():
    assert read_scopes("repository:host:5000/a:pull") == (Scope("repository:host:5000/a", frozenset({"pull"})),)
