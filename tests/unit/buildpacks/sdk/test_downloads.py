"""Downloads from a server that is not always well."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
import warnings

import pytest

import cnb_buildpack as bp

CONTENT = b"contents" * 40_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Answers each request as the first of ``answers`` says; the last one stays."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = ["whole"]
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.headers)
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        if isinstance(answer, int):
            self.send_response(answer)
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = b"other bytes" if answer == "other" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if answer == "cut" else body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def running():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    running.answers, running.asked = ["whole"], []
    return running


def test_a_download_appears_whole_and_alone(server, tmp_path):
    path = bp.fetch(server.url, tmp_path / "new" / "file", sha256=f"sha256:{DIGEST.upper()}")
    assert path.read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_a_file_with_the_right_digest_is_not_downloaded_again(server, tmp_path):
    for _ in range(2):
        bp.fetch(server.url, tmp_path / "file", sha256=DIGEST)
    assert len(server.asked) == 1


def test_other_bytes_are_an_error_at_once_and_no_file(server, tmp_path):
    server.answers = ["other"]
    with pytest.raises(bp.DownloadError, match=rf"/file has SHA-256 [0-9a-f]{{64}}, not {DIGEST}; do not use it"):
        bp.fetch(server.url, tmp_path / "file", sha256=DIGEST)
    assert (list(tmp_path.iterdir()), len(server.asked)) == ([], 1)


def test_lock_files_with_longer_digests_are_believed_too(server, tmp_path):
    digest = hashlib.sha512(CONTENT).hexdigest()
    assert bp.fetch(server.url, tmp_path / "file", sha512=digest).read_bytes() == CONTENT
    with pytest.raises(bp.DownloadError, match="has SHA-512"):
        bp.fetch(server.url, tmp_path / "other", sha512="0" * 128)


@pytest.mark.parametrize("digests", [{}, {"sha256": DIGEST, "sha512": DIGEST}])
def test_one_digest_is_needed(tmp_path, digests):
    with pytest.raises(ValueError, match="either sha256 or sha512"):
        bp.fetch("http://127.0.0.1/", tmp_path / "file", **digests)


def test_failures_that_may_pass_are_tried_again_after_the_wait_that_the_server_asks_for(server, tmp_path, capsys):
    server.answers = [503, "cut", 429, "whole"]
    waits = []
    bp.fetch(server.url, tmp_path / "file", sha256=DIGEST, wait=waits.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert waits == [7.0, 2.0, 7.0]
    assert capsys.readouterr().out.count("trying again") == 3


@pytest.mark.parametrize(
    ("status", "asked", "advice"),
    [(404, 1, "check the URL"), (403, 1, "give the build the credentials"), (500, 3, "build again later")],
)
def test_failures_that_stay_end_in_advice(server, tmp_path, status, asked, advice):
    server.answers = [status]
    with pytest.raises(bp.DownloadError, match=f"the server answers {status} .*; {advice}"):
        bp.fetch(server.url, tmp_path / "file", sha256=DIGEST, attempts=3, wait=lambda _: None)
    assert (len(server.asked), list(tmp_path.iterdir())) == (asked, [])


def test_credentials_of_a_url_are_used_and_not_shown(server, tmp_path, capsys):
    server.answers = [503, 404]
    url = server.url.replace("//", "//me:hunter%402@") + "?token=hunter2"
    with pytest.raises(bp.DownloadError) as raised:
        bp.fetch(url, tmp_path / "file", sha256=DIGEST, wait=lambda _: None)
    assert base64.b64decode(server.asked[0]["Authorization"].removeprefix("Basic ")) == b"me:hunter@2"
    assert "hunter" not in str(raised.value) + capsys.readouterr().out


def test_nobody_there_is_an_error_that_names_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as gone:
        url = gone.url
    with pytest.raises(
        bp.DownloadError, match=r"Connection refused.*; check the network, HTTPS_PROXY and SSL_CERT_FILE"
    ):
        bp.fetch(url, tmp_path / "file", sha256=DIGEST, attempts=1)


def test_files_of_this_host_can_be_fetched(tmp_path):
    (tmp_path / "source").write_bytes(CONTENT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.fetch((tmp_path / "source").as_uri(), tmp_path / "file", sha256=DIGEST)
    assert (tmp_path / "file").read_bytes() == CONTENT
