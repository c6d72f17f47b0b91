"""One HTTP request to a host, and its answer; the only module that knows oras, requests and urllib3.

Nothing is retried, followed or authenticated here.  Bodies stream in both directions, and whatever the libraries
raise becomes a ``RegistryError``.  ``oras.provider.Registry`` gives each host its session, which keeps no cookies.
Its own requests are replaced, for they are repeated for minutes when a connection is refused and follow redirects
with all headers; what it builds on them is not used: it holds blobs in memory, does not verify them and writes
manifests anew.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit, urlunsplit

import oras.provider  # type: ignore[import-untyped]  # it has no type information
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lifecycle import __version__
from lifecycle.errors import RegistryConnectionError, RegistryError, RegistryTlsError
from lifecycle.images.registry.answer import address, host_of
from lifecycle.images.registry.certs_d import remedy_for
from lifecycle.images.registry.trust import TlsContexts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.images.registry.hosts import Endpoint

CHUNK = 256 * 1024
"""Bytes of a body that are handed on at once."""

_LOG = logging.getLogger(__name__)
_POOLED_CONNECTIONS = 16
_NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")

# urllib3 logs the whole path of each request, and in redirects to object stores the query is a signature.
logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds without a sign of the other side: until connected, between bytes, and for storing an upload."""

    connect: float = 10.0
    read: float = 60.0
    commit: float = 300.0


class Body:
    """Bytes to send, ``size`` of them, from chunks that are made while they are sent.

    ``error`` is what made the chunks fail, so that it isn't taken for a failing connection.
    """

    def __init__(self, chunks: Iterator[bytes], size: int) -> None:
        self._chunks = chunks
        self._size = size
        self.error: BaseException | None = None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise


@dataclass(slots=True)
class Response:
    """An answer whose body has not been read; use it in ``with``, ``finish`` it or read it to its end."""

    url: str
    status: int
    headers: Mapping[str, str]
    _response: requests.Response = field(repr=False)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it was sent; raise ``RegistryConnectionError`` when it breaks off."""
        try:
            with _translated(self.url):
                yield from self._response.raw.stream(CHUNK, decode_content=False)
        except BaseException:
            self.close()
            raise

    def read(self, limit: int) -> bytes | None:
        """Return the whole body, ``None`` if it has more than ``limit`` bytes."""
        data = bytearray()
        for chunk in self.chunks():
            data += chunk
            if len(data) > limit:
                self.close()
                return None
        return bytes(data)

    def finish(self) -> None:
        """Let the connection serve another request: read a short rest, cut off a long one."""
        try:
            self.read(CHUNK)
        except RegistryError:
            self.close()

    def close(self) -> None:
        """Give up the rest of the body."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.close()


class Transport:
    """Sessions, one for each host and the way it is reached, for any number of threads."""

    def __init__(self, timeouts: Timeouts, contexts: TlsContexts | None = None) -> None:
        self._timeouts = timeouts
        self._contexts = contexts or TlsContexts()
        self._hosts: dict[tuple[object, ...], _Host] = {}
        self._lock = threading.Lock()

    def send(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | Body | None = None,
        storing: bool = False,
    ) -> Response:
        """Send one request to the host of ``endpoint`` and return its answer, whatever its status.

        ``storing`` allows the time that a registry takes to store an upload.  Raises ``RegistryConnectionError``
        if no answer comes, ``RegistryTlsError`` for a certificate that isn't trusted, and what made ``body`` fail.
        """
        wait = self._timeouts.commit if storing else self._timeouts.read
        if isinstance(body, Body) and not len(body):
            body = b"".join(body)
        with _translated(url, body):
            answer = self._host(endpoint).do_request(
                url, method, data=body, headers=dict(headers), timeout=(self._timeouts.connect, wait)
            )
        _LOG.debug("%s %s: %d", method, without_query(url), answer.status_code)
        return Response(url, answer.status_code, answer.headers, answer)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            hosts, self._hosts = list(self._hosts.values()), {}
        for host in hosts:
            host.session.close()

    def _host(self, endpoint: Endpoint) -> _Host:
        key = endpoint.authority, endpoint.verify, endpoint.bundles, endpoint.client_cert, endpoint.use_proxy
        with self._lock:
            if key not in self._hosts:
                context = self._contexts.of(endpoint.bundles, verify=endpoint.verify, client_cert=endpoint.client_cert)
                self._hosts[key] = _Host(endpoint, self._timeouts, context)
            return self._hosts[key]


class _Host(oras.provider.Registry):  # type: ignore[misc]  # it has no type information
    def __init__(self, endpoint: Endpoint, timeouts: Timeouts, context: ssl.SSLContext) -> None:
        super().__init__(hostname=endpoint.authority, tls_verify=endpoint.verify)
        adapter = _Adapter(context, timeouts.read)
        self.session.trust_env = False  # it would send what ~/.netrc has for a host
        self.session.headers.clear()
        self.session.headers.update({"User-Agent": f"cnb-lifecycle/{__version__}", "Accept-Encoding": "identity"})
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)
        self._use_proxy = endpoint.use_proxy

    def do_request(  # noqa: PLR0917  # as in oras
        self,
        url: str,
        method: str = "GET",
        data: bytes | Body | None = None,
        headers: dict[str, str] | None = None,
        json: Any = None,
        stream: bool = True,  # noqa: FBT001, FBT002
        timeout: tuple[float, float] = (10.0, 60.0),
    ) -> requests.Response:
        request = self.session.prepare_request(
            requests.Request(method, url, headers=headers or {}, data=data, json=json)
        )
        proxies = _proxies(url) if self._use_proxy else {}
        adapter: HTTPAdapter = self.session.get_adapter(url)
        return adapter.send(request, stream=stream, timeout=timeout, proxies=proxies)


