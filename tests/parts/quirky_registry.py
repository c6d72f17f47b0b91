"""A registry in memory that keeps every promise of the specification but those that it is told to break."""

import hashlib
import json
import re
import threading
import time
import urllib.parse
import uuid
from email.utils import formatdate

from parts.http_server import Exchange, LoopbackServer

QUIRKS = {
    "takes wrong digests",
    "takes manifests without blobs",
    "changes manifests",
    "sends no blobs",
    "lists late",
    "loses a tag of many",
    "pages without links",
    "pages of a proxy",
    "ignores case",
    "short tags",
    "refuses repetition",
    "tears tags",
    "small manifests",
    "no date",
    "time goes back",
    "no deletion",
    "keeps deleted tags",
    "deletes others",
    "read-only",
    "conditions",
    "immutable",
    "counts requests",
    "pages",
}
_NAME = r"/v2/(?P<repository>.+)"


class QuirkyRegistry(LoopbackServer):
    """`quirks` are of `QUIRKS`; `tags` and `manifests` are what it holds, for all repositories together."""

    def __init__(self, *quirks: str) -> None:
        super().__init__()
        assert QUIRKS.issuperset(quirks)
        self.quirks = set(quirks)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.tags: dict[str, str] = {}
        self.unlisted: list[str] = []
        self._lock = threading.Lock()
        self._asked = 0

    def answer(self, exchange: Exchange) -> None:
        path, _, query = exchange.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        body = b"".join(exchange.body())
        with self._lock:
            self._asked += 1
            if path == "/v2/":
                self._say(exchange, 200, b"{}")
            elif found := re.fullmatch(rf"{_NAME}/blobs/uploads/(?P<upload>[^/]*)", path):
                self._upload(exchange, found["repository"], asked.get("digest", ""), body)
            elif found := re.fullmatch(rf"{_NAME}/blobs/(?P<digest>[^/]+)", path):
                self._blob(exchange, found["digest"])
            elif found := re.fullmatch(rf"{_NAME}/manifests/(?P<name>[^/]+)", path):
                self._manifest(exchange, found["name"], body)
            elif found := re.fullmatch(rf"{_NAME}/tags/list", path):
                self._list(exchange, found["repository"], asked)
            else:
                self._say(exchange, 404)

    def _say(self, exchange: Exchange, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        told = [*headers]
        if "no date" not in self.quirks:
            back = self._asked * 100 if "time goes back" in self.quirks else 0
            told.append(("Date", formatdate(time.time() - back, usegmt=True)))
        if "counts requests" in self.quirks:
            told.append(("RateLimit-Remaining", str(1000 - self._asked)))
        exchange.answer(status, body, told)

    def _upload(self, exchange: Exchange, repository: str, digest: str, body: bytes) -> None:
        if "read-only" in self.quirks:
            self._say(exchange, 403)
        elif exchange.method == "DELETE":
            self._say(exchange, 204)
        elif not digest:
            place = f"/v2/{repository}/blobs/uploads/{uuid.uuid4().hex}"
            if exchange.method == "PATCH":
                self.blobs[exchange.path] = self.blobs.get(exchange.path, b"") + body
                place = exchange.path
            self._say(exchange, 202, b"", ("Location", place), ("Range", f"0-{max(0, len(body) - 1)}"))
        else:
            data = self.blobs.pop(exchange.path.partition("?")[0], b"") + body
            own = _digest(data)
            if own != digest and "takes wrong digests" not in self.quirks:
                self._say(exchange, 400)
            else:
                self.blobs[digest] = data
                self._say(exchange, 201, b"", ("Location", f"/v2/{repository}/blobs/{digest}"))

    def _blob(self, exchange: Exchange, digest: str) -> None:
        data = self.blobs.get(digest)
        if data is None:
            self._say(exchange, 404)
            return
        if "sends no blobs" in self.quirks and exchange.method == "GET":
            self._say(exchange, 200, b"")
            return
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.headers.get("Range") or "")
        if ranged and exchange.method == "GET":
            first, last = int(ranged[1]), min(int(ranged[2] or len(data)), len(data) - 1)
            part = data[first : last + 1]
            self._say(exchange, 206, part, ("Content-Range", f"bytes {first}-{last}/{len(data)}"))
        else:
            self._say(exchange, 200, data)

    def _manifest(self, exchange: Exchange, name: str, body: bytes) -> None:
        if "ignores case" in self.quirks:
            name = name.lower()
        match exchange.method:
            case "PUT":
                self._put(exchange, name, body)
            case "DELETE":
                self._delete(exchange, name)
            case _:
                digest = self.tags.get(name, name)
                if digest == "torn":
                    self._say(exchange, 500)
                elif digest not in self.manifests:
                    self._say(exchange, 404)
                else:
                    media_type, data = self.manifests[digest]
                    told = ("Content-Type", media_type), ("Docker-Content-Digest", digest)
                    self._say(exchange, 200, data, *told)

    def _put(self, exchange: Exchange, name: str, body: bytes) -> None:
        digest = _digest(body)
        status = self._objection(exchange, name, body, digest)
        if status:
            unknown = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"a blob is not there"}]}'
            self._say(exchange, status, unknown if status == 400 else b"")
            return
        kept = body + b" " if "changes manifests" in self.quirks else body
        self.manifests[digest] = (exchange.headers.get("Content-Type") or "", kept)
        if ":" not in name:
            torn = "tears tags" in self.quirks and self.tags.get(name, digest) != digest
            self.tags[name] = "torn" if torn else digest
            if "lists late" in self.quirks:
                self.unlisted = [name]
            if "loses a tag of many" in self.quirks and name.endswith("once7"):
                self.unlisted.append(name)
        self._say(exchange, 201, b"", ("Docker-Content-Digest", digest))

    def _objection(self, exchange: Exchange, name: str, body: bytes, digest: str) -> int:
        value = json.loads(body)
        named = {each["digest"] for each in (value["config"], *value["layers"])}
        there = name in self.tags
        same = self.tags.get(name) == digest
        for quirk, objects, status in (
            ("short tags", len(name) > 64 and ":" not in name, 404),
            ("refuses repetition", there and same, 409),
            ("immutable", there and not same, 409),
            ("conditions", there and exchange.headers.get("If-None-Match") == "*", 412),
            ("small manifests", len(body) > 65536, 413),
        ):
            if quirk in self.quirks and objects:
                return status
        missing = not named.issubset(self.blobs) and "takes manifests without blobs" not in self.quirks
        return 400 if missing else 0

    def _delete(self, exchange: Exchange, name: str) -> None:
        if "no deletion" in self.quirks:
            self._say(exchange, 405)
        elif name not in self.manifests:
            self._say(exchange, 404)
        else:
            del self.manifests[name]
            if "keeps deleted tags" not in self.quirks:
                self.tags = {tag: digest for tag, digest in self.tags.items() if digest != name}
            if "deletes others" in self.quirks:
                self.tags = {}
            self._say(exchange, 202)

    def _list(self, exchange: Exchange, repository: str, asked: dict[str, str]) -> None:
        if "pages of a proxy" in self.quirks and "n" in asked:
            self._say(exchange, 200, b"<html></html>")
            return
        names = sorted(name for name in self.tags if name not in self.unlisted)
        after = [name for name in names if name > asked.get("last", "")]
        headers = []
        if self.quirks & {"pages", "pages without links"}:
            size = min(int(asked.get("n", 10)), 10)
            if len(after) > size and "pages" in self.quirks:
                last = urllib.parse.urlencode({"n": size, "last": after[size - 1]})
                headers.append(("Link", f'</v2/{repository}/tags/list?{last}>; rel="next"'))
            after = after[:size]
        self._say(exchange, 200, json.dumps({"name": repository, "tags": after}).encode(), *headers)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
