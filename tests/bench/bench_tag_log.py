"""A shared cache that has become large: the figures of E20 in spec/cache-experiments.md.

python tests/bench/bench_tag_log.py [TAGS...]
"""

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.builders import Builders
from parts.registry import RegistryServer

LIST = """
import resource, sys, time
from lifecycle.cache.distributed.open import open_repository
from lifecycle.cache.distributed.tags import seen_of
from lifecycle.cache.specification import read_repository
from lifecycle.images.registry.client import RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.oci.digest import digest_of
client = RegistryClient(Hosts(), default_keychain({"HOME": "/nonexistent"}))
log = open_repository(read_repository(sys.argv[1]), lambda: client).log
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times, looks = [], []
for _ in range(5):
    began = time.monotonic(); names = log.names(); times.append(time.monotonic() - began)
    began = time.monotonic(); seen_of(names, digest_of(b"key")); looks.append(time.monotonic() - began)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(names), min(times) * 1000, min(looks) * 1000, (after - before) / 1024)
"""
_PROTOCOL = re.compile(r'"(\w+) /v2/shared/steps/(tags/list|manifests/[a-z]\.)\S* HTTP')
_TAGS_OF_A_STEP = ("r.{0}", "p.{0}.0.1.aaaaaaaaaaa", "a.{0}.0.1.aaaaaaaaaaa.{0}", "d.{0}.0.{0}", "u.{0}.tp4jrc")


def fill(registry: RegistryServer, tags: int) -> None:
    """Make the tags of builds that ended, as docker-registry keeps them: a listing reads the names of directories."""
    directory = registry.storage / "docker/registry/v2/repositories/shared/steps/_manifests/tags"
    one = next(iter(directory.iterdir()))
    link = (one / "current" / "link").read_text()
    for number in range(tags // len(_TAGS_OF_A_STEP)):
        for pattern in _TAGS_OF_A_STEP:
            current = directory / pattern.format(f"{number:042d}A") / "current"
            current.mkdir(parents=True)
            (current / "link").write_text(link)


def main(counts: list[int]) -> None:
    """Print one row for each number of tags."""
    sys.stdout.write(
        "| Tags | list, ms | look for a key, ms | memory, MB | requests a step: lists + tags | build, s |\n"
    )
    for count in counts:
        with tempfile.TemporaryDirectory() as root, RegistryServer(Path(root) / "registry") as registry:
            builders = Builders(Path(root) / "builders", f"{registry.host}/shared/steps")
            builders.build("first")
            fill(registry, count)
            (builders.root / "app" / "main.txt").write_text("another commit\n")
            already = len(registry.log)
            began = time.monotonic()
            built = builders.build("second")
            seconds = time.monotonic() - began
            steps = len(built.settled)
            asked = Counter(match[2] == "tags/list" for match in _PROTOCOL.finditer(registry.log[already:]))
            found = subprocess.run(
                [sys.executable, "-c", LIST, f"{registry.host}/shared/steps"],
                capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
            )  # fmt: skip
            names, listed, looked, memory = map(float, found.stdout.split())
            requests = f"{asked[True] / (steps + 1):.1f} + {asked[False] / (steps + 1):.1f}"
            sys.stdout.write(
                f"| {names:.0f} | {listed:.0f} | {looked:.1f} | {memory:.1f} | {requests} | {seconds:.1f} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [0, 10_000, 50_000])
