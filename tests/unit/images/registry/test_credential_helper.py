"""Credential helpers, as small real programs."""

import json

import pytest

from lifecycle.images.registry.credential_helper import ask_helper, find_helper


@pytest.fixture
def helper(tmp_path):
    def write(script, name="keeps", shebang="#!/bin/sh"):
        path = tmp_path / f"docker-credential-{name}"
        path.write_text(f"{shebang}\n{script}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def ask(tmp_path):
    def call(server="example.com", name="keeps", timeout=60.0, **variables):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **variables}
        return ask_helper(name, server, environment, configured_in="credsStore of config.json", timeout=timeout)

    return call


def test_it_is_called_with_get_and_reads_the_server(helper, ask, tmp_path):
    helper(
        f"""echo "$#:$*:$(cat)" >{tmp_path}/called; echo '{{"ServerURL": "x", "Username": "me", "Secret": "p w"}}'"""
    )
    found = ask("example.com:5000")
    assert (found.username, found.password, found.identity_token) == ("me", "p w", "")
    assert found.source == "docker-credential-keeps, credsStore of config.json"
    assert (tmp_path / "called").read_text() == "1:get:example.com:5000\n"


def test_the_user_called_token_has_an_identity_token(helper, ask):
    helper("""cat >/dev/null; echo '{"Username": "<token>", "Secret": "refresh"}'""")
    found = ask()
    assert (found.username, found.password, found.identity_token) == ("", "", "refresh")


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_not_found_is_anonymous_without_a_warning(helper, ask, caplog, stream):
    helper(f"cat >/dev/null; echo 'credentials not found in native keychain' {stream}; exit 1")
    assert ask().anonymous
    assert caplog.records == []


def test_empty_credentials_are_anonymous_without_a_warning(helper, ask, caplog):
    helper("""cat >/dev/null; echo '{"Username": "", "Secret": ""}'""")
    assert ask().anonymous
    assert caplog.records == []


def test_it_gets_the_environment_without_our_own_credentials(helper, ask, tmp_path):
    helper(f"""cat >/dev/null; env >{tmp_path}/env; echo '{{"Username": "me", "Secret": "pass"}}'""")
    ask(AWS_PROFILE="work", CNB_REGISTRY_AUTH='{"a": "Bearer s3cret"}')
    lines = (tmp_path / "env").read_text().splitlines()
    assert "AWS_PROFILE=work" in lines
    assert not any("s3cret" in line or line.startswith("CNB_REGISTRY_AUTH=") for line in lines)


def test_a_program_that_is_not_there_is_a_warning_with_its_name(ask, caplog):
    assert ask(name="gone").anonymous
    assert "docker-credential-gone is not on PATH" in caplog.text
    assert "credsStore of config.json" in caplog.text


def test_a_program_that_cannot_start_is_a_warning(helper, ask, caplog):
    helper("", shebang="#!/not/there")
    assert ask().anonymous
    assert "can't be started" in caplog.text


def test_a_program_that_hangs_is_given_up_together_with_what_it_started(helper, ask, caplog):
    helper("cat >/dev/null; echo s3cret; sleep 600")
    assert ask(timeout=0.3).anonymous
    assert "did not answer within 0.3 seconds" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_program_that_does_not_read_the_server_can_still_answer(helper, ask):
    helper("""echo '{"Username": "me", "Secret": "pass"}'""")
    assert ask("x" * 200_000).password == "pass"


def test_a_large_answer_does_not_block(helper, ask):
    helper(
        f"""cat >/dev/null; printf '%0200000d' 0 >&2; echo '{json.dumps({"Username": "me", "Secret": "s" * 100_000})}'"""
    )
    assert len(ask().password) == 100_000


@pytest.mark.parametrize("name", ["", "a/b", "../keeps", "/bin/sh"])
def test_a_name_is_no_path(helper, ask, name, tmp_path):
    helper("""cat >/dev/null; echo '{"Username": "me", "Secret": "pass"}'""")
    assert find_helper(name, {"PATH": str(tmp_path)}) is None
    assert ask(name=name).anonymous
