"""Listings and collections of caches with many tags: ``python tests/bench/bench_cache_gc.py`` prints a table.

A registry's tags are written into its storage as docker-registry does, because pushing 50,000 of them takes too long.
"""

import argparse
import hashlib
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lifecycle.cache.distributed.collect import Collector
from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.registry_log import EMPTY_BLOB, marker
from lifecycle.cache.distributed.registry_repository import RegistryRepository
from lifecycle.cache.distributed.retention import Policy
from lifecycle.cache.distributed.retention_tags import Used
from lifecycle.cache.distributed.tags import Decided, Hint, Stored, seen_of
from lifecycle.images.registry.client import RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.oci.digest import digest_of
from lifecycle.oci.reference import parse_reference
from parts.registry import RegistryServer

TAGS_OF_STEP = 4


def names(steps: int, now: int):
    """The tags that steps of long ago leave once their ballots were tidied away."""
    for number in range(steps):
        key, value = digest_of(b"key %d" % number), digest_of(b"value %d" % number)
        yield Stored(value).name
        yield Decided(key, 0, value).name
        yield Used(value, now - 86400 * (1 + number % 60)).name
        yield Hint("g" * 22, number, value).name


def fill_directory(path: Path, steps: int) -> None:
    tags = path / "tags"
    tags.mkdir(parents=True)
    for name in names(steps, int(time.time())):
        (tags / name).touch()


def fill_registry(registry: RegistryServer, steps: int) -> None:
    root = registry.storage / "docker/registry/v2"
    manifests = root / "repositories/many/tags/_manifests"
    for name in names(steps, int(time.time())):
        data = marker(name)
        hexadecimal = hashlib.sha256(data).hexdigest()
        for link in (
            manifests / "revisions/sha256" / hexadecimal / "link",
            manifests / "tags" / name / "current/link",
            manifests / "tags" / name / "index/sha256" / hexadecimal / "link",
        ):
            link.parent.mkdir(parents=True)
            link.write_text(f"sha256:{hexadecimal}")
        blob = root / "blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)


def measure(title: str, repository, *, delete: int) -> None:
    began = time.perf_counter()
    found = repository.log.names()
    listing = time.perf_counter() - began
    began = time.perf_counter()
    seen_of(found, digest_of(b"key 5"))
    looking = time.perf_counter() - began
    began = time.perf_counter()
    key, value = digest_of(b"a new key"), digest_of(b"a new value")
    propose(repository.log, key, value)
    proposing = time.perf_counter() - began
    collector = Collector(repository, Policy(policies=()), grace=0)
    began = time.perf_counter()
    planned = collector.plan()
    planning = time.perf_counter() - began
    tracemalloc.start()
    collector.plan()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    began = time.perf_counter()
    for name in sorted(found)[:delete]:
        repository.log.remove(name)
    each = (time.perf_counter() - began) / delete * 1000
    size = sum(map(len, found)) / 1e6
    sys.stdout.write(
        f"| {title} | {len(found):,} | {size:.1f} | {listing * 1000:.0f} | {looking * 1000:.0f} | {proposing:.2f} | "
        f"{planning:.1f} | {peak:.0f} | {len(planned.rows):,} | {each:.1f} |\n"
    )
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tags", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--directory", type=Path, default=None, help="where to work; a tmpfs for memory")
    arguments = parser.parse_args()
    titles = "Tags", "MB of names", "List, ms", "Look, ms", "Propose, s", "gc --dry-run, s", "its MB", "Records"
    sys.stdout.write(f"| Place | {' | '.join(titles)} | Delete, ms |\n")
    for count in arguments.tags:
        with tempfile.TemporaryDirectory(dir=arguments.directory) as work:
            fill_directory(Path(work, "shared"), count // TAGS_OF_STEP)
            measure("directory", FileRepository(Path(work, "shared")), delete=20)
        with tempfile.TemporaryDirectory(dir=arguments.directory) as work, RegistryServer(Path(work)) as registry:
            client = RegistryClient(Hosts(), default_keychain({"HOME": "/nonexistent"}))
            location = parse_reference(f"{registry.host}/many/tags")
            client.upload_blob(location, EMPTY_BLOB, lambda: iter((b"{}",)))
            fill_registry(registry, count // TAGS_OF_STEP)
            measure("docker-registry", RegistryRepository(client, location), delete=20)


if __name__ == "__main__":
    main()
