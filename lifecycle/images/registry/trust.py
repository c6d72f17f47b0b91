"""Which certificate authorities are trusted: those of the environment, of the system, and of one host.

Sources: requests "SSL Cert Verification"; OpenSSL ``SSL_CTX_set_default_verify_paths``; Go ``crypto/x509``
"SystemCertPool"; docker docs "Verify repository client with certificates".
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LOG = logging.getLogger(__name__)

_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_REPLACING = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def trusted_bundles(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files and directories of certificates to trust, all of them together.

    ``REQUESTS_CA_BUNDLE``, else ``CURL_CA_BUNDLE``, a file or directory, is the only one if it is set.  Otherwise
    ``SSL_CERT_FILE`` if set, and ``SSL_CERT_DIR`` (directories, ``:`` between them) or, without it, the system's
    bundle: so a company's CA in ``SSL_CERT_FILE`` does not cut off the public registries.  A path that
    can't be read is a warning.  Empty means that the library's own certificates have to do.
    """
    for variable in _REPLACING:
        found = tuple(_existing(variable, environment.get(variable, "")))
        if found:
            return found
    files = tuple(_existing("SSL_CERT_FILE", environment.get("SSL_CERT_FILE", "")))
    directories = tuple(
        found for part in environment.get("SSL_CERT_DIR", "").split(":") for found in _existing("SSL_CERT_DIR", part)
    )
    system = () if directories else tuple(Path(path) for path in _SYSTEM_BUNDLES if Path(path).is_file())[:1]
    return (*files, *directories, *system)


def _existing(variable: str, text: str) -> Iterator[Path]:
    if not text:
        return
    path = Path(text)
    if os.access(path, os.R_OK):
        yield path
    else:
        _LOG.warning("%s names %s, which can't be read; it is ignored", variable, path)


def tls_context(bundles: Sequence[Path], *, verify: bool, client_cert: tuple[Path, Path] | None) -> ssl.SSLContext:
    """Return a context that trusts ``bundles``, or the defaults of OpenSSL if there are none.

    Of a directory every file counts, not only those that OpenSSL finds by their hashes.  Raises
    ``InvalidFileError`` for a file that holds no certificate, or a client certificate that does not fit its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not bundles:
        context.load_default_certs()
    else:
        for bundle in bundles:
            _trust(context, bundle)
    if client_cert is not None:
        certificate, key = client_cert
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            raise InvalidFileError(
                f"is no usable client certificate for the key {key}: {_reason(error)}",
                where=certificate,
                remedy="store certificate and key as PEM, the key without a password",
            ) from error
    return context


class TlsContexts:
    """The contexts of ``tls_context``, each made once; safe for threads.

    One that is made while its files can be read works on when they no longer can.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def of(self, bundles: tuple[Path, ...], *, verify: bool, client_cert: tuple[Path, Path] | None) -> ssl.SSLContext:
        """Return the context for ``bundles``; raises as ``tls_context``."""
        key = bundles, verify, client_cert
        with self._lock:
            if key not in self._made:
                self._made[key] = tls_context(bundles, verify=verify, client_cert=client_cert)
            return self._made[key]


def _trust(context: ssl.SSLContext, bundle: Path) -> None:
    if not bundle.is_dir():
        try:
            context.load_verify_locations(cafile=bundle)
        except OSError as error:
            raise InvalidFileError(
                f"holds no certificate authority that can be read: {_reason(error)}",
                where=bundle,
                remedy="store the certificates as PEM",
            ) from error
        return
    for path in sorted(bundle.iterdir()):
        # Such directories also hold keys, lists and links that lead nowhere.
        with contextlib.suppress(OSError):
            context.load_verify_locations(cafile=path)


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    raise ValueError("the key has a password")
