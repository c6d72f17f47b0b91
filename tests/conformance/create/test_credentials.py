"""How phases authenticate to registries.  Spec: platform.md "Registry Authentication"."""

import base64
import itertools
import json

import pytest

from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.registry.store import RegistryStore
from parts.builds import Builds
from parts.registry import RegistryServer
from parts.registry_clients import client_of
from parts.tls import write_htpasswd

_NUMBERS = itertools.count()
USER, PASSWORD = "writer", "pass:word"
HEADER = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def password_registry(tmp_path_factory):
    """Plain HTTP with Basic authentication."""
    directory = tmp_path_factory.mktemp("password-registry")
    htpasswd = write_htpasswd(directory / "htpasswd", {USER: PASSWORD})
    auth = {"htpasswd": {"realm": "basic-realm", "path": str(htpasswd)}}
    with RegistryServer(directory, auth=auth, username=USER, password=PASSWORD) as started:
        yield started


@pytest.fixture
def proxy(password_registry, fault_proxy):
    return fault_proxy(password_registry.host, username=USER, password=PASSWORD)


@pytest.fixture
def locked(place, proxy):
    """Make builds in a registry that wants a password, as its log tells."""
    store = RegistryStore(client_of(proxy), platform=ImagePlatform())
    made = Builds(place, store, f"{proxy.host}/auth-{next(_NUMBERS)}")
    proxy.clear()
    return made


def sent(proxy):
    """Return the credentials of all requests that the registry answered, by whether they read or write."""
    read, written = set(), set()
    for each in proxy.requests(".*", "/"):
        if each.status != 401:
            (read if each.method in {"GET", "HEAD"} else written).add(each.headers.get("Authorization"))
    return read, written


@pytest.mark.requirement("PLAT-AUTH-001")
@pytest.mark.parametrize("prefix", ["", "http://"])
def test_the_header_of_cnb_registry_auth_is_sent_to_its_registry_to_read_and_to_write(locked, proxy, prefix):
    auth = json.dumps({"other.example": "Basic eDp5", prefix + proxy.host: HEADER})
    locked.five(CNB_REGISTRY_AUTH=auth)
    assert sent(proxy) == ({HEADER}, {HEADER})
    proxy.clear()
    done = locked.create(CNB_REGISTRY_AUTH=auth)
    assert done.code == 0, done.output
    assert sent(proxy) == ({HEADER}, {HEADER})
    assert PASSWORD not in done.output
    assert HEADER.removeprefix("Basic ") not in done.output
    rebased = locked.one("rebaser", locked.name("app"), CNB_REGISTRY_AUTH=auth)
    assert rebased.code == 0, rebased.output


@pytest.mark.requirement("PLAT-AUTH-001")
def test_a_bearer_token_is_sent_as_it_is(locked, proxy):
    locked.one("analyzer", locked.name("app"), CNB_REGISTRY_AUTH=json.dumps({proxy.host: "Bearer some.token"}))
    headers = {each.headers.get("Authorization") for each in proxy.requests(".*", "/v2/")}
    assert "Bearer some.token" in headers <= {None, "Bearer some.token"}


@pytest.mark.requirement("PLAT-AUTH-001", "PLAT-AUTH-002")
def test_without_credentials_or_with_wrong_ones_a_phase_fails_and_says_where(locked, proxy):
    wrong = HEADER.replace("Basic ", "Basic eA")
    for variables in ({}, {"CNB_REGISTRY_AUTH": json.dumps({proxy.host: wrong})}):
        done = locked.one("analyzer", locked.name("app"), **variables)
        assert done.code in {1, 3, 32}
        assert proxy.host in done.errors[-1]
        assert not (locked.place.layers / "analyzed.toml").exists()


def entry():
    return {"auth": HEADER.removeprefix("Basic ")}


@pytest.mark.requirement("PLAT-AUTH-002", "PLAT-AUTH-003")
@pytest.mark.parametrize("place_of_it", ["HOME", "DOCKER_CONFIG"])
def test_dockers_config_json_is_used_without_cnb_registry_auth(locked, proxy, place_of_it):
    directory = ".docker/" if place_of_it == "HOME" else ""
    locked.place.write(f"home/{directory}config.json", json.dumps({"auths": {proxy.host: entry()}}))
    locked.five(**{place_of_it: str(locked.place.root / "home")})
    assert sent(proxy) == ({HEADER}, {HEADER})


