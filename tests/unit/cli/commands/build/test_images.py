"""The images of `lifecycle build`."""

import pytest

from lifecycle.cli.commands.build.images import BuildImages, destination
from lifecycle.cli.stores.locations import read_destination
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import ImageNotFoundError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import DirectoryStore, LayoutStore
from lifecycle.images.store import NewImage
from lifecycle.oci.config import ImageConfig


def _image(user=""):
    config = ImageConfig(
        architecture=host_platform().architecture, os="linux", diff_ids=(), run={"User": user} if user else {}
    )
    return NewImage(base=None, layers=(), config=config)


REMOTE = RemoteStores({})


def _destination(tmp_path, output="out"):
    location = read_destination(str(tmp_path / output)) if output else None
    return destination(location, tmp_path / "images", REMOTE)


def _images(tmp_path, run_image="scratch"):
    return BuildImages(_destination(tmp_path), run_image=str(run_image), remote=REMOTE)


@pytest.mark.parametrize(
    ("output", "kind"),
    [(None, LayoutStore), ("app.tar", ArchiveStore), ("app", DirectoryStore), ("app.tar.d", DirectoryStore)],
)
def test_the_output_decides_where_the_image_goes(tmp_path, output, kind):
    assert type(_destination(tmp_path, output)) is kind


def test_scratch_is_an_image_for_this_host(tmp_path):
    base = _images(tmp_path).find("scratch")
    assert (base.config.architecture, base.config.diff_ids) == (host_platform().architecture, ())


@pytest.mark.parametrize("name", ["run", "run.tar"])
def test_the_run_image_is_found_by_name_and_by_the_digest_that_is_recorded(tmp_path, name):
    path = tmp_path / name
    (ArchiveStore(path) if name.endswith(".tar") else DirectoryStore(path)).write(_image("me"), ["run"])
    images = _images(tmp_path, path)
    base = images.find(str(path))
    assert base.config.run == {"User": "me"}
    assert base.reference.startswith("sha256:")
    assert images.find(base.reference).config == base.config
    assert images.readable(str(path))


def test_everything_else_is_found_in_the_destination(tmp_path):
    images = _images(tmp_path)
    assert images.find("app") is None
    assert not images.readable("app")
    images.check_write(["app"])
    written = images.write(_image("app"), ["app"])
    assert written.names == ("app",)
    assert images.find("app").config.run == {"User": "app"}


def test_a_run_image_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(ImageNotFoundError, match="run image is not there; give --run-image"):
        _images(tmp_path, tmp_path / "missing")


def test_a_directory_without_an_image_is_no_run_image(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageNotFoundError, match="empty: holds no image"):
        _images(tmp_path, tmp_path / "empty")
