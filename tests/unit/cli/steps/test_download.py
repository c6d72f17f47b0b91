"""Files that Dockerfiles fetch arrive whole or not at all."""

import hashlib

import pytest

from lifecycle.cli.steps.download import Downloader
from lifecycle.errors import ExtendError
from parts.http_server import LoopbackServer

CONTENT = b"content" * 100_000


class Files(LoopbackServer):
    def answer(self, exchange):
        match exchange.path:
            case "/file":
                exchange.answer(200, CONTENT)
            case "/chunks":
                exchange.start(200)
                exchange.write(CONTENT)
                exchange.end()
            case "/moved":
                exchange.answer(302, headers=[("Location", "/file")])
            case "/elsewhere":
                exchange.answer(302, headers=[("Location", "file:///etc/passwd")])
            case "/ftp":
                exchange.answer(302, headers=[("Location", "ftp://127.0.0.1/x")])
            case "/short" | "/short-chunks":
                exchange.start(200, [("Content-Length", "9999")] if exchange.path == "/short" else [])
                exchange.write(b"content")
                exchange.hang_up()
            case _:
                exchange.answer(404)


@pytest.fixture
def server():
    with Files() as server:
        yield server


@pytest.mark.parametrize("path", ["/file", "/chunks", "/moved"])
def test_the_file_is_written_and_its_digest_told(server, tmp_path, path):
    digest = Downloader({})(server.url + path, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT
    assert digest == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/none", "the answer is 404"),
        ("/short", "it ended after 7 of 9999 bytes"),
        ("/short-chunks", "IncompleteRead"),
        ("/elsewhere", "redirection to url 'file:///etc/passwd' is not allowed|the answer is 302"),
        ("/ftp", "unknown url type: ftp"),
        ("/file", "it has more than 1000 bytes"),
    ],
)
def test_what_goes_wrong_is_told(server, tmp_path, path, problem):
    with pytest.raises(ExtendError, match=problem):
        Downloader({}, max_size=1000)(server.url + path, tmp_path / "target")


def test_a_server_that_is_not_there_is_told(server, tmp_path):
    with server.refusing_connections(), pytest.raises(ExtendError, match="refused"):
        Downloader({})(f"{server.url}/file", tmp_path / "target")
