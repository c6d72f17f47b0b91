"""How long a daemon takes to get an image by `docker load`, and by a pull from a registry in this process.

    python tests/bench/daemon_export.py [--size MB] [--rounds N]

asks the daemon of DOCKER_HOST, or daemons of its own where that is unset: dockerd with a graph driver and, if it is new
enough, with containerd's store, and podman. It prints seconds, megabytes that moved to the daemon, and the ratio of both
ways for images that are alike but new each time; nothing passes or fails. The pull gets for nothing what an exporter
would have to ask for first: under which digests the daemon once pulled its layers.
"""

import argparse
import contextlib
import http.server
import io
import itertools
import os
import statistics
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from lifecycle.errors import DaemonError
from lifecycle.images.daemon.client import DaemonClient, connect
from lifecycle.images.daemon.image import DaemonImage
from lifecycle.images.daemon.store import DaemonStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage, ReusedLayer
from lifecycle.layers.blob import LayerBlob, write_blob
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    Descriptor,
    Manifest,
)
from parts.dockerd import running_dockerd
from parts.podman import running_podman

MB = 1_000_000
NUMBERS = itertools.count()


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Files:
    """A layer of many files, of which half compresses to nothing, as code does roughly."""

    def __init__(self, size: int) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for number in range(max(1, size // 100_000)):
                data = os.urandom(min(size, 100_000) // 2)
                info = tarfile.TarInfo(f"layer-{next(NUMBERS)}/{number}")
                info.size = 2 * len(data)
                archive.addfile(info, io.BytesIO(data + bytes(len(data))))
        self._tar = buffer.getvalue()

    def chunks(self) -> Iterator[bytes]:
        yield self._tar


@dataclass
class Registry:
    """What a read-only registry serves: blobs by digest, each read when it is asked for, and one manifest."""

    manifest: Manifest
    blobs: dict[str, object] = field(default_factory=dict)
    moved: int = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
            server.daemon_threads = True
            server.registry = self
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()


class Requests(http.server.BaseHTTPRequestHandler):
    """What daemons ask of a registry when they pull."""

    protocol_version = "HTTP/1.1"
    # To clients that try TLS first only an answer with a status line tells that this is plain HTTP.
    default_request_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry = self.server.registry
        data = registry.manifest.dumps()
        kind, _, digest = self.path.rpartition("/")
        if self.path == "/v2/":
            self._send("application/json", 2, "", [b"{}"])
        elif kind.endswith("/manifests"):
            self._send(registry.manifest.media_type, len(data), digest_of(data), [data])
        elif digest in registry.blobs:
            parts = (registry.manifest.config, *registry.manifest.layers)
            size = next(each.size for each in parts if each.digest == digest)
            self._send("application/octet-stream", size, digest, registry.blobs[digest]())
        else:
            self.send_error(404)

    def _send(self, kind: str, size: int, digest: str, chunks: Iterator[bytes] | list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            for chunk in chunks:
                self.wfile.write(chunk)
                self.server.registry.moved += len(chunk)

    def log_message(self, *_: object) -> None:
        pass


class Measured:
    """A client that counts what is loaded."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client
        self.moved = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def load(self, archive: Iterator[bytes]) -> None:
        def counted() -> Iterator[bytes]:
            for chunk in archive:
                self.moved += len(chunk)
                yield chunk

        self._client.load(counted())


def registry_of(image: NewImage) -> Registry:
    """Offer an image: new layers as they are stored, those of the daemon's images as tars saved on demand."""
    config = image.config.dumps()
    descriptors, blobs = [], {digest_of(config): lambda: [config]}
    base = () if image.base is None else [ReusedLayer(image.base, each) for each in image.base.config.diff_ids]
    for layer in (*base, *image.layers):
        if isinstance(layer, LayerBlob):
            descriptors.append(Descriptor(DOCKER_LAYER_GZIP, layer.size, layer.digest))
            blobs[layer.digest] = layer.chunks
        else:
            known = PULLED.get(layer.diff_id)
            size = known.size if known else layer.image.layer_size(layer.diff_id)
            descriptors.append(known or Descriptor(DOCKER_LAYER, size, layer.diff_id))
            blobs[descriptors[-1].digest] = lambda layer=layer: layer.image.layer(layer.diff_id)
    manifest = Manifest(DOCKER_MANIFEST, Descriptor(DOCKER_CONFIG, len(config), digest_of(config)), tuple(descriptors))
    return Registry(manifest, blobs)


PULLED: dict[str, Descriptor] = {}
"""The descriptors of layers that the daemon has pulled, by diffID: what an exporter would have to find out."""


def pull(client: DaemonClient, image: NewImage, name: str) -> int:
    """Let the daemon pull the image and give it its name; return the bytes that moved."""
    registry = registry_of(image)
    repository, _, tag = name.partition(":")
    with registry.serving() as host:
        for message in client._api.pull(f"{host}/{repository}", tag, stream=True, decode=True):
            if "error" in message:
                raise DaemonError(message["error"])
    client.tag(f"{host}/{repository}:{tag}", repository, tag)
    client.untag(f"{host}/{repository}:{tag}")
    return registry.moved


def load(client: DaemonClient, image: NewImage, name: str) -> int:
    """Export the image as the lifecycle does; return the bytes that moved."""
    measured = Measured(client)
    written = DaemonStore(measured).write(image, [name])
    if written.failures:
        raise DaemonError(str(written.failures))
    return measured.moved


@dataclass
class Builder:
    """Makes images of layers that no daemon has seen."""

    directory: Path

    def image(self, base: DaemonImage | None, *sizes: int, reused: tuple[ReusedLayer, ...] = ()) -> NewImage:
        start = base or scratch_image(architecture="amd64")
        layers = (*reused, *(write_blob(Files(size), self.directory) for size in sizes))
        diff_ids = (*start.config.diff_ids, *(each.diff_id for each in layers))
        return NewImage(base, layers, replace(start.config, diff_ids=diff_ids))


def measure(client: DaemonClient, size: int, rounds: int) -> None:
    """Print a row for each situation."""
    with tempfile.TemporaryDirectory() as directory:
        builder, store = Builder(Path(directory)), DaemonStore(client)
        load(client, builder.image(None, 2 * size), "bench/loaded:1")
        run = builder.image(None, 2 * size)
        PULLED.update({each.diff_id: Descriptor(DOCKER_LAYER_GZIP, each.size, each.digest) for each in run.layers})
        pull(client, run, "bench/pulled:1")
        situations = {
            "first build, run image once loaded": ("bench/loaded:1", ()),
            "first build, run image once pulled": ("bench/pulled:1", ()),
            "next build, one small layer is new": ("bench/pulled:1", (size,)),
        }
        for title, (base_name, previous) in situations.items():
            seconds: dict[str, list[float]] = {"load": [], "pull": []}
            moved: dict[str, int] = {}
            for number, way in itertools.product(range(rounds), (load, pull)):
                base, reused = store.find(base_name), ()
                name = f"bench/app-{way.__name__}:{number}"
                if previous:
                    old = builder.image(base, *previous)
                    way(client, old, name)
                    PULLED.update(
                        {each.diff_id: Descriptor(DOCKER_LAYER_GZIP, each.size, each.digest) for each in old.layers}
                    )
                    image = store.find(name)
                    reused = tuple(ReusedLayer(image, each.diff_id) for each in old.layers)
                new = builder.image(base, *((MB,) if previous else (size, MB)), reused=reused)
                started = time.perf_counter()
                moved[way.__name__] = way(client, new, name)
                seconds[way.__name__].append(time.perf_counter() - started)
            medians = {way: statistics.median(each) for way, each in seconds.items()}
            tell(
                f"  {title}: load {medians['load']:.2f} s, {moved['load'] / MB:.1f} MB;"
                f" pull {medians['pull']:.2f} s, {moved['pull'] / MB:.1f} MB;"
                f" pull/load {medians['pull'] / medians['load']:.2f}"
            )


class Temporary:
    """What pytest's factory of directories is to the daemons' fixtures."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def getbasetemp(self) -> Path:
        return self._directory

    def mktemp(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=name, dir=self._directory))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=50, help="MB of the large new layer; the run image has twice that")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        daemons = [("DOCKER_HOST", lambda: connect(os.environ))]
        if not os.environ.get("DOCKER_HOST"):
            factory = Temporary(directory)
            kinds = {
                "dockerd": running_dockerd,
                "dockerd with containerd's store": partial(running_dockerd, containerd=True),
                "podman": running_podman,
            }
            daemons = [
                (title, lambda start=start: stack.enter_context(start(factory)).client)
                for title, start in kinds.items()
            ]
        for title, start in daemons:
            tell(title)
            try:
                client = start()
                tell(f"  {client._api.version()['Version']}, containerd's image store: {client.keeps_blobs()}")
                measure(client, options.size * MB, options.rounds)
            except (pytest.skip.Exception, DaemonError) as error:
                tell(f"  {error}")


if __name__ == "__main__":
    main()
