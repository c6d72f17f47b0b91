"""What lies between us and a registry: its addresses, and the TLS certificate that it shows."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
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
    except (OSError, UnicodeError) as error:
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
    host, port = _split(endpoint.authority)
    if proxy is None:
        connection = HTTPSConnection(host, port, timeout=timeout, context=context)
    else:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = HTTPSConnection(parts.hostname or "", parts.port or _PROXY, timeout=timeout, context=context)
        connection.set_tunnel(host, port, _proxy_headers(parts.username, parts.password))
    try:
        connection.connect()
        shaken: ssl.SSLSocket = connection.sock
        return shaken.version() or "TLS", _chain(shaken)
    except ssl.SSLError:
        raise
    except (OSError, HTTPException, UnicodeError) as error:
        raise _unreachable(endpoint, proxy, getattr(error, "strerror", None) or str(error)) from error
    finally:
        connection.close()


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


def _proxy_headers(username: str | None, password: str | None) -> dict[str, str]:
    if username is None:
        return {}
    pair = f"{unquote(username)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


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
