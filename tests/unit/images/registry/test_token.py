"""Bearer tokens: pure rules, and the flow with a real registry and its token server."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import AccessDeniedError, RegistryError
from lifecycle.images.registry.challenge import Challenge, repository_scope
from lifecycle.images.registry.credential import ANONYMOUS, Credential
from lifecycle.images.registry.token import Token, TokenCache, read_token, token_request
from parts.registry_clients import FakeTime, blob_of, client_of, new_repository

SCOPES = (repository_scope("a/b", "push", "pull"), repository_scope("c", "pull"))
CHALLENGE = Challenge("bearer", {"service": "the registry"})
NOW = 1_700_000_000.0
DATA = b"a layer"


def test_password_goes_into_a_header_and_every_scope_into_the_query():
    request = token_request(CHALLENGE, "https://t/token?x=1", SCOPES, Credential("u", "pä:ss"))
    assert request.form is None
    assert parse_qs(urlsplit(request.url).query) == {
        "x": ["1"],
        "service": ["the registry"],
        "scope": ["repository:a/b:pull,push", "repository:c:pull"],
        "account": ["u"],
    }
    assert request.headers == {"Authorization": "Basic dTpww6Q6c3M="}


def test_an_identity_token_is_posted_and_not_in_the_url():
    request = token_request(CHALLENGE, "https://t/token", SCOPES, Credential("u", "p", identity_token="secret"))
    assert request.url == "https://t/token"
    assert "Authorization" not in request.headers
    form = parse_qs(request.form.decode())
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["secret"]
    assert form["scope"] == ["repository:a/b:pull,push repository:c:pull"]


def test_without_credentials_a_token_is_asked_for_as_well():
    request = token_request(CHALLENGE, "https://t/token", SCOPES[1:], ANONYMOUS)
    assert request.headers == {}
    assert parse_qs(urlsplit(request.url).query)["scope"] == ["repository:c:pull"]


def test_nothing_secret_is_in_a_representation():
    secret = Credential("user-name", "pass-word", identity_token="identity")
    request = token_request(CHALLENGE, "https://t/token", SCOPES, secret)
    token = Token("bearer-value", 1.0)
    for shown in (repr(request), repr(token)):
        assert not any(part in shown for part in ("pass-word", "identity", "bearer-value"))


@pytest.mark.parametrize(
    ("answer", "value", "lives"),
    [
        ({"token": "a", "expires_in": 300}, "a", 270),
        ({"access_token": "b", "expires_in": 3600}, "b", 3570),
        ({"token": "c"}, "c", 54),
        ({"token": "d", "expires_in": "soon"}, "d", 54),
        ({"token": "e", "expires_in": -1}, "e", 54),
        ({"token": "f", "expires_in": 300, "issued_at": "2023-11-14T22:12:20Z"}, "f", 210),
        ({"token": "g", "expires_in": 300, "issued_at": "2099-01-01T00:00:00Z"}, "g", 270),
        ({"token": "h", "expires_in": 300, "issued_at": "yesterday"}, "h", 270),
        ({"token": "i", "expires_in": 10**400}, "i", 365 * 86_400 - 30),
        ({"token": "j", "expires_in": float("nan")}, "j", 54),
    ],
)
def test_a_token_lives_as_long_as_its_server_says_less_a_margin(answer, value, lives):
    token = read_token(json.dumps(answer).encode(), now=NOW, host="t")
    assert token.value == value
    assert token.expires - NOW == pytest.approx(lives)


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_an_answer_without_a_token_is_an_error_in_words(data):
    with pytest.raises(RegistryError, match="t sends no token"):
        read_token(data, now=NOW, host="t")


def test_a_token_that_would_break_the_header_is_refused():
    with pytest.raises(RegistryError, match="sends no token"):
        read_token(b'{"token": "a\\r\\nX-Other: 1"}', now=NOW, host="t")


def test_a_token_is_fetched_once_until_it_expires_or_is_refused():
    time = FakeTime()
    fetched = iter([Token("one", time.now + 10), Token("two", time.now + 100), Token("three", time.now + 100)])
    cache = TokenCache(time.clock.wall)
    fetch = fetched.__next__
    one, fresh = cache.get(("key",), fetch)
    assert (one.value, fresh) == ("one", True)
    assert cache.get(("key",), fetch) == (one, False)
    time.sleep(11)
    two, fresh = cache.get(("key",), fetch)
    assert (two.value, fresh) == ("two", True)
    assert cache.get(("key",), fetch, stale=two)[0].value == "three"
    assert cache.get(("key",), fetch, stale=two)[0].value == "three"


def test_threads_that_need_the_same_token_make_one_request():
    count = 0
    together = threading.Barrier(8)
    cache = TokenCache(lambda: 0.0)

    def fetch():
        nonlocal count
        count += 1
        return Token("one", 100.0)

    def get(_):
        together.wait(120)
        return cache.get(("key",), fetch)[0].value

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(get, range(8))) == ["one"] * 8
    assert count == 1


def test_a_push_asks_for_one_token_and_uses_it_for_all(token_registry):
    ref = new_repository(token_registry)
    with client_of(token_registry) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: iter([DATA]))
        client.upload_blob(ref, blob_of(b"more"), lambda: iter([b"more"]))
        client.check_write(ref)
    scopes = [request.form["scope"] for request in token_registry.token_server.token_requests]
    push = f"repository:{ref.repository}:pull,push"
    assert scopes.count(push) == 1
    assert set(scopes) - {push} <= {f"repository:{ref.repository}:delete,pull,push"}


def test_everybody_reads_what_is_public_without_credentials(token_registry):
    ref = new_repository(token_registry, "public")
    with client_of(token_registry) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: iter([DATA]))
    with client_of() as client:
        assert b"".join(client.blob(ref, blob_of(DATA))) == DATA
    asked = token_registry.token_server.token_requests[-1]
    assert asked.user == ""
    assert asked.form["scope"] == f"repository:{ref.repository}:pull"


def test_an_identity_token_is_exchanged(token_registry):
    token_registry.token_server.identity_tokens["refresh-secret"] = token_registry.username
    ref = new_repository(token_registry)
    credential = Credential("<token>", identity_token="refresh-secret", source="the test")
    with client_of(token_registry, credential=credential) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: iter([DATA]))
        assert client.has_blob(ref, blob_of(DATA))
    assert {request.method for request in token_registry.token_server.token_requests} == {"POST"}


def test_a_ready_bearer_token_is_used_as_it_is(token_registry):
    ref = new_repository(token_registry)
    with client_of(token_registry) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: iter([DATA]))
        assert client.has_blob(ref, blob_of(DATA))
    ready = token_registry.token_server.issued[-1]
    token_registry.token_server.token_requests.clear()
    with client_of(token_registry, credential=Credential(registry_token=ready, source="the test")) as client:
        assert client.has_blob(ref, blob_of(DATA))
    assert token_registry.token_server.token_requests == []


def test_a_mount_asks_for_both_repositories(token_registry):
    source, ref = new_repository(token_registry), new_repository(token_registry)
    with client_of(token_registry) as client:
        client.upload_blob(source, blob_of(DATA), lambda: iter([DATA]))
        assert client.mount_blob(ref, blob_of(DATA), source=source)
        assert client.has_blob(ref, blob_of(DATA))
    asked = [request.form["scope"].split() for request in token_registry.token_server.token_requests]
    assert [f"repository:{ref.repository}:pull,push", f"repository:{source.repository}:pull"] in asked


def test_a_token_that_is_refused_is_renewed_once(token_registry):
    ref = new_repository(token_registry)
    server = token_registry.token_server
    with client_of(token_registry) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: iter([DATA]))
        server.valid_for = -3600
        server.expires_in = 3600
        with pytest.raises(AccessDeniedError):
            client.has_blob(ref, blob_of(DATA))
        asked = len(server.token_requests)
        server.valid_for = 300
        assert client.has_blob(ref, blob_of(DATA))
        assert len(server.token_requests) == asked + 1


def test_who_may_only_read_is_told_so_when_pushing(token_registry):
    ref = new_repository(token_registry)
    credential = Credential("reader", "password of the reader", source="auths of /home/me/config.json")
    time = FakeTime()
    with (
        client_of(token_registry, credential=credential, time=time) as client,
        pytest.raises(AccessDeniedError) as raised,
    ):
        client.check_write(ref)
    text = str(raised.value)
    assert ref.name in text
    assert token_registry.host in text
    assert "auths of /home/me/config.json" in text
    assert "UNAUTHORIZED" in text
    assert f"push to {ref.repository}" in text
    assert "password of the reader" not in text
    assert raised.value.status == 401
    assert time.waits == []


def test_without_credentials_the_remedy_is_to_log_in(token_registry):
    ref = new_repository(token_registry)
    with client_of() as client, pytest.raises(AccessDeniedError, match=f"docker login {token_registry.host}"):
        client.manifest(ref)


def test_a_wrong_password_is_the_token_servers_refusal(token_registry):
    ref = new_repository(token_registry)
    credential = Credential("writer", "wrong-password", source="the test")
    time = FakeTime()
    with (
        client_of(token_registry, credential=credential, time=time) as client,
        pytest.raises(AccessDeniedError) as raised,
    ):
        client.check_write(ref)
    assert "incorrect username or password" in str(raised.value)
    assert "wrong-password" not in str(raised.value)
    assert time.waits == []


def test_a_failing_token_server_is_tried_again_and_then_named(token_registry):
    token_registry.token_server.status = 503
    time = FakeTime()
    with client_of(token_registry, time=time) as client, pytest.raises(RegistryError) as raised:
        client.manifest(new_repository(token_registry))
    assert token_registry.token_server.host in str(raised.value)
    assert len(token_registry.token_server.token_requests) == 6
    assert len(time.waits) == 5


def test_no_secret_is_logged(token_registry, caplog):
    caplog.set_level(logging.DEBUG)
    ref = new_repository(token_registry)
    with client_of(token_registry) as client:
        client.upload_blob(ref, blob_of(DATA), lambda: iter([DATA]))
        assert b"".join(client.blob(ref, blob_of(DATA))) == DATA
    assert "401" in caplog.text
    assert token_registry.password not in caplog.text
    assert not any(token in caplog.text for token in token_registry.token_server.issued)
