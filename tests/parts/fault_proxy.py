"""A proxy in front of a registry that fails as it is told to, and a file server for redirects."""

import contextlib
import http.client
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parts.http_server import CHUNK, Exchange, LoopbackServer

_HOP_BY_HOP = {
    "connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Status:
    """Answer with this status; the registry never sees the request. `message` goes into the registry's JSON error."""

    status: int
    retry_after: int | str | None = None
    message: str = "the fault proxy says so"


@dataclass(frozen=True)
class Delay:
    """Wait these seconds, then pass the request on."""

    seconds: float


@dataclass(frozen=True)
class CutRequest:
    """Pass on this many bytes of the request's body, then reset the connection to the client."""

    after: int = 0


@dataclass(frozen=True)
class LoseAnswer:
    """Let the registry do all of the request, then reset the connection without an answer."""


@dataclass(frozen=True)
class CutResponse:
    """Send this many bytes of the response's body, then reset the connection."""

    after: int = 0


@dataclass(frozen=True)
class Stall:
    """Send this many bytes of the response's body, wait these seconds, then go on."""

    after: int
    seconds: float


@dataclass(frozen=True)
class Truncate:
    """End the body after this many bytes with an orderly close, while Content-Length tells the whole length."""

    to: int


@dataclass(frozen=True)
class Shorten:
    """End the body after this many bytes, with a Content-Length that agrees."""

    to: int


@dataclass(frozen=True)
class FlipByte:
    """Change the byte of the response's body at this offset."""

    at: int = 0


@dataclass(frozen=True)
class Redirect:
    """Send the client to the same path of another server ("http://127.0.0.1:PORT")."""

    to: str
    status: int = 307


Action = Status | Delay | CutRequest | LoseAnswer | CutResponse | Stall | Truncate | Shorten | FlipByte | Redirect


@dataclass
class Fault:
    """What happens to requests that match, how often, and how often it happened."""

    action: Action
    method: str
    path: str
    times: int | None
    after: int
    happened: int = 0
    passed: int = field(default=0, repr=False)

    def takes(self, method: str, path: str) -> bool:
        """Say whether this request is struck, and count it."""
        if not (re.fullmatch(self.method, method) and re.search(self.path, path)):
            return False
        if self.times is not None and self.happened >= self.times:
            return False
        if self.passed < self.after:
            self.passed += 1
            return False
        self.happened += 1
        return True


class FaultProxy(LoopbackServer):
    """Stands in front of the server at `target` ("127.0.0.1:PORT") and passes on all that no fault takes.

    The Host header passes unchanged, so that the registry's Location headers lead through the proxy again.
    `tls` makes it speak TLS to clients, `target_tls` to the target.
    `username` and `password` are the target's, for those who use the proxy in its place.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: ssl.SSLContext | None = None,
        target_tls: ssl.SSLContext | None = None,
        ca_file: Path | None = None,
        username: str = "",
        password: str = "",
    ) -> None:
        super().__init__(tls=tls)
        self.target = target
        self.ca_file = ca_file
        self.client_cert: tuple[Path, Path] | None = None
        self.username = username
        self.password = password
        self._target_tls = target_tls
        self._timeout: float | None = _TIMEOUT
        self._faults: list[Fault] = []
        self._faults_lock = threading.Lock()

    def fault(
        self, action: Action, *, method: str = ".*", path: str = "", times: int | None = 1, after: int = 0
    ) -> Fault:
        """Let `action` happen to the next `times` (None: all) matching requests after the first `after` of them.

        `method` is a regular expression for the whole method, `path` one to be found in path and query. Of several
        faults the one added first takes a request.
        """
        added = Fault(action, method, path, times, after)
        with self._faults_lock:
            self._faults.append(added)
        return added

    def clear(self) -> None:
        """Forget all faults and the log."""
        with self._faults_lock:
            self._faults.clear()
        self.log.clear()
        self.most_at_once = 0

    def answer(self, exchange: Exchange) -> None:
        with self._faults_lock:
            fault = next((each for each in self._faults if each.takes(exchange.method, exchange.path)), None)
        match fault.action if fault else None:
            case Status(status, retry_after, message):
                wait = [] if retry_after is None else [("Retry-After", str(retry_after))]
                body = b'{"errors":[{"code":"%b","message":"%b"}]}' % (_code(status), message.encode())
                exchange.answer(status, body, [("Content-Type", "application/json"), *wait])
            case Redirect(to, status):
                exchange.answer(status, headers=[("Location", f"{to}{exchange.path}")])
            case Delay(seconds):
                self.closing.wait(seconds)
                self._pass_on(exchange, None)
            case action:
                self._pass_on(exchange, action)

    def _pass_on(self, exchange: Exchange, action: Action | None) -> None:
        if self._target_tls is None:
            connection = http.client.HTTPConnection(self.target, timeout=self._timeout)
        else:
            connection = http.client.HTTPSConnection(self.target, timeout=self._timeout, context=self._target_tls)
        with contextlib.closing(connection):
            try:
                if not self._send(connection, exchange, action):
                    exchange.reset()
                    return
                with connection.getresponse() as response:
                    if isinstance(action, LoseAnswer):
                        response.read()
                        exchange.reset()
                    else:
                        _give_back(exchange, response, action, self.closing.wait)
            except http.client.HTTPException as error:
                raise ConnectionResetError(f"{self.target} broke off: {error!r}") from error

    def _send(self, connection: http.client.HTTPConnection, exchange: Exchange, action: Action | None) -> bool:
        """Say whether all of the request went to the target."""
        connection.putrequest(exchange.method, exchange.path, skip_host=True, skip_accept_encoding=True)
        for name, value in exchange.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                connection.putheader(name, value)
        if exchange.chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        if self._tls is not None:
            connection.putheader("X-Forwarded-Proto", "https")
        connection.putheader("Connection", "close")
        connection.endheaders()
        left = action.after if isinstance(action, CutRequest) else None
        body = exchange.body() if left is None else _first(exchange.body(), left)
        try:
            for data in body:
                connection.send(b"%x\r\n%b\r\n" % (len(data), data) if exchange.chunked else data)
            if left is None and exchange.chunked:
                connection.send(b"0\r\n\r\n")
        except BrokenPipeError:
            exchange.drain()  # the target answered before it had read all
        return left is None


def _first(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    left = size
    while left > 0 and (data := next(chunks, b"")):
        yield data[:left]
        left -= len(data)


def _code(status: int) -> bytes:
    return {401: b"UNAUTHORIZED", 403: b"DENIED", 404: b"NOT_FOUND", 429: b"TOOMANYREQUESTS"}.get(status, b"UNKNOWN")


def _give_back(
    exchange: Exchange, response: http.client.HTTPResponse, action: Action | None, wait: Callable[[float], object]
) -> None:
    headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
    body = iter(lambda: response.read1(CHUNK), b"")
    match action:
        case Shorten(to):
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            exchange.start(response.status, [*headers, ("Content-Length", str(to))])
            _write(exchange, _first(body, to))
        case Truncate(to) | CutResponse(to):
            exchange.start(response.status, headers)
            _write(exchange, _first(body, to))
            (exchange.hang_up if isinstance(action, Truncate) else exchange.reset)()
        case _:
            exchange.start(response.status, headers)
            _write(exchange, _changed(body, action, wait))
            if response.length:
                exchange.reset()  # the target died within the body
            else:
                exchange.end()


def _write(exchange: Exchange, chunks: Iterator[bytes]) -> None:
    for data in chunks:
        exchange.write(data)


def _changed(chunks: Iterator[bytes], action: Action | None, wait: Callable[[float], object]) -> Iterator[bytes]:
    offset = 0
    for data in chunks:
        match action:
            case FlipByte(at) if offset <= at < offset + len(data):
                place = at - offset
                yield data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
            case Stall(after, seconds) if offset <= after < offset + len(data):
                yield data[: after - offset]
                wait(seconds)
                yield data[after - offset :]
            case _:
                yield data
        offset += len(data)


class FaultProxies(contextlib.ExitStack):
    """Starts proxies when called with what FaultProxy takes, and closes them all at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[FaultProxy] = []

    def __call__(self, target: str, **options: Any) -> FaultProxy:
        self.started.append(self.enter_context(FaultProxy(target, **options)))
        return self.started[-1]


class FileServer(LoopbackServer):
    """Serves the blobs of a registry's storage by the digest at the end of the path, as a CDN does behind a redirect.

    `blob_path` maps a digest to the file. A request with an Authorization header gets 400, as object stores answer
    one next to a signed URL. Ranges work.
    """

    def __init__(self, blob_path: Callable[[str], Path], *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self._blob_path = blob_path

    def answer(self, exchange: Exchange) -> None:
        if "Authorization" in exchange.headers:
            exchange.answer(400, b"only one way to authenticate is allowed")
            return
        digest = exchange.path.partition("?")[0].rpartition("/")[2]
        path = self._blob_path(digest)
        if not path.is_file():
            exchange.answer(404)
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.headers.get("Range") or "")
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]), size - 1) if asked and asked[2] else size - 1
        if asked and first >= size:
            exchange.answer(416, headers=[("Content-Range", f"bytes */{size}")])
            return
        told = [("Content-Type", "application/octet-stream"), ("Content-Length", str(last - first + 1))]
        if asked:
            told.append(("Content-Range", f"bytes {first}-{last}/{size}"))
        exchange.start(206 if asked else 200, told)
        if exchange.method == "GET":
            with path.open("rb") as file:
                file.seek(first)
                _write(exchange, _first(iter(lambda: file.read(CHUNK), b""), last - first + 1))
