"""Manifests and indexes from outside."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError
from lifecycle.oci.manifest import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, read_index, read_manifest

DIGEST = "sha256:" + "a" * 64
CONFIG = {"mediaType": OCI_CONFIG, "size": 2, "digest": DIGEST}
LAYER = {
    "mediaType": OCI_LAYER_GZIP,
    "size": 9,
    "digest": DIGEST,
    "annotations": {"a": "b"},
    "urls": ["https://x"],
}
MANIFEST = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_a_manifest_is_written_as_it_was_read():
    text = json.dumps(
        {
            **MANIFEST,
            "layers": [
                {
                    "mediaType": OCI_LAYER_GZIP,
                    "size": 9,
                    "digest": DIGEST,
                    "urls": ["u"],
                    "annotations": {"a": "b"},
                }
            ],
            "annotations": {"c": "d"},
        },
        separators=(",", ":"),
    ).encode()
    assert read_manifest(text, where="x").dumps() == text


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "has no layers"),
        (json.dumps({"layers": {}}).encode(), "has no layers"),
        (json.dumps({"layers": []}).encode(), "descriptor that is not an object"),
        (json.dumps({**MANIFEST, "layers": ["x"]}).encode(), "descriptor that is not an object"),
        (json.dumps({**MANIFEST, "config": {**CONFIG, "digest": "sha256:x"}}).encode(), "digest 'sha256:x'"),
        (json.dumps({**MANIFEST, "config": {**CONFIG, "digest": 1}}).encode(), "digest 1"),
        (json.dumps({**MANIFEST, "config": {**CONFIG, "size": -1}}).encode(), "size -1"),
        (json.dumps({**MANIFEST, "config": {**CONFIG, "size": True}}).encode(), "size True"),
        (json.dumps({**MANIFEST, "config": {**CONFIG, "size": "2"}}).encode(), "size '2'"),
        (json.dumps({**MANIFEST, "annotations": ["x"]}).encode(), "annotations"),
        (json.dumps({**MANIFEST, "layers": [{**LAYER, "urls": 5}]}).encode(), "urls"),
        (json.dumps({**MANIFEST, "layers": [{**LAYER, "annotations": "x"}]}).encode(), "annotations"),
    ],
)
def test_what_is_no_manifest_is_a_corrupt_image(data, problem):
    with pytest.raises(CorruptImageError, match=problem) as caught:
        read_manifest(data, where="some image")
    assert caught.value.where == "some image"


@given(st.sampled_from(["urls", "annotations", "platform", "mediaType", "size", "digest"]), JSON)
def test_any_value_of_a_descriptor_is_read_or_refused(key, value):
    data = json.dumps({**MANIFEST, "layers": [{**LAYER, key: value}]}).encode()
    try:
        manifest = read_manifest(data, where="x")
    except CorruptImageError:
        return
    assert read_manifest(manifest.dumps(), where="x").layers[0].digest == manifest.layers[0].digest


def test_an_index_lists_its_manifests_with_their_platforms():
    platform = {"os": "linux", "architecture": "arm64"}
    data = json.dumps({"manifests": [{**CONFIG, "mediaType": OCI_MANIFEST, "platform": platform}]}).encode()
    (found,) = read_index(data, where="x")
    assert (found.media_type, found.size, found.platform) == (OCI_MANIFEST, 2, platform)


@pytest.mark.parametrize("data", [b"{}", b'{"manifests": {}}', b'{"manifests": [1]}', b"null"])
def test_what_is_no_index_is_a_corrupt_image(data):
    with pytest.raises(CorruptImageError):
        read_index(data, where="x")