class _Adapter(HTTPAdapter):
    """Connections with our idea of trust; requests itself would always add its own list of authorities."""

    def __init__(self, context: ssl.SSLContext, write_timeout: float) -> None:
        self._context = context
        self._write_timeout = write_timeout
        super().__init__(pool_connections=2, pool_maxsize=_POOLED_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = _pools(self._write_timeout)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs, ssl_context=self._context)
        manager.pool_classes_by_scheme = _pools(self._write_timeout)
        return manager

    def build_connection_pool_key_attributes(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        parts = urlsplit(request.url or "")
        return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}, {}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        pass


def _pools(write_timeout: float) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools, whose connections wait longer for a slow reader than for a connection."""

    class Http(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(write_timeout)

    class Https(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(write_timeout)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL, ``None`` if it is asked directly.

    ``ALL_PROXY`` counts for other programs only, as with Go's.
    """
    named = {name: proxy for name, proxy in get_environ_proxies(url).items() if name != "all"}
    return select_proxy(url, named) or None


def _proxies(url: str) -> dict[str, str]:
    """Return what requests is told of ``proxy_of``; raise ``RegistryError`` for a proxy that it can't ask."""
    proxy = proxy_of(url)
    if proxy is None:
        return {}
    scheme = urlsplit(url).scheme
    if address("", proxy if "://" in proxy else f"http://{proxy}") is None:
        raise RegistryError(
            f"{host_of(url)} can't be asked: its proxy has no address with http or https",
            host=host_of(url),
            remedy=f"write {scheme.upper()}_PROXY as http://HOST:PORT, or name the host in NO_PROXY",
        )
    return {scheme: proxy}


def without_query(url: str) -> str:
    """Return a URL as it may be shown: its query may be a signature, and its user a password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextlib.contextmanager
def _translated(url: str, body: bytes | Body | None = None) -> Iterator[None]:
    """Turn what the libraries raise into errors of this program; what made a body fail stays as it is."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(body, Body) and body.error is not None:
            raise body.error from None
        raise _error(error, host_of(url)) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps, as urllib3 and requests do in several ways."""
    left, seen = [error], set[int]()
    while left:
        each = left.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        wrapped = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        left += [found for found in wrapped if isinstance(found, BaseException)]


def _error(error: BaseException, host: str) -> RegistryError:
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return RegistryTlsError(
                    f"the certificate of {host} is not trusted: {cause.verify_message}",
                    host=host,
                    remedy=remedy_for(cause.verify_message, host),
                )
            case ssl.SSLError() if any(name in str(cause.reason) for name in _NO_TLS_THERE):
                return RegistryConnectionError(
                    f"{host} does not speak TLS",
                    host=host,
                    remedy="if it is a registry without TLS, name it in --insecure-registry",
                )
            case ssl.SSLError() if "CERTIFICATE" in str(cause.reason) or "UNKNOWN_CA" in str(cause.reason):
                return RegistryTlsError(
                    f"{host} does not accept our certificate: {cause.reason}",
                    host=host,
                    remedy=f"store a client certificate as /etc/containers/certs.d/{host}/client.cert and client.key",
                )
            case urllib3.exceptions.ProxyError():
                return RegistryConnectionError(
                    f"{host} can't be reached through the proxy: {_reason(error)}",
                    host=host,
                    remedy="correct HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY",
                )
            case urllib3.exceptions.NameResolutionError():
                return RegistryConnectionError(
                    f"the name of {host} can't be resolved: {_reason(error)}",
                    host=host,
                    remedy="check the name, and the network's DNS",
                )
            case urllib3.exceptions.ConnectTimeoutError() if not isinstance(
                cause, urllib3.exceptions.NewConnectionError
            ):
                return RegistryConnectionError(
                    f"{host} does not answer to a connection",
                    host=host,
                    remedy="check host and port, and the firewalls and proxies between",
                )
            case urllib3.exceptions.ReadTimeoutError():
                return RegistryConnectionError(f"{host} has stopped answering", host=host)
            case (
                requests.exceptions.InvalidURL()
                | requests.exceptions.InvalidSchema()
                | urllib3.exceptions.LocationValueError()
            ):
                return RegistryError(
                    f"{host!r} is not an address that can be asked", host=host, remedy="write HOST or HOST:PORT"
                )
            case _:
                pass
    refused = any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error))
    remedy = "check that the registry runs, and its host and port" if refused else "try again later"
    return RegistryConnectionError(
        f"the connection to {host} failed: {_reason(error)}",
        host=host,
        remedy=remedy,
    )


def _reason(error: BaseException) -> str:
    """Return the innermost reason, in the words of the operating system where it gave one."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) and cause.strerror:
            return cause.strerror
    return str(causes[-1]) or type(causes[-1]).__name__
