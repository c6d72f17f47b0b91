"""Where credentials come from, and that they stay where they are."""

import base64
import contextlib
import json
import logging
import shutil
import subprocess
import threading
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidInputError
from lifecycle.images.registry.auth_files import AuthFile, read_auth_files
from lifecycle.images.registry.credentials import ANONYMOUS, Credential, default_keychain, resolved
from lifecycle.images.registry.registry_auth import decode_basic, read_registry_auth

HUB = "index.docker.io"


def basic(username, password):
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def what(credential):
    return credential.username, credential.password, credential.identity_token, credential.registry_token


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def user(home, tmp_path):
    """An environment of its own, with an empty directory as PATH."""
    (tmp_path / "bin").mkdir()
    return {"HOME": str(home), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


def docker_config(home, content):
    path = home / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def helper(tmp_path, name, script):
    path = tmp_path / "bin" / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_who_has_nothing_is_anonymous(user):
    assert default_keychain(user).credential("example.com") == ANONYMOUS
    assert default_keychain({}).credential(HUB).anonymous


# CNB_REGISTRY_AUTH


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Basic {basic('me', 'pa:ss')}", ("me", "pa:ss", "", "")),
        (f"bAsIc   {basic('me', 'pass')} ", ("me", "pass", "", "")),
        (f"Basic {basic('me', 'pass').rstrip('=')}", ("me", "pass", "", "")),
        ("Bearer tok", ("", "", "", "tok")),
        ("BEARER tok", ("", "", "", "tok")),
        ("X-Identity refresh", ("", "", "refresh", "")),
        ("x-identity refresh", ("", "", "refresh", "")),
    ],
)
def test_a_header_is_basic_bearer_or_identity(header, expected):
    found = default_keychain({"CNB_REGISTRY_AUTH": json.dumps({"example.com": header})}).credential("example.com")
    assert what(found) == expected
    assert found.source == "CNB_REGISTRY_AUTH"


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("http://example.com:5000/v2/", "example.com:5000"),
        ("example.com/team/app", "example.com"),
        ("https://index.docker.io/v1/", HUB),
    ],
)
def test_keys_lose_scheme_and_path(key, registry):
    keychain = default_keychain({"CNB_REGISTRY_AUTH": json.dumps({key: "Bearer tok"})})
    assert keychain.credential(registry).registry_token == "tok"
    assert keychain.credential(f"other.{registry}").anonymous


def test_docker_hub_by_another_name_matches_nothing_and_is_a_warning(caplog):
    keychain = default_keychain({"CNB_REGISTRY_AUTH": '{"docker.io": "Bearer tok"}'})
    assert keychain.credential(HUB).anonymous
    assert "write index.docker.io" in caplog.text


@pytest.mark.parametrize("text", ["", " ", "{}", "null"])
def test_an_empty_variable_is_no_credential(text):
    assert default_keychain({"CNB_REGISTRY_AUTH": text}).credential("example.com").anonymous


@pytest.mark.parametrize("text", ["[" * 100_000, "{'a': 's3cret'}", '"s3cret"', '["s3cret"]', '{"a": {"s3cret": 1}}'])
def test_a_variable_that_is_no_object_of_strings_is_refused_without_showing_it(text):
    with pytest.raises(InvalidInputError) as caught:
        default_keychain({"CNB_REGISTRY_AUTH": text})
    assert str(caught.value).startswith("CNB_REGISTRY_AUTH: ")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("header", ["s3cret", "Basic s3cret!", f"Basic {base64.b64encode(b's3cret').decode()}", "Digest s3cret", "Bearer", "Bearer s3cret\nx", "Bearer s3cret€", ""])  # fmt: skip
def test_a_malformed_header_matters_only_to_its_registry(header):
    keychain = default_keychain({"CNB_REGISTRY_AUTH": json.dumps({"a.com": header, "b.com": "Bearer t"})})
    assert keychain.credential("b.com").registry_token == "t"
    with pytest.raises(InvalidInputError, match=r'"a\.com"') as caught:
        keychain.credential("a.com")
    assert "s3cret" not in str(caught.value)
    assert base64.b64encode(b"s3cret").decode() not in str(caught.value)


@given(st.text())
def test_any_text_in_the_variable_is_read_or_refused(text):
    with contextlib.suppress(InvalidInputError):
        assert all(isinstance(each, str) for each in read_registry_auth(text).values())


