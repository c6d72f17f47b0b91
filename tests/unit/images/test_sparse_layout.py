"""Images that restorer, extender and exporter hand to each other."""

from dataclasses import replace

import pytest

from lifecycle.errors import ImageError
from lifecycle.images.layout import DirectoryStore, LayoutStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.sparse_layout import find_base, save_base, save_extended
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.layers.members import Members, made_directory
from lifecycle.phases.extended_run_image import extended_layout
from parts.skopeo import push_image


def layer(directory, name):
    return write_blob(Members((made_directory(name),)), directory)


@pytest.fixture
def base(tmp_path):
    """An image in a layout that has all its blobs."""
    empty = scratch_image(architecture="amd64")
    blob = layer(tmp_path, b"/base")
    config = replace(empty.config, diff_ids=(blob.diff_id,), run={"User": "1000"})
    LayoutStore(tmp_path / "images").write(NewImage(empty, (blob,), config), ["base"])
    return LayoutStore(tmp_path / "images").find("base")


def extended(base, blob):
    return replace(base.config, diff_ids=(*base.config.diff_ids, blob.diff_id))


def test_an_extended_image_has_the_blobs_of_its_own_layers_alone(tmp_path, base):
    blob = layer(tmp_path, b"/new")
    path = save_extended(tmp_path / "extended" / "run", base, extended(base, blob), [blob])
    assert path == extended_layout(tmp_path / "extended")
    found = DirectoryStore(path).find("")
    assert path.name == found.reference.rpartition("@")[2]
    assert [found.has_blob(each) for each in found.manifest.layers] == [False, True]
    assert found.manifest.layers[0].digest == base.manifest.layers[0].digest


def test_it_takes_the_place_of_what_an_earlier_build_left(tmp_path, base):
    for name in (b"/one", b"/two"):
        blob = layer(tmp_path, name)
        path = save_extended(tmp_path / "extended" / "run", base, extended(base, blob), [blob])
    assert extended_layout(tmp_path / "extended") == path
    assert [each.name for each in (tmp_path / "extended").iterdir()] == ["run"]


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_manifest_and_configuration_of_a_base_are_kept_byte_for_byte(tmp_path, registry, registry_store, form):
    pushed = push_image(registry, f"sparse/{form}", form=form, config={"User": "1:2", "Env": ["A=b"]})
    path = save_base(registry_store.find(pushed.reference), tmp_path / "base")
    assert (path / "blobs" / "sha256" / pushed.digest.removeprefix("sha256:")).read_bytes() == pushed.data
    found = find_base(tmp_path / "base", pushed.by_digest)
    assert found.config.run == {"User": "1:2", "Env": ["A=b"]}
    assert not any(found.has_blob(each) for each in found.manifest.layers)


def test_a_base_that_was_not_kept_is_told(tmp_path):
    with pytest.raises(ImageError, match="is no digest reference; let the restorer prepare"):
        find_base(tmp_path, "registry.example/run:1")
    with pytest.raises(ImageError, match="there is no base image sha256:0000"):
        find_base(tmp_path, f"registry.example/run@sha256:{'0' * 64}")
