"""Where people say that an image is."""

import tarfile

import pytest

from lifecycle.cli.stores.locations import Location, Place, read_destination, read_source
from lifecycle.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("scratch", Location(Place.SCRATCH, "scratch")),
        ("debian:12", Location(Place.REGISTRY, "debian:12")),
        ("docker://debian:12", Location(Place.REGISTRY, "debian:12")),
        ("docker:5000/app", Location(Place.REGISTRY, "docker:5000/app")),
        ("localhost:5000/app@sha256:" + 64 * "0", Location(Place.REGISTRY, "localhost:5000/app@sha256:" + 64 * "0")),
        ("docker-daemon:debian:12", Location(Place.DAEMON, "debian:12")),
        ("oci:some/dir", Location(Place.LAYOUT, "some/dir")),
        ("oci-archive:a.tar", Location(Place.ARCHIVE, "a.tar")),
        ("docker-archive:a.tar", Location(Place.DOCKER_ARCHIVE, "a.tar")),
        ("./missing", Location(Place.LAYOUT, "./missing")),
        ("missing.tar", Location(Place.LAYOUT, "missing.tar")),
    ],
)
def test_a_source_is_a_place_and_a_name(text, location):
    assert read_source(text) == location


@pytest.mark.parametrize(
    ("text", "place", "image"),
    [
        ("oci:{}/a:b:app:1", Place.LAYOUT, "app:1"),
        ("{}/a:b:app:1", Place.LAYOUT, "app:1"),
        ("{}/a:b", Place.LAYOUT, ""),
        ("oci-archive:{}/a:b:app", Place.ARCHIVE, "app"),
        (f"oci:{{}}/a:b@sha256:{'0' * 64}", Place.LAYOUT, f"@sha256:{'0' * 64}"),
    ],
)
def test_the_name_of_an_image_may_follow_the_path_of_its_files(tmp_path, text, place, image):
    (tmp_path / "a:b").mkdir()
    found = read_source(text.format(tmp_path))
    assert found == Location(place, f"{tmp_path}/a:b", image)
    assert found.name_in_store == image
    assert read_source(str(found)) == found


@pytest.mark.parametrize("text", ["scratch", "docker://debian:12", "docker-daemon:debian:12", "oci:some/dir"])
def test_a_place_is_written_as_it_is_read(text):
    assert str(read_source(text)) == text


@pytest.mark.parametrize(
    ("members", "place"),
    [
        (["manifest.json"], Place.DOCKER_ARCHIVE),
        (["manifest.json", "index.json"], Place.ARCHIVE),
        (["./index.json"], Place.ARCHIVE),
        ([], Place.ARCHIVE),
    ],
)
def test_archives_are_told_apart_by_what_is_in_them(tmp_path, members, place):
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as archive:
        for name in members:
            archive.addfile(tarfile.TarInfo(name))
    assert read_source(str(path)) == Location(place, str(path))


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("registry", Location(Place.REGISTRY, "")),
        ("daemon", Location(Place.DAEMON, "")),
        ("out", Location(Place.LAYOUT, "out")),
        ("out.tar", Location(Place.ARCHIVE, "out.tar")),
        ("./a:b", Location(Place.LAYOUT, "./a:b")),
        ("oci:out.tar", Location(Place.LAYOUT, "out.tar")),
        ("docker-archive:out.tar", Location(Place.DOCKER_ARCHIVE, "out.tar")),
    ],
)
def test_a_destination_is_a_kind_of_place_or_a_path(text, location):
    assert read_destination(text) == location


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("docker://my/app", "--output registry --tag my/app"), ("docker-daemon:app", "--output daemon --tag app")],
)
def test_a_destination_that_names_an_image_is_told_how_to_say_it(text, remedy):
    with pytest.raises(InvalidInputError, match=remedy):
        read_destination(text)


@pytest.mark.parametrize("text", ["localhost:5000/app", "containers-storage:app", "type=oci,dest=a.tar"])
def test_a_destination_of_another_kind_is_told_which_there_are(text):
    with pytest.raises(InvalidInputError, match=r"no kind of place; write registry with the name in --tag"):
        read_destination(text)


@pytest.mark.parametrize("text", ["oci:", "docker-daemon:", "docker://", "scratch:x"])
def test_a_place_without_a_name_is_refused(text):
    with pytest.raises(InvalidInputError, match="does not say which image"):
        read_source(text)