@given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))  # fmt: skip
def test_user_and_password_survive_base64(username, password):
    assert decode_basic(basic(username, password)) == (username, password)


@given(st.text())
def test_what_is_no_base64_of_a_pair_is_none(text):
    found = decode_basic(text)
    assert found is None or ":" in base64.b64decode(text + "===").decode()


# Docker's and podman's files


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": basic("me", "pass")}, ("me", "pass", "", "")),
        ({"auth": basic("me", "pass\0\0")}, ("me", "pass", "", "")),
        ({"username": "me", "password": "pass"}, ("me", "pass", "", "")),
        ({"auth": basic("0000", ""), "identitytoken": "refresh"}, ("0000", "", "refresh", "")),
        ({"registrytoken": "ready"}, ("", "", "", "ready")),
        ({"auth": basic("me", "pass"), "email": 5, "unknown": {}}, ("me", "pass", "", "")),
    ],
)
def test_an_entry_of_dockers_file(user, home, entry, expected):
    path = docker_config(home, {"auths": {"example.com": entry}})
    found = default_keychain(user).credential("example.com")
    assert what(found) == expected
    assert found.source == f"auths of {path}"


@pytest.mark.parametrize("token", ["s3cret\nx", "s3cret€"])
def test_a_token_that_no_header_can_hold_is_a_warning_that_does_not_show_it(user, home, caplog, token):
    path = docker_config(home, {"auths": {"example.com": {"registrytoken": token}}})
    assert default_keychain(user).credential("example.com").anonymous
    assert f'{path}: auths."example.com".registrytoken is no token' in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("entry", [{}, {"auth": ""}, {"auth": basic("", "")}, {"email": "a@b"}, None, [], "text"])
def test_an_entry_without_a_secret_is_anonymous(user, home, entry):
    docker_config(home, {"auths": {"example.com": entry}})
    assert default_keychain(user).credential("example.com").anonymous


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io", "https://docker.io"])  # fmt: skip
def test_docker_hub_is_found_under_each_of_its_names(user, home, key):
    docker_config(home, {"auths": {key: {"auth": basic("me", "pass")}}})
    assert default_keychain(user).credential(HUB).password == "pass"


@pytest.mark.parametrize("key", ["example.com:5000", "https://example.com:5000", "http://example.com:5000/v1/", "example.com:5000/team"])  # fmt: skip
def test_keys_with_scheme_or_path_are_found_by_their_host(user, home, key):
    docker_config(home, {"auths": {key: {"auth": basic("me", "pass")}}})
    keychain = default_keychain(user)
    assert keychain.credential("example.com:5000").password == "pass"
    assert keychain.credential("example.com").anonymous


def test_the_host_itself_goes_before_parts_of_it(user, home):
    auths = {"a.com/x/y": {"auth": basic("me", "deep")}, "a.com/x": {"auth": basic("me", "short")}}
    docker_config(home, {"auths": auths})
    assert default_keychain(user).credential("a.com").password == "short"
    docker_config(home, {"auths": {**auths, "a.com": {"auth": basic("me", "whole")}}})
    assert default_keychain(user).credential("a.com").password == "whole"


@pytest.mark.parametrize("content", ["{", "[]", "5", '"s3cret"', '{"auths": "s3cret"}', '{"auths": {"a.com": {"auth": "s3cret!"}}}', "\x00", "[" * 100_000])  # fmt: skip
def test_a_broken_file_is_one_warning_that_names_it_and_shows_nothing_of_it(user, home, caplog, content):
    path = docker_config(home, content)
    assert default_keychain(user).credential("a.com").anonymous
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]
    assert "s3cret" not in caplog.text


def test_every_place_is_looked_into_in_order(tmp_path):
    places = {
        "DOCKER_CONFIG": ("docker", "docker/config.json"),
        "REGISTRY_AUTH_FILE": ("named.json", "named.json"),
        "XDG_RUNTIME_DIR": ("run", "run/containers/auth.json"),
        "XDG_CONFIG_HOME": ("config", "config/containers/auth.json"),
    }
    environment = {name: str(tmp_path / value) for name, (value, _) in places.items()}
    order = []
    for number, (name, (_, file)) in enumerate(places.items()):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        auths = {"all.com": {"auth": basic("me", name)}, f"{number}.com": {"auth": basic("me", name)}}
        path.write_text(json.dumps({"auths": auths}))
        order.append((name, path))
    keychain = default_keychain(environment)
    assert [keychain.credential(f"{number}.com").password for number in range(4)] == list(places)
    for name, path in order:
        assert default_keychain(environment).credential("all.com").password == name
        path.unlink()
    assert default_keychain(environment).credential("all.com").anonymous


