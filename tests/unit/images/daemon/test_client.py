"""How a daemon is found, and what is said where there is none."""

import os
import shutil
import socket

import pytest

from lifecycle.errors import DaemonError
from lifecycle.images.daemon.client import connect
from parts.tls import CertificateAuthority


def refused(environment):
    with pytest.raises(DaemonError) as caught:
        connect(environment)
    return str(caught.value)


def test_a_socket_that_is_missing_is_told(tmp_path):
    host = f"unix://{tmp_path}/none.sock"
    assert refused({"DOCKER_HOST": host}) == (
        f"{host}: no container daemon can be reached there: No such file or directory; "
        "start the daemon, or say in DOCKER_HOST where it is"
    )


def test_a_socket_that_nobody_serves_is_told(tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
    assert "Connection refused; start the daemon" in refused({"DOCKER_HOST": f"unix://{path}"})


def test_a_port_that_nobody_serves_is_told():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{tcp.getsockname()[1]}"
    assert f"{host}: no container daemon can be reached there: Connection refused" in refused({"DOCKER_HOST": host})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket; run as another user to see it refused")
def test_a_socket_of_another_user_is_told(tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        path.chmod(0)
        assert "may not be used by this user" in refused({"DOCKER_HOST": f"unix://{path}"})


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("ssh://me@there", "ssh is not supported; forward the socket with 'ssh -N -L"),
        ("tcp://", "is not the address of a daemon; write it as unix:///path/of/docker.sock or tcp://host:port"),
        ("gopher://x", "is not the address of a daemon"),
        ("tcp://a..b:2375", "is not the address of a daemon"),
        ("tcp://localhost:99999", "is not the address of a daemon"),
    ],
)
def test_an_address_that_can_not_be_used_is_told(host, problem):
    assert refused({"DOCKER_HOST": host}).startswith(f"DOCKER_HOST={host}: {problem}")


def test_a_password_in_the_address_is_not_shown():
    said = refused({"DOCKER_HOST": "tcp://bob:s3cret@127.0.0.1:1"})
    assert said.startswith("DOCKER_HOST=tcp://127.0.0.1:1: ")


def test_podmans_service_is_recommended_where_only_it_listens(tmp_path):
    if os.path.exists("/var/run/docker.sock"):  # noqa: PTH110
        pytest.skip("this host has a Docker daemon at its usual place")
    path = tmp_path / "podman/podman.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
    assert refused({"XDG_RUNTIME_DIR": str(tmp_path)}).endswith(f"for podman's service set DOCKER_HOST=unix://{path}")


def test_missing_tls_files_are_told(tmp_path):
    environment = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "HOME": str(tmp_path)}
    assert refused(environment) == (
        f"{tmp_path}/.docker: lacks the files for TLS; put ca.pem, cert.pem and key.pem there, or set DOCKER_CERT_PATH"
    )


def test_the_version_of_the_daemon_is_used(fake):
    fake.answers["/images/x/json"] = (200, {"Id": "sha256:1"})
    assert connect(fake.environment).inspect("x") == {"Id": "sha256:1"}
    assert fake.seen[-1] == ("GET", "/v1.50/images/x/json")


def test_an_image_may_have_no_history(fake):
    """Docker before 29 says so with an empty list, later ones with null."""
    fake.answers["/images/x/history"] = (200, None)
    assert list(connect(fake.environment).history("x")) == []


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>"), (200, {"hello": "world"}), (500, {"message": "out of order"}), (200, {"ApiVersion": "1.2"})],
)
def test_a_server_that_is_no_daemon_is_told(fake, answer):
    fake.answers["/version"] = answer
    assert fake.environment["DOCKER_HOST"] in refused(fake.environment)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"errorDetail": {"message": "no space left"}, "error": "no space left"}),
        (200, b'{"stream":"Loading"}\r\n{"error":"no space left"}\r\n'),
        (200, {"stream": "Error unpacking image app:latest: no space left\n"}),
        (500, {"message": "no space left"}),
        (507, {"message": "no space left"}),
    ],
)
def test_the_answer_to_a_load_is_read_to_its_end(fake, answer):
    fake.answers["/images/load"] = answer
    with pytest.raises(DaemonError, match="no space left"):
        connect(fake.environment).load(iter([b"x"]))


def test_an_answer_that_breaks_off_is_told(fake):
    fake.answers["/images/load"] = (200, b'{"stream":"Load')
    with pytest.raises(DaemonError, match="does not answer as a container daemon does"):
        connect(fake.environment).load(iter([b"x"]))


def test_a_refusal_without_words_is_told(fake):
    fake.answers["/images/x/json"] = (500, {})
    with pytest.raises(DaemonError, match="does not answer as a container daemon does"):
        connect(fake.environment).inspect("x")


def test_what_the_daemon_refuses_is_told_in_its_words(fake):
    fake.answers["/images/x/json"] = (400, {"message": "invalid reference format"})
    with pytest.raises(DaemonError, match="refused: invalid reference format"):
        connect(fake.environment).inspect("x")


@pytest.fixture
def certificates(tmp_path, authority):
    """A directory as DOCKER_CERT_PATH names it."""
    directory = tmp_path / "certificates"
    directory.mkdir()
    pair = authority.client()
    for source, name in ((authority.ca_file, "ca.pem"), (pair.certificate, "cert.pem"), (pair.key, "key.pem")):
        shutil.copy(source, directory / name)
    return directory


def test_a_daemon_behind_tls_gets_a_certificate_and_shows_one(
    fake, tmp_path, authority, server_certificate, certificates
):
    context = server_certificate.server_context(client_authority=authority.ca_file)
    fake.socket = context.wrap_socket(fake.socket, server_side=True)
    fake.answers["/images/x/json"] = (200, {"Id": "sha256:1"})
    environment = {**fake.environment, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    assert connect(environment).inspect("x") == {"Id": "sha256:1"}
    assert fake.environment["DOCKER_HOST"] in refused(fake.environment)
    shutil.copy(CertificateAuthority.create(tmp_path / "other").ca_file, certificates / "ca.pem")
    assert "certificate verify failed" in refused(environment)
