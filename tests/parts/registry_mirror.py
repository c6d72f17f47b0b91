"""A mirror of package registries that fetches each file once, and keeps it for all workers of a test run."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from parts.http_server import CHUNK, Exchange, LoopbackServer


class RegistryMirror(LoopbackServer):
    """Answers GET of `<url>/<host>/<path>` with what https://host/path has, and as a proxy what http:// has.

    What lies in `directory` is not asked for again.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def of(self, host: str) -> str:
        """Return the address that stands for `https://host`."""
        return f"{self.url}/{host}"

    def answer(self, exchange: Exchange) -> None:
        path = exchange.path
        address = path if path.startswith("http://") else f"https:/{path}"
        accept = exchange.headers.get("Accept") or "*/*"
        kept = self._directory / hashlib.sha256(f"{address} {accept}".encode()).hexdigest()
        if not kept.exists():
            try:
                _fetch(address, accept, kept)
            except urllib.error.HTTPError as error:
                exchange.answer(error.code)
                return
            except OSError:
                exchange.answer(502)
                return
        exchange.drain()
        with kept.open("rb") as file:
            exchange.start(200, [("Content-Length", str(os.fstat(file.fileno()).st_size))])
            while exchange.method != "HEAD" and (chunk := file.read(CHUNK)):
                exchange.write(chunk)


def _fetch(address: str, accept: str, to: Path) -> None:
    request = urllib.request.Request(address, headers={"Accept": accept})
    part = to.with_name(f"{to.name}.{os.getpid()}.{id(request)}")
    with urllib.request.urlopen(request, timeout=60) as response, part.open("wb") as file:
        while chunk := response.read(CHUNK):
            file.write(chunk)
    part.replace(to)
