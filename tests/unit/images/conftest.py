"""Layers and images to write, made of real files."""

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import replace

import pytest

from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.oci.config import HistoryEntry


class Tar:
    """A layer with the given files."""

    def __init__(self, **files):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        self.data = buffer.getvalue()
        self.diff_id = "sha256:" + hashlib.sha256(self.data).hexdigest()

    def chunks(self):
        for start in range(0, len(self.data), 4000):
            yield self.data[start : start + 4000]


@pytest.fixture
def tar():
    return Tar


@pytest.fixture
def new_image(tmp_path):
    """Make a ``NewImage`` of tars, gzipped blobs in a directory of their own."""
    blobs = tmp_path / "blobs-of-the-build"
    blobs.mkdir()

    def make(*tars, base=None, reused=(), **config):
        start = base or scratch_image(architecture="amd64")
        layers = (*(write_blob(each, blobs) for each in tars), *reused)
        diff_ids = (*start.config.diff_ids, *(layer.diff_id for layer in layers))
        history = tuple(
            HistoryEntry(created="2020-01-01T00:00:00Z", created_by=f"step {n}") for n in range(len(diff_ids))
        )
        return NewImage(base, layers, replace(start.config, diff_ids=diff_ids, history=history, **config))

    return make


@pytest.fixture
def content():
    """Return the bytes of all layers of an image."""
    return lambda image: [b"".join(image.layer(diff_id)) for diff_id in image.config.diff_ids]


@pytest.fixture
def tool():
    """Run a program that reads layouts, or skip and say that it is missing."""

    def run(name, *args):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed, so nothing but this project has read the layout")
        return subprocess.run([name, *map(str, args)], check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture
def gunzip():
    return gzip.decompress
