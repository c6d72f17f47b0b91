"""Builds of several buildpacks whose layers come from named caches, with images in a real registry."""

import hashlib
import itertools
import json
import os
import re
import shutil
import tomllib
from dataclasses import dataclass

import pytest

from lifecycle.images.layout import DirectoryStore
from lifecycle.images.store import NewImage, ReusedLayer
from parts.builds import Builds

_NUMBERS = itertools.count()

# Reuses what comes back whole, and makes the same bytes anew otherwise: images do not tell which.
BUILD = r"""
cd "$CNB_LAYERS_DIR"
id=$(basename "$PWD")
say() { echo "made $id:$1"; }
write() {
    name=$1; shift
    { echo "[types]"; for type; do echo "$type = true"; done; echo "[metadata]"; echo 'version = "1"'; } > $name.toml
}
for layer in deps; do
    if [ -e $layer.toml ] && [ -e $layer/data ]; then echo "kept $id:$layer"; else
        say $layer; mkdir -p $layer; echo "deps of $id" > $layer/data; fi
    write $layer launch cache
done
if [ -e run.toml ]; then echo "kept $id:run"; else say run; mkdir -p run; echo "run of $id" > run/data; fi
write run launch
"""
TOML = 'api = "0.10"\n[buildpack]\nid = "{}"\nversion = "1"\n[[targets]]\nos = "linux"\n'


@dataclass
class CacheBuilds(Builds):
    """Builds with an order for each; images are named as in ``Builds``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in "abcde":
            root = f"buildpacks/{name}/1"
            self.place.write(f"{root}/buildpack.toml", TOML.format(name))
            self.place.write(f"{root}/bin/detect", "#!/bin/sh\nexit 0\n")
            self.place.write(f"{root}/bin/build", f"#!/bin/sh\n{BUILD}\n")

    def order(self, buildpacks):
        """Let the next builds have these buildpacks."""
        groups = "".join(f'[[order.group]]\nid = "{each}"\nversion = "1"\n' for each in buildpacks)
        self.place.write("layers/order.toml", f"[[order]]\n{groups}")

    def build(self, *arguments, name, buildpacks=None, code=0, **more):
        """Create an image on an empty disk."""
        if buildpacks is not None:
            self.order(buildpacks)
        self.start_again(cache=False)
        done = self.create(*arguments, name=name, **more)
        assert done.code == code, done.output
        return done

    def report(self):
        """Return report.toml."""
        return tomllib.loads((self.place.layers / "report.toml").read_text())

    def to_layout(self, name, path):
        """Copy an image of the registry to a layout."""
        image = self.image(name)
        layers = tuple(ReusedLayer(image, each) for each in image.config.diff_ids)
        DirectoryStore(path).write(NewImage(None, layers, image.config), ["latest"])
        return path

    def readable(self, path):
        """Let the user of the phases read a directory that this one made."""
        if os.geteuid() == 0:
            for each in (path, *path.rglob("*")):
                os.chown(each, *self.ids, follow_symlinks=False)
        return path

    def keep_cache(self, path):
        """Keep the cache directory of the last build elsewhere."""
        shutil.copytree(self.place.root / "cache", path)
        return self.readable(path)


def pytest_terminal_summary(terminalreporter):
    """Print the figures of experiments, for spec/cache-experiments.md."""
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: "
        + ", ".join(f"{name} {value}" for name, value in report.user_properties)
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and report.user_properties
    ]
    if lines:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in lines))


def check_blobs(registry, image):
    """Read every blob of an image in the registry's storage and compare it with its digest; return how many."""
    manifest = json.loads(registry.blob_path(image.reference.rpartition("@")[2]).read_bytes())
    digests = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
    for digest in digests:
        assert "sha256:" + hashlib.sha256(registry.blob_path(digest).read_bytes()).hexdigest() == digest
    return len(digests)


@pytest.fixture(name="check_blobs")
def check_blobs_fixture():
    return check_blobs


def made(done):
    """Return the layers that buildpacks made."""
    return set(re.findall(r"^made (\S+)$", done.output, re.MULTILINE))


@pytest.fixture(name="made")
def made_fixture():
    return made


@pytest.fixture
def builds(place, registry, registry_store):
    return CacheBuilds(place, registry_store, f"{registry.host}/cache-{next(_NUMBERS)}")


@pytest.fixture
def own_builds(place, own_registry, registry_store):
    """As ``builds``, in a registry whose storage the test may damage."""
    return CacheBuilds(place, registry_store, f"{own_registry.host}/cache-{next(_NUMBERS)}")
