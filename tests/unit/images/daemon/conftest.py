"""Daemons as stores of images: real ones, and one that answers as a test wants it."""

import http.server
import itertools
import json
import os
import threading

import pytest

from lifecycle.images.daemon.store import DaemonStore

NUMBERS = itertools.count()


@pytest.fixture(params=["dockerd", "podman", "containerd"])
def daemon(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(daemon):
    return DaemonStore(daemon.client)


@pytest.fixture
def name():
    """Make names that no other test uses."""
    number = f"{os.getpid()}-{next(NUMBERS)}"
    return lambda text: f"test-{number}/{text}:1"


class Answers(http.server.BaseHTTPRequestHandler):
    """The few endpoints of a daemon whose answers a test chooses, by the end of the path; a list is used up."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.bodies.append(b"".join(self._body()))
        self._answer()

    def do_POST(self):
        self.do_GET()

    def do_DELETE(self):
        self.do_GET()

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline() or b"0", 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

    def _answer(self):
        path = self.path.partition("?")[0]
        self.server.seen.append((self.command, path))
        answer = next(
            (value for end, value in self.server.answers.items() if path.endswith(end)),
            (404, {"message": "No such image"}),
        )
        status, body = answer.pop(0) if isinstance(answer, list) else answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 200 and "/load" in path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class FakeDaemon(http.server.ThreadingHTTPServer):
    """A daemon on loopback that gives the answers it is told to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.answers = {"/version": (200, {"ApiVersion": "1.50"})}
        self.seen = []
        self.bodies = []

    @property
    def environment(self):
        return {"DOCKER_HOST": f"tcp://127.0.0.1:{self.server_address[1]}"}


@pytest.fixture
def fake():
    with FakeDaemon() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
