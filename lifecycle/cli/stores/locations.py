"""Where people say that an image is: in a registry, in a Docker daemon, or in files.

The words before the colon are those of skopeo, podman and buildah; without one, a path is told from a name by
how it looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lifecycle.errors import InvalidInputError
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.oci.digest import is_digest


class Place(StrEnum):
    """A kind of place for images."""

    SCRATCH = "scratch"
    REGISTRY = "docker"
    DAEMON = "docker-daemon"
    LAYOUT = "oci"
    ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"


IN_FILES = frozenset({Place.LAYOUT, Place.ARCHIVE, Place.DOCKER_ARCHIVE})
_TAR = ".tar"
_PATH = ("/", "./", "../", "~")


@dataclass(frozen=True, slots=True)
class Location:
    """A place and the image's name there: a reference, or a path for places in files.

    Of several images in files ``image`` is the one meant, a tag or ``@<digest>``; it is empty where there is only one.
    """

    place: Place
    name: str
    image: str = ""

    @property
    def path(self) -> Path:
        """The path of a place in files."""
        return Path(self.name)

    @property
    def name_in_store(self) -> str:
        """The name by which the store of the place finds the image."""
        return self.image if self.place in IN_FILES else self.name

    def __str__(self) -> str:
        if self.place is Place.SCRATCH:
            return self.name
        slashes = "//" if self.place is Place.REGISTRY else ""
        colon = ":" if self.image and not self.image.startswith("@") else ""
        return f"{self.place}:{slashes}{self.name}{colon}{self.image}"


def read_source(text: str) -> Location:
    """Read the place of an image that is there, such as a run image.

    ``docker://NAME``, ``docker-daemon:NAME``, ``oci:DIRECTORY``, ``oci-archive:FILE``, ``docker-archive:FILE`` or
    ``scratch``; else what begins like a path, ends in ``.tar`` or exists is a path, and anything else a name in a
    registry.  A tag or ``@<digest>`` may follow a path, as skopeo has it.
    Raises ``InvalidInputError``.
    """
    if text == Place.SCRATCH:
        return Location(Place.SCRATCH, text)
    explicit = _explicit(text)
    if explicit is not None and explicit.place not in IN_FILES:
        return explicit
    if explicit is not None:
        return Location(explicit.place, *_named(explicit.name))
    if text.startswith(_PATH) or text.endswith(_TAR) or Path(text).exists():
        path, image = _named(text)
        return Location(_kind_of_path(Path(path)), path, image)
    return Location(Place.REGISTRY, text)


def read_destination(text: str) -> Location:
    """Read where an image goes: ``registry``, ``daemon``, a place in files, or a path.

    A path ending in ``.tar`` is an OCI archive, any other a layout directory.  The image's names in a registry or
    daemon are its tags.  Raises ``InvalidInputError``.
    """
    if text in {"registry", "daemon"}:
        return Location(Place.REGISTRY if text == "registry" else Place.DAEMON, "")
    explicit = _explicit(text)
    if explicit is None:
        if ":" in text.partition("/")[0] or text.startswith("type="):
            raise InvalidInputError(
                f"{text!r} is no kind of place",
                remedy="write registry with the name in --tag, daemon, a directory, FILE.tar, oci:DIR, "
                "oci-archive:FILE or docker-archive:FILE",
            )
        return Location(Place.ARCHIVE if text.endswith(_TAR) else Place.LAYOUT, text)
    if explicit.place not in IN_FILES:
        word = "registry" if explicit.place is Place.REGISTRY else "daemon"
        raise InvalidInputError(
            f"{text!r} names an image where a kind of place is wanted",
            remedy=f"write --output {word} --tag {explicit.name}",
        )
    return explicit


def read_platform(text: str, *, option: str = "--platform") -> ImagePlatform:
    """Read ``os/architecture`` or ``os/architecture/variant``; raise ``InvalidInputError`` for anything else."""
    match text.split("/"):
        case [os, architecture] if os and architecture:
            return ImagePlatform(os, architecture)
        case [os, architecture, variant] if os and architecture and variant:
            return ImagePlatform(os, architecture, variant)
    raise InvalidInputError(f"{option} {text!r} is no platform", remedy=f"write {option} linux/arm64, for example")


def _explicit(text: str) -> Location | None:
    word, colon, rest = text.partition(":")
    if not colon or word not in list(Place):
        return None
    place = Place(word)
    if place is Place.REGISTRY:
        if not rest.startswith("//"):
            return None
        rest = rest.removeprefix("//")
    if not rest or place is Place.SCRATCH:
        wanted = "PATH" if place in IN_FILES else "NAME"
        slashes = "//" if place is Place.REGISTRY else ""
        raise InvalidInputError(f"{text!r} does not say which image", remedy=f"write {word}:{slashes}{wanted}")
    return Location(place, rest)


def _named(text: str) -> tuple[str, str]:
    """Split the name of an image from the path of its files.  A path may have colons, and so may a name."""
    if Path(text).exists():
        return text, ""
    path, at, digest = text.rpartition("@")
    if at and is_digest(digest):
        return path, f"@{digest}"
    ends = (index for index, char in enumerate(text) if char == ":" and text[index + 1 :])
    end = next((end for end in ends if Path(text[:end]).exists()), None)
    return (text, "") if end is None else (text[:end], text[end + 1 :])


def _kind_of_path(path: Path) -> Place:
    """Tell the kinds of files apart by what is in them: a Docker archive lists images in manifest.json only."""
    if not path.is_file():
        return Place.LAYOUT
    import tarfile

    try:
        with tarfile.open(path, mode="r:") as archive:
            names = {member.name.removeprefix("./") for member in archive}
    except (tarfile.TarError, OSError):
        return Place.ARCHIVE
    return Place.DOCKER_ARCHIVE if "manifest.json" in names and "index.json" not in names else Place.ARCHIVE
