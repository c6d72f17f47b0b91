"""HTTP/1.1 servers in threads on loopback that remember what they were asked."""

import contextlib
import fcntl
import re
import socket
import ssl
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

CHUNK = 64 * 1024
_DELIVERS_WITHIN = 20.0
"""Seconds that a client may take to read what was sent before a reset."""
_WITHOUT_BODY = {204, 304}


@dataclass
class SeenRequest:
    """One request as it arrived; the counts grow while it is served, and tell what there was when it broke off."""

    method: str
    path: str
    headers: Message = field(repr=False)
    body_bytes: int = 0
    status: int | None = None
    response_bytes: int = 0


class Exchange:
    """A request and the means to answer it."""

    def __init__(self, handler: "_Handler", seen: SeenRequest) -> None:
        self._handler = handler
        self.seen = seen
        self.method = seen.method
        self.path = seen.path
        self.headers = seen.headers
        self.chunked = "chunked" in (seen.headers.get("Transfer-Encoding") or "").lower()
        self._left = 0 if self.chunked else int(seen.headers.get("Content-Length") or 0)
        self._ended = not self.chunked and not self._left
        self._chunks_answer = False

    def body(self) -> Iterator[bytes]:
        """The request's body in pieces of at most `CHUNK` bytes; `ConnectionError` when the client goes away."""
        while not self._ended:
            if not self._left and not self._next_chunk():
                return
            data = self._handler.rfile.read1(min(self._left, CHUNK))
            if not data:
                raise ConnectionResetError(f"{self.method} {self.path}: the client went away")
            self._left -= len(data)
            self._ended = not self.chunked and not self._left
            self.seen.body_bytes += len(data)
            yield data
            if self.chunked and not self._left:
                self._handler.rfile.readline()

    def drain(self) -> None:
        for _ in self.body():
            pass

    def start(self, status: int, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send status and headers; without a Content-Length the body goes out in chunks."""
        self.seen.status = status
        told = list(headers)
        has_body = self.method != "HEAD" and status not in _WITHOUT_BODY
        self._chunks_answer = has_body and all(name.lower() != "content-length" for name, _ in told)
        self._handler.send_response_only(status)
        for name, value in [*told, *([("Transfer-Encoding", "chunked")] if self._chunks_answer else [])]:
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def write(self, data: bytes) -> None:
        if not data:
            return
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self._chunks_answer else data
        self._handler.wfile.write(framed)
        self.seen.response_bytes += len(data)

    def end(self) -> None:
        if self._chunks_answer:
            self._handler.wfile.write(b"0\r\n\r\n")

    def answer(self, status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Take in the rest of the request, then send a whole answer."""
        self.drain()
        self.start(status, [*headers, ("Content-Length", str(len(body)))])
        if self.method != "HEAD":
            self.write(body)

    def hang_up(self) -> None:
        """Close the connection after this exchange as a process that ends normally does (FIN)."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Close the connection after this exchange as a crash or a firewall does (RST)."""
        self._handler.close_connection = True
        self._handler.server.resets.add(self._handler.connection)

    def _next_chunk(self) -> bool:
        line = self._handler.rfile.readline()
        if not line:
            raise ConnectionResetError(f"{self.method} {self.path}: the client went away")
        self._left = int(line.split(b";")[0], 16)
        if self._left:
            return True
        while self._handler.rfile.readline() not in {b"\r\n", b"\n", b""}:
            pass
        self._ended = True
        return False


class LoopbackServer:
    """A server on a port that the kernel chooses; a subclass says in `answer` what it does with a request.

    `log` has every request in order of arrival. Use it as a context manager: leaving it closes all connections, and
    raises what went wrong inside `answer` other than a client that went away.
    """

    address = "127.0.0.1"
    """Where it listens, for tests that need another address of this host."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.log: list[SeenRequest] = []
        self.most_at_once = 0
        """The largest number of requests that were being served at the same time."""
        self.closing = threading.Event()
        self._tls = tls
        self._at_once = 0
        self._lock = threading.Lock()
        self._failures: list[Exception] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    def answer(self, exchange: Exchange) -> None:
        raise NotImplementedError

    @property
    def host(self) -> str:
        return f"{self.address}:{self._port}"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def requests(self, method: str = "", path: str = "") -> list[SeenRequest]:
        """What `log` has of these: `method` is a regular expression for all of it, `path` one to be found in it."""
        return [
            seen
            for seen in list(self.log)
            if (not method or re.fullmatch(method, seen.method)) and re.search(path, seen.path)
        ]

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._stop()
        if self._failures:
            raise ExceptionGroup(f"{type(self).__name__} failed", self._failures)

    @contextlib.contextmanager
    def refusing_connections(self) -> Iterator[None]:
        """Within it nothing listens on the port, and open connections are closed."""
        self._stop()
        try:
            yield
        finally:
            self._listen()

    def serve(self, exchange: Exchange) -> None:
        """Log the request, then `answer` it; for the threads of the server."""
        with self._lock:
            self.log.append(exchange.seen)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.answer(exchange)
        except (ConnectionError, ssl.SSLError):
            exchange.reset()
        except Exception as error:  # noqa: BLE001 - handed on by __exit__
            if not self.closing.is_set():
                self._failures.append(error)
            exchange.reset()
        finally:
            with self._lock:
                self._at_once -= 1

    def _listen(self) -> None:
        self._server = _Server(self, self._port, self._tls)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()
        self._server.disconnect()
        self._server.server_close()
        self._server = self._thread = None


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, owner: LoopbackServer, port: int, tls: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.resets: set[socket.socket] = set()
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__((owner.address, port), _Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        if request in self.resets:
            self.resets.discard(request)
            with contextlib.suppress(OSError):
                self._deliver(request)
                request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def _deliver(self, connection: socket.socket) -> None:
        """Wait until the client's kernel has all that was written, for a reset throws away the rest."""
        until = time.monotonic() + _DELIVERS_WITHIN
        while time.monotonic() < until and not self.owner.closing.is_set():
            if not int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
                return
            time.sleep(0.001)

    def disconnect(self) -> None:
        """End the waiting of all threads for their clients."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: what fails outside an exchange is a client that went away or doesn't trust us."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing; the owner has its log."""

    def _serve(self) -> None:
        exchange = Exchange(self, SeenRequest(self.command, self.path, self.headers))
        self.server.owner.serve(exchange)
        if not exchange._ended:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815
