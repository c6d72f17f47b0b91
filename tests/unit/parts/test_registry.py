"""The parts that other tests stand on do what those tests believe: registries and tokens."""

import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from parts.registry import RegistryServer
from parts.skopeo import access, pull_files, push_image, raw_manifest, skopeo


def get(url, *, basic="", bearer="", data=None, context=None):
    request = urllib.request.Request(url, data=data)
    if basic:
        request.add_header("Authorization", f"Basic {base64.b64encode(basic.encode()).decode()}")
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    with urllib.request.urlopen(request, context=context) as answer:
        return answer.headers, answer.read()


def status(url, **how):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(url, **how)
    with error.value:
        return error.value.code


def test_registry_answers_on_a_port_of_its_own(registry):
    headers, _ = get(f"{registry.url}/v2/")
    assert headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_killed_registry_refuses_connections_until_it_is_restarted_with_the_same_port_and_storage(own_registry):
    before = own_registry.host
    pushed = push_image(own_registry, "kept")
    own_registry.kill()
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(f"{own_registry.url}/v2/")
    own_registry.restart()
    assert own_registry.host == before
    assert raw_manifest(own_registry, "kept:latest") == pushed.data


def test_registry_that_cannot_start_says_why(tmp_path):
    with (
        pytest.raises(RuntimeError, match="no access controller registered with name: nosuch"),
        RegistryServer(tmp_path, auth={"nosuch": {"realm": "x"}}),
    ):
        pass


@pytest.mark.parametrize("fixture", ["registry", "tls_registry", "client_cert_registry", "token_registry"])
def test_skopeo_writes_and_reads_an_image_in_every_registry(fixture, request):
    server = request.getfixturevalue(fixture)
    push_image(server, f"parts/{fixture}", layers=[{"etc/one": b"1"}, {"etc/two": b"2" * 100_000}])
    assert pull_files(server, f"parts/{fixture}:latest") == [
        {"etc/one": b"1"},
        {"etc/two": b"2" * 100_000},
        {"etc/platform": b"linux/amd64"},
    ]


def test_blobs_lie_where_the_registry_says(registry):
    manifest = push_image(registry, "parts/blobs").manifest
    for blob in [manifest["config"], *manifest["layers"]]:
        assert registry.blob_path(blob["digest"]).stat().st_size == blob["size"]


