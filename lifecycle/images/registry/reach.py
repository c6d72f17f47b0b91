"""What lies between us and a registry: its addresses, and the TLS certificate that it shows."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lifecycle.errors import RegistryConnectionError
from lifecycle.images.registry.certificate import Certificate, read_certificate
from lifecycle.images.registry.trust import tls_context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lifecycle.images.registry.hosts import Endpoint

_TIMEOUT = 10.0
_HTTPS, _PROXY = 443, 80
_LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class TlsView:
    """What a handshake showed.

    ``certificates`` are the host's own and, from Python 3.13 on, those that it is verified by.  ``trusted_by`` is
    the first file or directory that suffices to trust it, ``None`` if the library's own did or verification is
    off.  ``problem`` says why it isn't trusted.
    """

    version: str
    certificates: tuple[Certificate, ...]
    trusted_by: Path | None = None
    problem: str = ""


def addresses(authority: str) -> tuple[str, ...]:
    """Return the addresses of ``host[:port]``; raise ``RegistryConnectionError`` if the name has none."""
    host, port = _split(authority)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise RegistryConnectionError(
            f"can't be resolved: {getattr(error, 'strerror', None) or error}",
            where=host,
            host=authority,
            remedy="correct the name, or ask your network's administrators whether its DNS knows it",
        ) from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def look_at_tls(endpoint: Endpoint, *, proxy: str | None, timeout: float = _TIMEOUT) -> TlsView | None:
    """Shake hands with the host of ``endpoint``, through ``proxy`` (a URL) if there is one.

    ``None`` if the host does not speak TLS.  Raises ``RegistryConnectionError`` if it can't be reached, and
    ``InvalidFileError`` for files of certificates that can't be used.
    """
    bundles = endpoint.bundles if endpoint.verify else ()
    try:
        version, chain = _handshake(endpoint, proxy, bundles, timeout=timeout, verify=endpoint.verify)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(endpoint, proxy, timeout, error.verify_message)
    except ssl.SSLError as error:
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}:
            return None
        raise _unreachable(endpoint, proxy, error.reason or str(error)) from error
    return TlsView(version, chain, _sufficient(endpoint, proxy, bundles, timeout))


def _untrusted(endpoint: Endpoint, proxy: str | None, timeout: float, problem: str) -> TlsView:
    """Return what an untrusted host shows of itself to those who do not verify."""
    with contextlib.suppress(ssl.SSLError):
        version, chain = _handshake(endpoint, proxy, (), timeout=timeout, verify=False)
        return TlsView(version, chain, problem=problem)
    return TlsView("TLS", (), problem=problem)


def _sufficient(endpoint: Endpoint, proxy: str | None, bundles: Sequence[Path], timeout: float) -> Path | None:
    for bundle in bundles[:-1]:
        with contextlib.suppress(ssl.SSLError):
            _handshake(endpoint, proxy, (bundle,), timeout=timeout, verify=True)
            return bundle
    return bundles[-1] if bundles else None


def _handshake(
    endpoint: Endpoint, proxy: str | None, bundles: Sequence[Path], *, timeout: float, verify: bool
) -> tuple[str, tuple[Certificate, ...]]:
    context = tls_context(bundles, verify=verify, client_cert=endpoint.client_cert)
    target = _split(endpoint.authority)
    try:
        parts = None if proxy is None else urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        through = target if parts is None else (parts.hostname or "", parts.port or _PROXY)
        with socket.create_connection(through, timeout=timeout) as plain:
            if parts is not None:
                _open_tunnel(plain, target, _proxy_authorization(parts.username, parts.password))
            with context.wrap_socket(plain, server_hostname=target[0]) as shaken:
                return shaken.version() or "TLS", _chain(shaken)
    except ssl.SSLError:
        raise
    except (OSError, ValueError, OverflowError) as error:
        raise _unreachable(endpoint, proxy, getattr(error, "strerror", None) or str(error)) from error


def _open_tunnel(connection: socket.socket, target: tuple[str, int], authorization: str) -> None:
    """Have a proxy connect us to ``target``; raise ``OSError`` with its status if it does not."""
    host = f"[{target[0]}]" if ":" in target[0] else target[0]
    request = f"CONNECT {host}:{target[1]} HTTP/1.1\r\nHost: {host}:{target[1]}\r\n{authorization}\r\n"
    connection.sendall(request.encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = connection.recv(_LARGEST_ANSWER)
        answer += chunk
        if not chunk or len(answer) > _LARGEST_ANSWER:
            raise OSError("it does not answer as a proxy does")
    _, _, status = answer.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    if not status.startswith("2"):
        raise OSError(f"it says {status!r}")


def _chain(connection: ssl.SSLSocket) -> tuple[Certificate, ...]:
    own = connection.getpeercert(binary_form=True)
    chain = [] if own is None else [own]
    verified = getattr(connection, "get_verified_chain", None)
    if verified is not None and connection.context.verify_mode is not ssl.CERT_NONE:
        chain = verified()
    try:
        return tuple(read_certificate(der) for der in chain)
    except ValueError:
        return ()


def _proxy_authorization(username: str | None, password: str | None) -> str:
    if username is None:
        return ""
    pair = f"{unquote(username)}:{unquote(password or '')}".encode()
    return f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}\r\n"


def _split(authority: str) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, str(_HTTPS)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _unreachable(endpoint: Endpoint, proxy: str | None, reason: str) -> RegistryConnectionError:
    if proxy is None:
        message, remedy = (
            "can't be reached",
            "check name, port and firewall, and whether a proxy is needed (HTTPS_PROXY)",
        )
    else:
        message, remedy = "can't be reached through the proxy", "correct HTTPS_PROXY, or name the host in NO_PROXY"
    return RegistryConnectionError(
        f"{message}: {reason}", where=endpoint.authority, host=endpoint.authority, remedy=remedy
    )