@pytest.mark.requirement("PLAT-AUTH-003")
def test_docker_config_takes_the_place_of_the_home_directory(locked, proxy):
    locked.place.write("home/.docker/config.json", json.dumps({"auths": {proxy.host: entry()}}))
    locked.place.write("other/config.json", "{}")
    variables = {"HOME": str(locked.place.root / "home"), "DOCKER_CONFIG": str(locked.place.root / "other")}
    assert locked.one("analyzer", locked.name("app"), **variables).code != 0


@pytest.mark.requirement("PLAT-AUTH-003")
@pytest.mark.parametrize("one_registry", [True, False], ids=["credHelpers", "credsStore"])
def test_a_credential_helper_of_config_json_is_asked(locked, proxy, one_registry):
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    locked.place.write("bin/docker-credential-mine", f"#!/bin/sh\ncat > \"$HOME/asked\"\necho '{answer}'\n")
    chosen = {"credHelpers": {proxy.host: "mine"}} if one_registry else {"credsStore": "mine"}
    locked.place.write("home/.docker/config.json", json.dumps(chosen))
    variables = {"HOME": str(locked.place.root / "home"), "PATH": f"{locked.place.root}/bin:/usr/bin:/bin"}
    done = locked.one("analyzer", locked.name("app"), **variables)
    assert done.code == 0, done.output
    assert (locked.place.root / "home/asked").read_text().strip() == proxy.host
    assert sent(proxy)[0] == {HEADER}


@pytest.mark.requirement("PLAT-AUTH-004")
@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"])
def test_podmans_auth_json_is_used_too(locked, proxy, variable):
    path = locked.place.write("home/containers/auth.json", json.dumps({"auths": {proxy.host: entry()}}))
    value = path if variable == "REGISTRY_AUTH_FILE" else path.parents[1]
    done = locked.one("analyzer", locked.name("app"), **{variable: str(value)})
    assert done.code == 0, done.output
    assert sent(proxy)[0] == {HEADER}


@pytest.mark.requirement("PLAT-AUTH-005")
@pytest.mark.parametrize("variables", [{}, {"CNB_REGISTRY_AUTH": json.dumps({"other.example": HEADER})}])
def test_without_matching_credentials_access_is_anonymous(builds, fault_proxy, registry, variables):
    proxy = fault_proxy(registry.host)
    builds.place.write("run.toml", f'[[images]]\nimage = "{builds.name("run").replace(registry.host, proxy.host)}"\n')
    done = builds.one("creator", builds.name("app").replace(registry.host, proxy.host), **variables)
    assert done.code == 0, done.output
    assert sent(proxy) == ({None}, {None})
    locked = {"CNB_REGISTRY_AUTH": json.dumps({proxy.host: HEADER})}
    assert builds.one("analyzer", builds.name("app").replace(registry.host, proxy.host), **locked).code == 0


@pytest.mark.requirement("PLAT-AUTH-005")
def test_anonymous_access_asks_for_a_token_where_the_registry_wants_one(place, token_registry):
    store = RegistryStore(client_of(token_registry), platform=ImagePlatform())
    built = Builds(place, store, f"{token_registry.host}/public/auth-{next(_NUMBERS)}")
    token_registry.token_server.token_requests.clear()
    done = built.one("analyzer", built.name("app"))
    assert done.code != 0, "everybody may read there, but not write"
    requests = token_registry.token_server.token_requests
    assert {each.user for each in requests} == {""}
    assert "Authorization" not in {name for each in requests for name in each.headers}
    auth = json.dumps(
        {
            token_registry.host: "Basic "
            + base64.b64encode(f"{token_registry.username}:{token_registry.password}".encode()).decode()
        }
    )
    assert built.one("analyzer", built.name("app"), CNB_REGISTRY_AUTH=auth).code == 0


@pytest.mark.requirement("PLAT-ANA-029")
@pytest.mark.parametrize("flag", ["-previous-image", "-cache-image", "-run-image"])
def test_an_image_that_may_not_be_read_fails_the_analysis(builds, proxy, flag):
    locked = f"{proxy.host}/locked/image"
    done = builds.one("analyzer", flag, locked, builds.name("app"))
    assert done.code in {1, 32}
    assert proxy.host in done.errors[-1]
    assert not (builds.place.layers / "analyzed.toml").exists()
    auth = {"CNB_REGISTRY_AUTH": json.dumps({proxy.host: HEADER})}
    allowed = builds.one("analyzer", flag, locked, builds.name("app"), **auth)
    assert (allowed.code == 0) is (flag != "-run-image"), "a previous or cache image need not exist"
