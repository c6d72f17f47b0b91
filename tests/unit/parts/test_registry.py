"""The parts that other tests stand on do what those tests believe."""

import urllib.error
import urllib.request

import pytest
from parts.registry import RegistryServer


def test_registry_answers_on_a_port_of_its_own(registry):
    with urllib.request.urlopen(f"{registry.url}/v2/") as answer:
        assert answer.status == 200
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_killed_registry_refuses_connections_until_it_is_restarted_on_the_same_port(own_registry):
    before = own_registry.host
    own_registry.kill()
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(f"{own_registry.url}/v2/")
    own_registry.restart()
    assert own_registry.host == before
    with urllib.request.urlopen(f"{own_registry.url}/v2/") as answer:
        assert answer.status == 200


def test_registry_that_cannot_start_says_why(tmp_path):
    with (
        pytest.raises(RuntimeError, match="no access controller registered with name: nosuch"),
        RegistryServer(tmp_path, auth={"nosuch": {"realm": "x"}}),
    ):
        pass
