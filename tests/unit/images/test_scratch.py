"""The built-in empty run image."""

import pytest

from lifecycle.errors import CorruptImageError
from lifecycle.images.scratch import scratch_image
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.oci.manifest import OCI_CONFIG, OCI_MANIFEST


def test_it_has_a_platform_and_nothing_else():
    image = scratch_image(os="linux", architecture="arm", variant="v7")
    data = (
        b'{"architecture":"arm","created":"0001-01-01T00:00:00Z","os":"linux",'
        b'"rootfs":{"type":"layers","diff_ids":[]},"config":{},"variant":"v7"}'
    )
    assert image.config.dumps() == data
    assert image.manifest.media_type == OCI_MANIFEST
    assert image.manifest.layers == ()
    assert (image.manifest.config.media_type, image.manifest.config.digest) == (OCI_CONFIG, digest_of(data))
    assert (image.name, image.reference) == ("scratch", "scratch")
    with pytest.raises(CorruptImageError):
        list(image.layer(DiffId("sha256:" + "0" * 64)))
