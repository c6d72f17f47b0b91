"""Downloads whose bytes are known beforehand."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CHUNK = 1 << 16
_LONGEST_WAIT = 30.0
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(BuildpackError):
    """Bytes could not be had, or are not those that were expected."""


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    sha512: str = "",
    attempts: int = 4,
    timeout: float = 30.0,
    wait: Callable[[float], object] = time.sleep,
) -> Path:
    """Download a file and return its path, at which it appears only if its digest, one of the two, is right.

    A file that is there already with the right digest is taken as it is.  Failures that may pass are tried again
    up to ``attempts`` times, after a wait that doubles from one second or that the server asks for, 30 seconds at
    most; ``timeout`` in seconds is for each silence.  Proxies are those of the environment.  Raises
    ``DownloadError``, which shows no credentials of the URL.
    """
    if bool(sha256) == bool(sha512):
        raise ValueError("either sha256 or sha512 is needed")
    algorithm, given = ("sha256", sha256) if sha256 else ("sha512", sha512)
    wanted = given.lower().removeprefix(f"{algorithm}:")
    if path.is_file() and _file_digest(path, algorithm) == wanted:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        found = _with_retries(url, temporary, algorithm, attempts=attempts, timeout=timeout, wait=wait)
        if found != wanted:
            raise DownloadError(
                f"{public(url)} has SHA-{algorithm[3:]} {found}, not {wanted}",
                fix="do not use it before you know why it changed; then write the new digest",
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def public(url: str) -> str:
    """Return a URL without what may be secret: user, password, query and fragment."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _with_retries(
    url: str, temporary: Path, algorithm: str, *, attempts: int, timeout: float, wait: Callable[[float], object]
) -> str:
    for attempt in range(1, attempts + 1):
        pause = float(2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(request(url), timeout=timeout) as response, temporary.open("wb") as target:  # noqa: S310  # the digest decides
                return _copy(response, target, hashlib.new(algorithm), response.headers.get("Content-Length"))
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the server answers {error.code} {error.reason}"
            if error.code not in _TRY_AGAIN or attempt == attempts:
                raise DownloadError(f"{public(url)}: {problem}", fix=_advice(error.code)) from None
            pause = max(pause, _retry_after(error.headers.get("Retry-After")))
        except (OSError, http.client.HTTPException) as error:
            problem = str(getattr(error, "reason", "") or error) or type(error).__name__
            if attempt == attempts:
                raise DownloadError(
                    f"{public(url)}: {problem}",
                    fix="check the network, HTTPS_PROXY and SSL_CERT_FILE, then build again",
                ) from None
        print(f"  {public(url)}: {problem}; trying again")
        wait(min(pause, _LONGEST_WAIT))
    raise ValueError(f"attempts is {attempts}, at least 1 is needed")


def request(url: str, headers: Mapping[str, str] = MappingProxyType({})) -> urllib.request.Request:
    """Return a request for ``urllib``, with credentials of the URL where HTTP has them."""
    parts = urllib.parse.urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    made = urllib.request.Request(  # noqa: S310  # fetch: the digest decides what is taken
        urllib.parse.urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "cnb-buildpack", **headers}
    )
    if credentials:
        import base64  # noqa: PLC0415  # seldom needed

        token = base64.b64encode(urllib.parse.unquote(credentials).encode()).decode()
        made.add_unredirected_header("Authorization", f"Basic {token}")
    return made


def _copy(source: BinaryIO, target: BinaryIO, digest: hashlib._Hash, length: str | None) -> str:
    size = 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
        size += len(chunk)
    if length is not None and size != int(length):
        raise http.client.IncompleteRead(b"", int(length) - size)
    return digest.hexdigest()


def _file_digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _retry_after(value: str | None) -> float:
    return float(value) if value is not None and value.isdecimal() else 0.0


def _advice(status: int) -> str:
    if status in {401, 403, 407}:
        return "give the build the credentials that the server or proxy asks for"
    return "check the URL" if status in {404, 410} else "build again later"
