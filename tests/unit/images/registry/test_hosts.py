"""How registries are reached."""

import subprocess
import sys
from dataclasses import replace

import pytest

from lifecycle.errors import ImageError, InvalidFileError
from lifecycle.images.registry.hosts import Hosts, may_speak_http
from lifecycle.oci.reference import parse_reference

DIGEST = "sha256:" + "0" * 64
APP = parse_reference("example.com/team/app:1")


@pytest.fixture
def read(tmp_path):
    """Hosts of a user whose registries.conf holds the text."""

    def call(text="", *, insecure=(), **variables):
        path = tmp_path / "registries.conf"
        path.write_text(text)
        environment = {"HOME": str(tmp_path / "home"), "CNB_REGISTRIES_CONF": str(path), **variables}
        return Hosts.read(environment, insecure=insecure)

    return call


def places(endpoints):
    return [f"{each.authority}/{each.repository}" for each in endpoints]


def test_without_configuration_there_is_the_registry_itself_by_https(read):
    (found,) = read().for_pull(APP)
    assert (found.registry, found.authority, found.repository) == ("example.com", "example.com", "team/app")
    assert found.schemes == ("https",)
    assert found.verify
    assert found.use_proxy
    assert not found.is_mirror
    assert found.client_cert is None
    assert read().for_push(APP) == found


def test_docker_hub_answers_under_another_name_and_keeps_its_own_for_credentials(read):
    (found,) = read().for_pull(parse_reference("alpine"))
    assert (found.registry, found.authority) == ("index.docker.io", "registry-1.docker.io")
    assert found.repository == "library/alpine"


@pytest.mark.parametrize(
    "registry",
    ["localhost", "localhost:5000", "reg.localhost", "reg.localhost:80", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000",
     "[::1]", "10.0.0.1", "172.16.0.1:5000", "172.31.255.255", "192.168.3.4"],
)  # fmt: skip
def test_this_host_and_private_networks_may_speak_http_after_https(read, registry):
    assert may_speak_http(registry)
    (found,) = read().for_pull(parse_reference(f"{registry}/team/app"))
    assert found.schemes == ("https", "http")
    assert found.verify


@pytest.mark.parametrize(
    "registry",
    ["example.com", "localhost.com", "notlocalhost:5000", "8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1",
     "11.0.0.1", "[::2]:5000", "127.0.0.1.example.com", "10.0.0", "index.docker.io"],
)  # fmt: skip
def test_all_others_speak_https_only(registry):
    assert not may_speak_http(registry)


@pytest.mark.parametrize(
    ("registry", "expected"),
    [("localhost:5000", False), ("a.localhost", False), ("127.1.2.3", False), ("[::1]:80", False), ("10.0.0.1", True)],
)
def test_proxies_are_not_for_this_host(read, registry, expected):
    (found,) = read().for_pull(parse_reference(f"{registry}/team/app"))
    assert found.use_proxy is expected


def test_an_endpoint_can_be_reached_alone(read):
    hosts = read(MIRRORS, insecure=["all.com"])
    for endpoint in hosts.for_pull(APP):
        alone = hosts.reaching(endpoint)
        name = parse_reference(f"{endpoint.registry}/{endpoint.repository}")
        assert alone.for_pull(name) == (replace(endpoint, is_mirror=False),)
        assert alone.for_push(name) == replace(endpoint, is_mirror=False)


@pytest.mark.parametrize("prefix", ["example.com", "example.com/team", "example.com/team/app:1", "exam"])
def test_images_that_start_with_an_insecure_name_need_neither_trust_nor_proxy(read, prefix):
    hosts = read(insecure=["other.com", prefix])
    for found in (*hosts.for_pull(APP), hosts.for_push(APP)):
        assert found.schemes == ("https", "http")
        assert not found.verify
        assert not found.use_proxy


@pytest.mark.parametrize("insecure", [[""], ["example.com:5000"], ["team/app"], []])
def test_other_images_stay_secure(read, insecure):
    (found,) = read(insecure=insecure).for_pull(APP)
    assert (found.schemes, found.verify, found.use_proxy) == (("https",), True, True)


def test_an_insecure_name_is_compared_with_what_the_user_wrote_too(read):
    (found,) = read(insecure=["docker.io"]).for_pull(parse_reference("docker.io/library/alpine"))
    assert not found.verify


MIRRORS = """
[[registry]]
location = "example.com"
[[registry.mirror]]
location = "all.com/cache"
[[registry.mirror]]
location = "tags.com"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.com"
pull-from-mirror = "digest-only"
insecure = true
"""


