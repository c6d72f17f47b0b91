"""A registry on loopback with layers of any size, which it generates while it sends them, and keeps no upload."""

import hashlib
import json
import random
import re
import tarfile
import urllib.parse
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from parts.http_server import Exchange, LoopbackServer
from parts.skopeo import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST

_BLOCK = 1024 * 1024
_NAME = r"/v2/(?P<repository>[^?]+)"


@dataclass(frozen=True)
class SyntheticLayer:
    """A tar archive with one file, `path`, of `size` bytes that hardly compress; the same bytes for the same values.

    Nothing of it is stored. With "gzip" it is wrapped without being made smaller.
    """

    size: int
    path: str = "opt/large"
    seed: int = 0
    compression: Literal["none", "gzip"] = "none"

    @property
    def media_type(self) -> str:
        return OCI_LAYER if self.compression == "none" else f"{OCI_LAYER}+gzip"

    @property
    def digest(self) -> str:
        return self._known[0]

    @property
    def diff_id(self) -> str:
        return self._known[1]

    @property
    def blob_size(self) -> int:
        return self._known[2]

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.blob_size}

    def chunks(self) -> Iterator[bytes]:
        """The blob, in pieces of about a MiB."""
        if self.compression == "none":
            yield from self._tar()
            return
        compressor = zlib.compressobj(0, wbits=31)
        for data in self._tar():
            if packed := compressor.compress(data):
                yield packed
        yield compressor.flush()

    def file_chunks(self) -> Iterator[bytes]:
        """The contents of the file."""
        block = random.Random(self.seed).randbytes(_BLOCK)
        for offset in range(0, self.size, _BLOCK):
            yield (offset.to_bytes(8, "big") + block[8:])[: self.size - offset]

    def _tar(self) -> Iterator[bytes]:
        entry = tarfile.TarInfo(self.path)
        entry.size = self.size
        yield entry.tobuf(tarfile.PAX_FORMAT)
        yield from self.file_chunks()
        yield bytes(-self.size % 512 + 1024)

    @cached_property
    def _known(self) -> tuple[str, str, int]:
        blob, tar, size = hashlib.sha256(), hashlib.sha256(), 0
        for data in self.chunks():
            blob.update(data)
            size += len(data)
        if self.compression == "none":
            tar = blob
        else:
            for data in self._tar():
                tar.update(data)
        return f"sha256:{blob.hexdigest()}", f"sha256:{tar.hexdigest()}", size


@dataclass
class _Upload:
    hash: Any = field(default_factory=hashlib.sha256)
    size: int = 0


