"""Places of shared caches by the ways in which builders agree there."""

import pytest

from lifecycle.cache.distributed.open import open_unsigned
from lifecycle.cache.specification import read_repository
from parts.conditional_registry import ConditionalRegistry
from parts.etcd import Etcd

IMMUTABLE = b'{"errors": [{"code": "TAG_INVALID", "message": "The image tag already exists and is immutable"}]}'


@pytest.fixture(scope="module")
def etcd(tmp_path_factory):
    with Etcd(tmp_path_factory.mktemp("etcd")) as started:
        yield started


@pytest.fixture(scope="module")
def conditional(registry):
    with ConditionalRegistry(registry.host) as started:
        yield started


@pytest.fixture(scope="module")
def immutable(registry):
    with ConditionalRegistry(registry.host, status=400, body=IMMUTABLE) as started:
        yield started


@pytest.fixture
def place(request, tmp_path, registry):
    """Return the value of -cache-repo for a way."""
    name = f"sync/{request.node.name.replace('[', '-').rstrip(']')}".lower().replace("_", "-")[:120]
    match request.param:
        case "directory":
            return str(tmp_path / "shared")
        case "cas":
            return f"{request.getfixturevalue('conditional').host}/{name},sync=cas"
        case "immutable":
            return f"{request.getfixturevalue('immutable').host}/{name},sync=cas"
        case "lock":
            return f"{registry.host}/{name},sync=lock,url={request.getfixturevalue('etcd').url}"
        case "file":
            return f"{registry.host}/{name},sync=file,path={tmp_path / 'names'}"
    return f"{registry.host}/{name}"


@pytest.fixture
def repository_of(registry_client):
    return lambda place: open_unsigned(read_repository(place), lambda: registry_client)


@pytest.fixture
def log_of(repository_of):
    return lambda place: repository_of(place).log