@pytest.mark.parametrize(
    ("form", "compression", "manifest", "layer"),
    [
        (
            "oci",
            "gzip",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        (
            "oci",
            "zstd",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.layer.v1.tar+zstd",
        ),
        (
            "v2s2",
            "gzip",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
    ],
)
def test_images_have_the_form_and_compression_asked_for(registry, form, compression, manifest, layer):
    pushed = push_image(registry, f"parts/{form}-{compression}", form=form, compression=compression)
    assert pushed.media_type == manifest
    assert {each["mediaType"] for each in pushed.manifest["layers"]} == {layer}
    assert pull_files(registry, f"parts/{form}-{compression}:latest")[0] == {"etc/base": b"base\n"}


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_an_index_has_an_image_for_each_platform(registry, form):
    pushed = push_image(registry, f"parts/index-{form}", platforms=["linux/amd64", "linux/arm/v7"], form=form)
    assert "manifest.list" in pushed.media_type or "image.index" in pushed.media_type
    assert [each["platform"] for each in pushed.manifest["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm", "os": "linux", "variant": "v7"},
    ]
    (_, arm) = pushed.manifest["manifests"]
    assert pull_files(registry, f"parts/index-{form}@{arm['digest']}")[-1] == {"etc/platform": b"linux/arm/v7"}


def test_tls_registry_refuses_wrong_passwords_and_is_trusted_by_its_authority_only(tls_registry):
    trusting = ssl.create_default_context(cafile=tls_registry.ca_file)
    assert get(f"{tls_registry.url}/v2/", basic=f"{tls_registry.username}:{tls_registry.password}", context=trusting)
    assert status(f"{tls_registry.url}/v2/", context=trusting) == 401
    assert status(f"{tls_registry.url}/v2/", basic=f"{tls_registry.username}:wrong", context=trusting) == 401
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        get(f"{tls_registry.url}/v2/", context=ssl.create_default_context())


def test_registry_that_demands_client_certificates_refuses_clients_without(client_cert_registry):
    trusting = ssl.create_default_context(cafile=client_cert_registry.ca_file)
    with pytest.raises(OSError, match=r"(?i)certificate required|bad certificate|reset|broken pipe"):
        get(f"{client_cert_registry.url}/v2/", context=trusting)
    trusting.load_cert_chain(*client_cert_registry.client_cert)
    assert get(f"{client_cert_registry.url}/v2/", context=trusting)


def token_for(registry, scope, *, basic=""):
    query = urllib.parse.urlencode({"service": "registry of the tests", "scope": scope})
    return json.loads(get(f"{registry.token_server.realm}?{query}", basic=basic)[1])["token"]


def tags(registry, repository):
    return f"{registry.url}/v2/{repository}/tags/list"


def test_token_registry_names_its_token_server_to_clients_without_a_token(token_registry):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(tags(token_registry, "parts/secret"))
    with error.value:
        assert error.value.code == 401
        assert error.value.headers["WWW-Authenticate"] == (
            f'Bearer realm="{token_registry.token_server.realm}",service="registry of the tests",'
            'scope="repository:parts/secret:pull"'
        )


def test_everybody_pulls_below_public_and_nowhere_else(token_registry):
    for repository in ("public/image", "private/image"):
        push_image(token_registry, repository)
    public = token_for(token_registry, "repository:public/image:pull,push")
    assert b"latest" in get(tags(token_registry, "public/image"), bearer=public)[1]
    private = token_for(token_registry, "repository:private/image:pull")
    assert status(tags(token_registry, "private/image"), bearer=private) == 401
    assert token_registry.token_server.token_requests[-2].granted == ("repository:public/image:pull",)


def test_a_reader_gets_no_token_to_push(token_registry):
    token_for(token_registry, "repository:parts/some:pull,push", basic="reader:password of the reader")
    assert token_registry.token_server.token_requests[-1].granted == ("repository:parts/some:pull",)


def test_wrong_credentials_get_no_token(token_registry):
    assert status(token_registry.token_server.realm, basic="reader:wrong") == 401
    assert token_registry.token_server.token_requests[-1].user is None


def test_an_identity_token_is_worth_a_token_by_post(token_registry):
    push_image(token_registry, "parts/identity")
    asked = {"scope": "repository:parts/identity:pull", "service": "registry of the tests", "client_id": "tests"}
    password = urllib.parse.urlencode(
        asked
        | {"grant_type": "password", "username": token_registry.username, "password": token_registry.password}
        | {"access_type": "offline"}
    )
    identity = json.loads(get(token_registry.token_server.realm, data=password.encode())[1])["refresh_token"]
    refresh = urllib.parse.urlencode(asked | {"grant_type": "refresh_token", "refresh_token": identity})
    token = json.loads(get(token_registry.token_server.realm, data=refresh.encode())[1])["access_token"]
    assert b"latest" in get(tags(token_registry, "parts/identity"), bearer=token)[1]
    wrong = urllib.parse.urlencode(asked | {"grant_type": "refresh_token", "refresh_token": "guessed"})
    assert status(token_registry.token_server.realm, data=wrong.encode()) == 401


def test_a_token_expires_when_told(token_registry):
    push_image(token_registry, "parts/expiring")
    token_registry.token_server.valid_for = 2
    basic = f"{token_registry.username}:{token_registry.password}"
    token = token_for(token_registry, "repository:parts/expiring:pull", basic=basic)
    until = time.monotonic() + 30
    refused = False
    while not refused and time.monotonic() < until:
        try:
            get(tags(token_registry, "parts/expiring"), bearer=token)
        except urllib.error.HTTPError as error:
            with error:
                refused = error.code == 401
        time.sleep(0.2)
    assert refused


def test_the_token_server_sees_which_credentials_a_client_sends(token_registry):
    push_image(token_registry, "parts/seen")
    basic = base64.b64encode(f"{token_registry.username}:{token_registry.password}".encode()).decode()
    assert {each.headers["Authorization"] for each in token_registry.token_server.token_requests} == {f"Basic {basic}"}
    assert all(token not in token_registry.log for token in token_registry.token_server.issued)


def test_skopeo_says_what_went_wrong(registry):
    with access(registry, "--") as flags, pytest.raises(RuntimeError, match="manifest unknown"):
        skopeo("inspect", *flags, f"docker://{registry.host}/parts/never-pushed:latest")
