"""A builder with our distribution in dockerd, and what is done with the images that it makes."""

import uuid

import pytest

from parts.builder_image import FIXTURES, builder_images
from parts.skopeo import skopeo


@pytest.fixture(scope="session")
def images(tmp_path_factory, dockerd):
    return builder_images(tmp_path_factory, dockerd)


@pytest.fixture(scope="session")
def published(images, registry, dockerd):
    """Copy the run images to this worker's registry and return their names there."""
    names = [f"{registry.host}/{name}" for name in (images.run, images.patched_run)]
    for local, name in zip((images.run, images.patched_run), names, strict=True):
        skopeo(
            "copy", "--src-daemon-host", dockerd.environment["DOCKER_HOST"], "--dest-tls-verify=false",
            f"docker-daemon:{local}", f"docker://{name}",
        )  # fmt: skip
    return names


@pytest.fixture
def app():
    """An app whose process says hello."""
    return FIXTURES / "apps" / "bash-script"


@pytest.fixture
def repository():
    """Begin names of images that no other test uses with it."""
    return f"in-containers/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def start(dockerd):
    """Start an app as its users do and return what it prints."""

    def run(image, *arguments, entrypoint="", user=""):
        options = [f"--entrypoint={entrypoint}"] if entrypoint else []
        options += [f"--user={user}"] if user else []
        return dockerd.docker("run", "--rm", "--network=none", *options, image, *arguments)

    return run
