"""Layers that go from an image of one kind into one of the other."""

from dataclasses import replace

import pytest

from lifecycle.images.layout import DirectoryStore
from lifecycle.images.retyped import retyped
from lifecycle.images.store import ReusedLayer
from lifecycle.oci.manifest import DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST


def of_kind(image, manifest_type, layer_type):
    layers = tuple(replace(each, media_type=layer_type) for each in image.manifest.layers)
    return replace(image, manifest=replace(image.manifest, media_type=manifest_type, layers=layers))


@pytest.fixture
def stored(tmp_path, new_image, tar):
    store = DirectoryStore(tmp_path / "layout")
    store.write(new_image(tar(a="1")), ["app"])
    return store.find("app")


@pytest.mark.parametrize(
    ("base", "layer", "expected"),
    [
        (OCI_MANIFEST, DOCKER_LAYER_GZIP, OCI_LAYER_GZIP),
        (DOCKER_MANIFEST, OCI_LAYER_GZIP, DOCKER_LAYER_GZIP),
        (OCI_MANIFEST, OCI_LAYER_GZIP, OCI_LAYER_GZIP),
        (DOCKER_MANIFEST, OCI_LAYER_ZSTD, OCI_LAYER_ZSTD),
    ],
)
def test_a_layer_has_the_type_of_the_image_that_it_goes_to_and_the_bytes_that_it_had(stored, base, layer, expected):
    (diff_id,) = stored.config.diff_ids
    source = of_kind(stored, OCI_MANIFEST, layer)
    found = retyped(ReusedLayer(source, diff_id), of_kind(stored, base, OCI_LAYER_GZIP))
    (descriptor,) = found.image.manifest.layers
    assert (descriptor.media_type, descriptor.digest) == (expected, stored.manifest.layers[0].digest)
    assert b"".join(found.image.layer(diff_id)) == b"".join(stored.layer(diff_id))