def test_docker_config_replaces_the_directory_in_the_home(user, home, tmp_path):
    docker_config(home, {"auths": {"example.com": {"auth": basic("me", "pass")}}})
    assert default_keychain({**user, "DOCKER_CONFIG": str(tmp_path)}).credential("example.com").anonymous


def test_podmans_file_in_the_home_is_found(user, home):
    path = home / ".config" / "containers" / "auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"auths": {"docker.io": {"auth": basic("me", "pass")}}}))
    assert default_keychain(user).credential(HUB).source == f"auths of {path}"


def test_the_variable_goes_before_the_files(user, home):
    docker_config(home, {"auths": {"a.com": {"auth": basic("me", "file")}, "b.com": {"auth": basic("me", "file")}}})
    keychain = default_keychain(
        {**user, "CNB_REGISTRY_AUTH": json.dumps({"a.com": f"Basic {basic('me', 'variable')}"})}
    )
    assert keychain.credential("a.com").password == "variable"
    assert keychain.credential("b.com").password == "file"


def test_an_anonymous_header_lets_the_files_speak(user, home):
    docker_config(home, {"auths": {"a.com": {"auth": basic("me", "file")}}})
    keychain = default_keychain({**user, "CNB_REGISTRY_AUTH": json.dumps({"a.com": f"Basic {basic('', '')}"})})
    assert keychain.credential("a.com").password == "file"