class SyntheticRegistry(LoopbackServer):
    """Serves what `add_image` made, in any repository, and takes pushes, of which it checks digests and drops bytes.

    `uploaded` maps the digests of blobs that were pushed to their sizes; manifests that were pushed can be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ca_file = None
        self.client_cert = None
        self.username = ""
        self.password = ""
        self.uploaded: dict[str, int] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        """Media type and bytes by "<repository>:<tag>" and by digest."""
        self._layers: dict[str, SyntheticLayer] = {}
        self._small: dict[str, bytes] = {}
        self._uploads: dict[str, _Upload] = {}

    def add_image(self, repository: str, layers: Sequence[SyntheticLayer], tag: str = "latest") -> str:
        """Serve an OCI image for linux/amd64 of these layers; its manifest's digest."""
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            }
        ).encode()
        config_digest = _digest(config)
        self._small[config_digest] = config
        self._layers |= {layer.digest: layer for layer in layers}
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": config_digest, "size": len(config)},
                "layers": [layer.descriptor for layer in layers],
            }
        ).encode()
        return self._keep(repository, tag, OCI_MANIFEST, manifest)

    def answer(self, exchange: Exchange) -> None:
        path, _, query = exchange.path.partition("?")
        if path == "/v2/":
            exchange.answer(200, b"{}")
        elif found := re.fullmatch(rf"{_NAME}/manifests/(?P<name>[^/]+)", path):
            self._manifest(exchange, found["repository"], found["name"])
        elif found := re.fullmatch(rf"{_NAME}/blobs/uploads/(?P<upload>[^/]*)", path):
            digest = dict(urllib.parse.parse_qsl(query)).get("digest", "")
            self._upload(exchange, found["repository"], found["upload"], digest)
        elif found := re.fullmatch(rf"{_NAME}/blobs/(?P<digest>[^/]+)", path):
            self._blob(exchange, found["digest"])
        else:
            _fail(exchange, 404, "NOT_FOUND")

    def _manifest(self, exchange: Exchange, repository: str, name: str) -> None:
        if exchange.method == "PUT":
            data = b"".join(exchange.body())
            media_type = exchange.headers.get("Content-Type") or ""
            exchange.answer(201, headers=[("Docker-Content-Digest", self._keep(repository, name, media_type, data))])
            return
        kept = self.manifests.get(name if ":" in name else f"{repository}:{name}")
        if kept is None:
            _fail(exchange, 404, "MANIFEST_UNKNOWN")
            return
        media_type, data = kept
        told = [("Content-Type", media_type), ("Docker-Content-Digest", _digest(data))]
        exchange.answer(200, data, told)

    def _keep(self, repository: str, name: str, media_type: str, data: bytes) -> str:
        digest = _digest(data)
        self.manifests[digest] = (media_type, data)
        if ":" not in name:
            self.manifests[f"{repository}:{name}"] = (media_type, data)
        return digest

    def _blob(self, exchange: Exchange, digest: str) -> None:
        small, layer = self._small.get(digest), self._layers.get(digest)
        if small is not None:
            size, chunks = len(small), iter([small])
        elif layer is not None:
            size, chunks = layer.blob_size, layer.chunks()
        elif digest in self.uploaded and exchange.method == "HEAD":
            size, chunks = self.uploaded[digest], iter(())
        else:
            _fail(exchange, 404, "BLOB_UNKNOWN")
            return
        asked = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("Range") or "")
        first = int(asked[1]) if asked else 0
        if asked and first >= size:
            exchange.answer(416, headers=[("Content-Range", f"bytes */{size}")])
            return
        told = [("Content-Length", str(size - first)), ("Docker-Content-Digest", digest)]
        if asked:
            told.append(("Content-Range", f"bytes {first}-{size - 1}/{size}"))
        exchange.start(206 if asked else 200, [("Content-Type", "application/octet-stream"), *told])
        if exchange.method == "GET":
            for data in chunks:
                exchange.write(data[first:])
                first = max(0, first - len(data))

    def _upload(self, exchange: Exchange, repository: str, name: str, digest: str) -> None:
        if exchange.method == "POST" and not name:
            name = uuid.uuid4().hex
            self._uploads[name] = _Upload()
        upload = self._uploads.get(name)
        if upload is None:
            _fail(exchange, 404, "BLOB_UPLOAD_UNKNOWN")
            return
        begins = re.match(r"(?:bytes )?(\d+)-", exchange.headers.get("Content-Range") or "")
        if begins and int(begins[1]) != upload.size:
            exchange.answer(416, headers=_place(repository, name, upload))
            return
        for data in exchange.body():
            upload.hash.update(data)
            upload.size += len(data)
        match exchange.method:
            case "POST" | "PUT" if digest:
                del self._uploads[name]
                if digest != f"sha256:{upload.hash.hexdigest()}":
                    _fail(exchange, 400, "DIGEST_INVALID")
                    return
                self.uploaded[digest] = upload.size
                exchange.answer(201, headers=[("Location", f"/v2/{repository}/blobs/{digest}")])
            case "POST" | "PATCH":
                exchange.answer(202, headers=_place(repository, name, upload))
            case "GET":
                exchange.answer(204, headers=_place(repository, name, upload))
            case "DELETE":
                del self._uploads[name]
                exchange.answer(204)
            case _:
                _fail(exchange, 405, "UNSUPPORTED")


def _place(repository: str, name: str, upload: _Upload) -> list[tuple[str, str]]:
    return [
        ("Location", f"/v2/{repository}/blobs/uploads/{name}"),
        ("Range", f"0-{max(0, upload.size - 1)}"),
        ("Docker-Upload-UUID", name),
    ]


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _fail(exchange: Exchange, status: int, code: str) -> None:
    body = json.dumps({"errors": [{"code": code, "message": "the synthetic registry says so"}]}).encode()
    exchange.answer(status, body, [("Content-Type", "application/json")])
