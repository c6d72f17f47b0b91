"""Directories of hosts' certificates."""

from pathlib import Path

import pytest

from lifecycle.images.registry.certs_d import certs_dirs, host_certificates


def test_the_users_directory_comes_before_those_of_the_system():
    system = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))
    assert certs_dirs({"HOME": "/home/me"}) == (Path("/home/me/.config/containers/certs.d"), *system)
    assert certs_dirs({"HOME": "/home/me", "XDG_CONFIG_HOME": "/x"}) == (Path("/x/containers/certs.d"), *system)
    assert certs_dirs({}) == system


def test_the_first_directory_of_a_host_is_the_only_one(tmp_path):
    for parent, name in (("one", "a.crt"), ("two", "b.crt")):
        (tmp_path / parent / "example.com:5000").mkdir(parents=True)
        (tmp_path / parent / "example.com:5000" / name).touch()
    dirs = (tmp_path / "none", tmp_path / "one", tmp_path / "two")
    assert host_certificates("example.com:5000", dirs).ca_files == (tmp_path / "one/example.com:5000/a.crt",)
    assert host_certificates("example.com", dirs).ca_files == ()


@pytest.mark.parametrize("name", ["docker.io", "registry-1.docker.io", "index.docker.io"])
def test_docker_hub_is_found_under_each_of_its_names(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "ca.crt").touch()
    assert host_certificates("index.docker.io", (tmp_path,)).ca_files == (tmp_path / name / "ca.crt",)


def test_a_file_in_place_of_a_directory_is_no_certificate(tmp_path):
    (tmp_path / "example.com").touch()
    assert host_certificates("example.com", (tmp_path,)).ca_files == ()
