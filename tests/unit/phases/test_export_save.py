"""Saving an image: what is logged and reported."""

import logging

import pytest

from lifecycle.errors import ExportError
from lifecycle.images.store import NewImage, WrittenImage
from lifecycle.oci.config import ImageConfig
from lifecycle.phases.save_image import image_report, save_image
from lifecycle.testing.images import MemoryImages

ID = "sha256:" + "ab" * 32
DIGEST = "sha256:" + "cd" * 32
EMPTY = NewImage(base=None, layers=(), config=ImageConfig(architecture="amd64", os="linux", diff_ids=()))


@pytest.mark.parametrize(
    ("written", "digest", "image_id"),
    [
        (WrittenImage(("a",), f"r/a@{DIGEST}", ID, DIGEST, 7), DIGEST, ""),
        (WrittenImage(("a",), "ab" * 32, ID), "", "ab" * 32),
        (WrittenImage(("a",), f"/layout/a@{DIGEST}", ID, manifest_size=7), "", ""),
    ],
    ids=["registry", "daemon", "layout"],
)
def test_the_report_tells_what_kind_of_store_the_image_is_in(written, digest, image_id):
    report = image_report(written)
    assert (report.digest, report.image_id, report.manifest_size) == (digest, image_id, written.manifest_size)


def test_an_image_needs_a_name():
    with pytest.raises(ExportError, match="at least one image argument is required"):
        save_image(MemoryImages(), EMPTY, ())


def test_digest_and_size_are_logged_for_debugging(caplog):
    caplog.set_level(logging.DEBUG, "lifecycle")
    written = save_image(MemoryImages(), EMPTY, ("registry.example/a",))
    first, *messages, last = caplog.messages
    assert first.startswith("Timer: Saving registry.example/a... started at ")
    assert last.startswith("Timer: Saving registry.example/a... ran for ")
    assert messages == [
        "Saving registry.example/a...",
        f"*** Images ({written.digest}):",
        "      registry.example/a",
        f"\n*** Digest: {written.digest}",
        f"\n*** Manifest Size: {written.manifest_size}",
    ]