def test_mirrors_come_first_in_their_order_and_only_those_for_that_kind_of_reference(read):
    hosts = read(MIRRORS)
    assert places(hosts.for_pull(APP)) == ["all.com/cache/team/app", "tags.com/team/app", "example.com/team/app"]
    found = hosts.for_pull(parse_reference(f"example.com/team/app@{DIGEST}"))
    assert places(found) == ["all.com/cache/team/app", "digests.com/team/app", "example.com/team/app"]
    assert [each.is_mirror for each in found] == [True, True, False]
    assert [each.verify for each in found] == [True, False, True]
    assert [each.use_proxy for each in found] == [True, True, True]


def test_a_mirror_can_be_called_insecure_by_its_own_name(read):
    mirror, _, own = read(MIRRORS, insecure=["all.com"]).for_pull(APP)
    assert not mirror.verify
    assert own.verify
    mirror, _, own = read(MIRRORS, insecure=["example.com"]).for_pull(APP)
    assert mirror.verify
    assert not own.verify


def test_images_are_written_to_the_registry_that_they_name(read):
    hosts = read(MIRRORS + '[[registry]]\nprefix = "moved.com"\nlocation = "new.com"\ninsecure = true\n')
    moved = parse_reference("moved.com/team/app")
    assert places([hosts.for_push(APP), hosts.for_push(moved)]) == ["example.com/team/app", "moved.com/team/app"]
    assert places(hosts.for_pull(moved)) == ["new.com/team/app"]
    for found in (hosts.for_push(moved), *hosts.for_pull(moved)):
        assert (found.schemes, found.verify, found.use_proxy) == (("https", "http"), False, True)


def test_a_blocked_registry_is_refused_with_the_file_that_blocks_it(read, tmp_path):
    hosts = read('[[registry]]\nprefix = "example.com/team"\nblocked = true\n')
    for ask in (hosts.for_pull, hosts.for_push):
        with pytest.raises(ImageError, match=r'"example\.com/team" is blocked by .*registries\.conf: registry\[0\]'):
            ask(APP)
    assert hosts.for_pull(parse_reference("example.com/other/app"))


def test_every_registry_that_may_be_asked_is_known_in_advance(read):
    found = read(MIRRORS).registries([APP, parse_reference("alpine")])
    assert found == {"all.com", "tags.com", "example.com", "index.docker.io"}


def test_certificates_of_a_host_go_to_it_alone(read, tmp_path):
    directory = tmp_path / "home" / ".config" / "containers" / "certs.d" / "example.com"
    directory.mkdir(parents=True)
    for name in ("ca.crt", "more.crt", "client.cert", "client.key", "README"):
        (directory / name).touch()
    hosts = read(MIRRORS, SSL_CERT_FILE=__file__)
    mirror, _, own = hosts.for_pull(APP)
    assert str(own.ca_file) == __file__
    assert own.extra_ca_files[-2:] == (directory / "ca.crt", directory / "more.crt")
    assert own.client_cert == (directory / "client.cert", directory / "client.key")
    assert own.bundles == (own.ca_file, *own.extra_ca_files)
    assert mirror.client_cert is None
    assert directory / "ca.crt" not in mirror.bundles


def test_a_client_certificate_without_its_key_is_refused(read, tmp_path):
    directory = tmp_path / "home" / ".config" / "containers" / "certs.d" / "example.com"
    directory.mkdir(parents=True)
    (directory / "client.cert").touch()
    with pytest.raises(InvalidFileError, match=r"add client\.key"):
        read().for_pull(APP)


def test_a_home_that_may_not_be_entered_counts_as_empty(tmp_path):
    for path in (".config/containers/registries.conf", ".config/containers/certs.d/example.com/client.cert"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("[[")
    (tmp_path / "elsewhere").mkdir()
    code = (
        "import os, sys\n"
        "from lifecycle.images.registry.hosts import Hosts; from lifecycle.oci.reference import parse_reference\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY); os.fchmod(fd, 0); os.chdir('/')\n"
        "if os.geteuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "home = f'/proc/self/fd/{fd}'\n"
        "hosts = Hosts.read({'HOME': home, 'SSL_CERT_FILE': f'{home}/.config/ca.pem'})\n"
        "print(hosts.for_pull(parse_reference('example.com/team/app'))[0].client_cert)\n"
    )
    try:
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    finally:
        tmp_path.chmod(0o700)
    assert done.stdout == "None\n", done.stderr
    assert "SSL_CERT_FILE names" in done.stderr
