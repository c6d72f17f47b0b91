"""Lists of tags, from a real registry and page by page."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from lifecycle.errors import CorruptImageError, RegistryError
from lifecycle.images.registry.tag_list import next_page
from lifecycle.oci.manifest import OCI_MANIFEST
from lifecycle.oci.reference import parse_reference
from parts.http_server import Exchange, LoopbackServer
from parts.registry_clients import blob_of, client_of, new_repository

TAGS = [f"tag{number:02}" for number in range(25)]


class Paged(LoopbackServer):
    """Lists `TAGS`, ten on a page."""

    username = password = ""

    def answer(self, exchange: Exchange) -> None:
        if exchange.path == "/v2/":
            exchange.answer(200)
            return
        start = int(parse_qs(urlsplit(exchange.path).query).get("from", ["0"])[0])
        link = ("Link", f'</v2/some/thing/tags/list?from={start + 10}>; rel="next"')
        exchange.answer(200, json.dumps({"tags": TAGS[start : start + 10]}).encode(), [link] if start + 10 < 25 else ())


class Fixed(LoopbackServer):
    """Answers with one body."""

    username = password = ""

    def __init__(self, body):
        super().__init__()
        self._body = body

    def answer(self, exchange: Exchange) -> None:
        exchange.answer(200, self._body)


def test_tags_of_a_registry_are_all_listed(registry):
    ref = new_repository(registry)
    with client_of(registry) as client:
        assert client.tags(ref) == ()
        client.upload_blob(ref, blob_of(b"{}"), lambda: iter([b"{}"]))
        for tag in ("one", "two"):
            data = json.dumps({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": {"name": tag},
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": blob_of(b"{}").digest},
            })  # fmt: skip
            client.put_manifest(parse_reference(f"{ref.context}:{tag}"), data.encode(), OCI_MANIFEST)
        assert sorted(client.tags(ref)) == ["one", "two"]


def test_every_page_is_fetched():
    with Paged() as server, client_of(server) as client:
        assert client.tags(parse_reference(f"{server.host}/some/thing")) == tuple(TAGS)


def test_a_list_of_null_is_empty():
    with Fixed(b'{"name": "some/thing", "tags": null}') as server, client_of(server) as client:
        assert client.tags(parse_reference(f"{server.host}/some/thing")) == ()


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"tags": "one"}', b'{"tags": [1]}'])
def test_what_is_no_list_of_tags_is_told(body):
    with (
        Fixed(body) as server,
        client_of(server) as client,
        pytest.raises((RegistryError, CorruptImageError)),
    ):
        client.tags(parse_reference(f"{server.host}/some/thing"))


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("", None),
        ('</v2/a/tags/list?last=b&n=1>; rel="next"', "/v2/a/tags/list?last=b&n=1"),
        ("<https://host/v2/a/tags/list?last=b>;rel=next", "https://host/v2/a/tags/list?last=b"),
        ('</first>; rel="first", </next>; rel="next"', "/next"),
        ('</first>; rel="first"', None),
    ],
)
def test_the_next_page_is_where_the_header_says(link, target):
    assert next_page(link) == target
