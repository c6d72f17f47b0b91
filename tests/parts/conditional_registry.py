"""A registry that writes a manifest only where there is none, if it is asked to: what docker-registry does not do."""

import json
import threading
import urllib.error
import urllib.request

from parts.fault_proxy import FaultProxy
from parts.http_server import Exchange

REFUSED = json.dumps({"errors": [{"code": "DENIED", "message": "the tag exists"}]}).encode()


class ConditionalRegistry(FaultProxy):
    """A proxy that keeps `If-None-Match: *` for the registry behind it; `status` and `body` are its refusal."""

    def __init__(self, target: str, *, status: int = 412, body: bytes = REFUSED) -> None:
        super().__init__(target)
        self._behind = target
        self._one_at_a_time = threading.Lock()
        self._refusal = status, body
        # Who stops waiting for a write can't tell whether the next one is the first.
        self._timeout = None

    def answer(self, exchange: Exchange) -> None:
        if exchange.method != "PUT" or exchange.headers.get("If-None-Match") != "*":
            super().answer(exchange)
            return
        with self._one_at_a_time:
            if self._exists(exchange.path):
                exchange.drain()
                status, body = self._refusal
                exchange.answer(status, body, [("Content-Type", "application/json")])
            else:
                super().answer(exchange)

    def _exists(self, path: str) -> bool:
        request = urllib.request.Request(
            f"http://{self._behind}{path}",
            method="HEAD",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False
        return True
