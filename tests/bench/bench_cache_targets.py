"""What caches in BuildKit's format hold and cost: the figures of E3, E4 and E16 in spec/cache-experiments.md.

    python tests/bench/bench_cache_targets.py [--megabytes N] [--files N]

builds with the creator and Debian's docker-registry an app whose buildpack leaves five layers of different types, N
megabytes each, exports it in each mode, variant and compression, and builds again with an empty disk from each cache.
It prints sizes in bytes, what came back, and seconds of the whole phase; then what the keys cost.  Nothing passes or
fails.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lifecycle.files.merkle import tree_digest
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.registry.client import RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.store import RegistryStore
from lifecycle.oci.manifest import read_descriptor
from lifecycle.oci.reference import parse_reference
from parts.builds import Builds
from parts.phases import temporary_place
from parts.registry import RegistryServer

BUILD = r"""
cd "$CNB_LAYERS_DIR"
for layer in 'tools build' 'deps build launch' 'downloads cache' 'app launch' 'both cache launch'; do
    set -- $layer
    name=$1
    shift
    if [ -d "$name" ]; then echo "reused $name"; else
        mkdir -p "$name"
        seq MEGABYTES000000 | head -c MEGABYTES000000 | sed "s/^/$name/" > "$name/data"
    fi
    { echo "[types]"; for type; do echo "$type = true"; done; printf '[metadata]\nof = "%s"\n' "$name"; } > $name.toml
done
"""
MODES = [
    "mode=min",
    "mode=max",
    "mode=max,image-manifest=false",
    "mode=max,oci-mediatypes=false",
    *(
        f"mode=max,compression={each},force-compression=true"
        for each in ("gzip", "gzip,compression-level=9", "zstd", "uncompressed")
    ),
]


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=4)
    parser.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-targets-")))
        registry = stack.enter_context(RegistryServer(root / "registry"))
        client = stack.enter_context(RegistryClient(Hosts(), default_keychain({"HOME": str(root)})))
        place = stack.enter_context(temporary_place())
        builds = Builds(place, RegistryStore(client, platform=ImagePlatform()), f"{registry.host}/bench")
        script = BUILD.replace("MEGABYTES", str(arguments.megabytes))
        place.write("buildpacks/a_b/1/bin/build", f"#!/bin/sh\nset -e\n{script}")
        say(f"layers of {arguments.megabytes} MB each: tools (build), deps (build, launch), downloads (cache),")
        say("app (launch), both (cache, launch)\n")
        say(
            f"| {'-cache-to':<68} | blobs | bytes of blobs | config | manifest | seconds  | empty disk: what came back |"
        )
        say(f"|{'-' * 70}|-------|----------------|--------|----------|----------|---------------------------|")
        timed(builds, name="plain")
        builds.start_again(cache=False)
        _, plain = timed(builds, name="plain")
        for number, mode in enumerate(MODES):
            builds.start_again(cache=False)
            cache = builds.name(f"cache{number}")
            _, seconds = timed(builds, "-cache-to", f"type=registry,ref={cache},{mode}", name=f"app{number}")
            blobs, total, config, manifest = sizes(client, cache)
            builds.start_again(cache=False)
            output, _ = timed(builds, "-cache-from", cache, name=f"second{number}")
            back = sorted(line.split()[1] for line in output.splitlines() if line.startswith("reused "))
            say(
                f"| {mode:<68} | {blobs:5} | {total:14} | {config:6} | {manifest:8} | {seconds:8.2f} "
                f"| {' '.join(back):<25} |"
            )
        digests = {
            builds.image(name).reference.rpartition("@")[2]
            for number in range(len(MODES))
            for name in (f"app{number}", f"second{number}")
        }
        say(f"\n{2 * len(MODES)} app images, {len(digests)} digest(s); without -cache-to a build takes {plain:.2f} s")
        keys(root / "app", arguments.files)


def timed(builds: Builds, *more: str, name: str) -> tuple[str, float]:
    """Build and return the output and the seconds that it took."""
    started = time.perf_counter()
    done = builds.create(*more, name=name)
    seconds = time.perf_counter() - started
    if done.code != 0:
        sys.exit(done.output)
    return done.output, seconds


def sizes(client: RegistryClient, name: str) -> tuple[int, int, int, int]:
    """Return how many layers a cache has, their bytes, and those of configuration and manifest."""
    found = client.manifest(parse_reference(name))
    assert found is not None
    value = json.loads(found.data)
    listed = [read_descriptor(each, where=name) for each in (*value.get("layers", ()), *value.get("manifests", ()))]
    config = [each for each in listed if "cacheconfig" in each.media_type] or [
        read_descriptor(value["config"], where=name)
    ]
    layers = [each for each in listed if ".tar" in each.media_type]
    return len(layers), sum(each.size for each in layers), config[0].size, len(found.data)


def keys(app: Path, files: int) -> None:
    """Print what it costs to hash an app directory."""
    for number in range(files):
        path = app / str(number % 100) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number * 1000)
    size = int(subprocess.run(["du", "-sb", app], check=True, capture_output=True).stdout.split()[0])
    started = time.perf_counter()
    digest = tree_digest(app)
    seconds = time.perf_counter() - started
    say(f"key: {files} files, {size / 1e6:.0f} MB hashed in {seconds:.2f} s ({digest[:19]}…)")


if __name__ == "__main__":
    main()