@pytest.mark.parametrize("program", ["skopeo", "podman"])
def test_what_a_real_login_writes_is_understood(program, tls_registry, tmp_path):
    executable = shutil.which(program)
    if executable is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    (authorities / "ca.crt").write_bytes(tls_registry.ca_file.read_bytes())
    path = tmp_path / "auth.json"
    done = subprocess.run(
        [executable, "login", "--authfile", path, "--cert-dir", authorities,
         "--username", tls_registry.username, "--password-stdin", tls_registry.host],
        input=tls_registry.password.encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = default_keychain({"REGISTRY_AUTH_FILE": str(path)}).credential(tls_registry.host)
    assert what(found) == (tls_registry.username, tls_registry.password, "", "")


# Helpers, as real processes


def test_a_helper_of_one_host_goes_before_the_store_and_the_entries(user, home, tmp_path):
    helper(tmp_path, "one", """cat >/dev/null; echo '{"Username": "me", "Secret": "one"}'""")
    helper(tmp_path, "store", """cat >/dev/null; echo '{"Username": "me", "Secret": "store"}'""")
    config = {"credHelpers": {"a.com": "one"}, "credsStore": "store", "auths": {"a.com": {}, "b.com": {}}}
    path = docker_config(home, config)
    keychain = default_keychain(user)
    assert keychain.credential("a.com").password == "one"
    assert keychain.credential("b.com").password == "store"
    assert keychain.credential("b.com").source == f"docker-credential-store, credsStore of {path}"


def test_what_the_store_lacks_may_be_in_the_file(user, home, tmp_path):
    helper(tmp_path, "store", "cat >/dev/null; echo credentials not found in native keychain; exit 1")
    docker_config(home, {"credsStore": "store", "auths": {"a.com": {"auth": basic("me", "file")}}})
    assert default_keychain(user).credential("a.com").password == "file"


@pytest.mark.parametrize("asked", ["https://index.docker.io/v1/", "docker.io"])
@pytest.mark.parametrize("config", [{"credsStore": "store"}, {"credHelpers": {"docker.io": "store"}}, {"credHelpers": {"https://index.docker.io/v1/": "store"}}])  # fmt: skip
def test_docker_hub_in_a_store_under_dockers_or_podmans_name(user, home, tmp_path, asked, config):
    script = f"""
    if [ "$(cat)" = {asked} ]; then echo '{{"Username": "me", "Secret": "pass"}}'
    else echo credentials not found in native keychain; exit 1; fi"""
    helper(tmp_path, "store", script)
    docker_config(home, config)
    assert default_keychain(user).credential(HUB).password == "pass"


def test_a_helper_is_asked_once_for_each_registry_by_however_many_threads(user, home, tmp_path):
    asked = tmp_path / "asked"
    helper(tmp_path, "store", f"""cat >>{asked}; echo >>{asked}; echo '{{"Username": "me", "Secret": "pass"}}'""")
    docker_config(home, {"credsStore": "store"})
    keychain = default_keychain(user)
    found = []
    threads = [
        threading.Thread(target=lambda host=host: found.append(keychain.credential(host).password))
        for host in ("a.com", "b.com") * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["pass"] * 8
    assert sorted(asked.read_text().split()) == ["a.com", "b.com"]


ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("registry", "name", "skip"),
    [
        (ECR, "ecr-login", "CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON"),
        (f"{ECR}.cn", "ecr-login", "CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON"),
        (
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "ecr-login",
            "CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON",
        ),
        ("team.azurecr.io", "acr-env", "CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE"),
    ],
)
def test_registries_of_clouds_ask_an_installed_helper_unless_switched_off(user, tmp_path, registry, name, skip):
    assert default_keychain(user).credential(registry).anonymous
    helper(tmp_path, name, """cat >/dev/null; echo '{"Username": "AWS", "Secret": "cloud"}'""")
    assert default_keychain(user).credential(registry).password == "cloud"
    assert default_keychain({**user, skip: "true"}).credential(registry).anonymous


@pytest.mark.parametrize(
    "registry", [f"{ECR}.evil.com", f"evil{ECR}", "azurecr.io.evil.com", "evilazurecr.io", "example.com"]
)
def test_other_registries_do_not_ask_the_helpers_of_clouds(user, tmp_path, registry):
    for name in ("ecr-login", "acr-env"):
        helper(tmp_path, name, """cat >/dev/null; echo '{"Username": "AWS", "Secret": "cloud"}'""")
    assert default_keychain(user).credential(registry).anonymous


# Fixed credentials, and secrecy


def test_resolved_credentials_are_fixed_and_all_others_anonymous(user, home):
    path = docker_config(home, {"auths": {host: {"auth": basic("me", host)} for host in ("a.com", "b.com", "c.com")}})
    fixed = resolved(default_keychain(user), ["a.com", "b.com", "a.com", "none.com"])
    path.unlink()
    assert [fixed.credential(host).password for host in ("a.com", "b.com")] == ["a.com", "b.com"]
    assert fixed.credential("c.com").anonymous
    assert fixed.credential("none.com").anonymous


def test_no_representation_shows_a_secret(user, home):
    docker_config(home, {"auths": {"a.com": {"auth": basic("s3cret", "s3cret"), "identitytoken": "s3cret"}}})
    keychain = default_keychain({**user, "CNB_REGISTRY_AUTH": '{"b.com": "Bearer s3cret"}'})
    (file,) = read_auth_files(user)
    shown = [
        keychain.credential("a.com"), keychain.credential("b.com"), keychain, resolved(keychain, ["a.com"]), file,
        Credential("s3cret", "s3cret", "s3cret", "s3cret", "somewhere"),
    ]  # fmt: skip
    assert isinstance(file, AuthFile)
    for each in shown:
        assert "s3cret" not in f"{each!r} {each}"
        assert basic("s3cret", "s3cret") not in repr(each)


@pytest.mark.parametrize(
    "script",
    [
        "cat >/dev/null; echo s3cret; echo s3cret >&2; exit 3",
        "cat >/dev/null; echo s3cret; kill -9 $$",
        "cat >/dev/null; echo s3cret",
        """cat >/dev/null; echo '{"Username": "s3cret"}'""",
        """cat >/dev/null; echo '{"Username": "s3cret", "Secret": 5}'""",
        "exec 0<&-; echo s3cret >&2; exit 1",
    ],
)
def test_no_failure_of_a_helper_shows_a_secret_and_the_file_still_speaks(user, home, tmp_path, caplog, script):
    caplog.set_level(logging.DEBUG)
    helper(tmp_path, "store", script)
    auths = {"a.com": {"auth": basic("me", "file-s3cret")}}
    docker_config(home, {"credsStore": "store", "auths": auths})
    keychain = default_keychain({**user, "CNB_REGISTRY_AUTH": '{"b.com": "Bearer s3cret"}'})
    assert keychain.credential("a.com").password == "file-s3cret"
    assert "docker-credential-store" in caplog.text
    assert "s3cret" not in caplog.text
