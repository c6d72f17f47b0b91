"""Files that Dockerfiles fetch: by HTTP, in bounded size, with what this host trusts and nothing that it knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle import __version__
from lifecycle.errors import ExtendError, LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from http.client import HTTPResponse
    from pathlib import Path
    from urllib.request import OpenerDirector

MAX_SIZE = 1 << 33
"""Bytes of a file."""
_CHUNK = 1 << 18
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Downloader:
    """Fetches with the certificate authorities of ``environment`` and the proxies of this process."""

    environment: Mapping[str, str]
    max_size: int = MAX_SIZE

    def __call__(self, url: str, target: Path) -> str:
        """Write the file to ``target`` and return its digest; raise ``ExtendError``, which does not name the URL."""
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request

        request = Request(url, headers={"User-Agent": f"cnb-lifecycle/{__version__}"})  # noqa: S310  # http(s) only
        hasher = hashlib.sha256()
        try:
            with self._opener().open(request, timeout=_TIMEOUT) as response, target.open("wb") as file:
                for chunk in self._body(response):
                    hasher.update(chunk)
                    file.write(chunk)
        except HTTPError as error:
            raise ExtendError(f"the answer is {error.code} {error.reason}") from error
        except URLError as error:
            raise ExtendError(str(error.reason)) from error
        except LifecycleError as error:
            raise ExtendError(error.message, remedy=error.remedy) from error
        except (OSError, HTTPException, ValueError) as error:
            raise ExtendError(str(error) or type(error).__name__) from error
        return f"sha256:{hasher.hexdigest()}"

    def _body(self, response: HTTPResponse) -> Iterator[bytes]:
        size = 0
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > self.max_size:
                raise ExtendError(f"it has more than {self.max_size} bytes")
            yield chunk
        expected = response.headers.get("Content-Length", "")
        if expected.isdecimal() and int(expected) != size:
            raise ExtendError(f"it ended after {size} of {expected} bytes")

    def _opener(self) -> OpenerDirector:
        from urllib.request import (
            HTTPDefaultErrorHandler,
            HTTPErrorProcessor,
            HTTPHandler,
            HTTPRedirectHandler,
            HTTPSHandler,
            OpenerDirector,
            ProxyHandler,
            UnknownHandler,
        )

        from lifecycle.images.registry.trust import tls_context, trusted_bundles

        context = tls_context(trusted_bundles(self.environment), verify=True, client_cert=None)
        opener = OpenerDirector()
        for handler in (
            ProxyHandler(),
            UnknownHandler(),
            HTTPHandler(),
            HTTPSHandler(context=context),
            HTTPDefaultErrorHandler(),
            HTTPRedirectHandler(),
            HTTPErrorProcessor(),
        ):
            opener.add_handler(handler)
        return opener
