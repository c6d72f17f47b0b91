"""Each thing that shared caches rely on is missed where it is missing, and nothing else is."""

import io
import json

import pytest

from lifecycle.cli.commands.cache.doctor import examine
from lifecycle.cli.commands.cache.views import View
from parts.quirky_registry import QuirkyRegistry


def run(place, tmp_path, *, as_json=True):
    out = io.StringIO()
    environment = {"HOME": str(tmp_path), "CNB_REGISTRY_AUTH": "{}"}
    well = examine([place], View(out=out, environment=environment, as_json=as_json))
    return well, json.loads(out.getvalue())["caches"][0] if as_json else out.getvalue()


def missing(value):
    return {row["name"] for row in value["assumptions"] if row["state"] in {"missing", "not tested"}}


@pytest.mark.parametrize(
    ("quirk", "name"),
    [
        ("takes wrong digests", "upload"),
        ("takes manifests without blobs", "blobs first"),
        ("changes manifests", "read back"),
        ("sends no blobs", "ranges"),
        ("lists late", "listing"),
        ("loses a tag of many", "tags at once"),
        ("pages without links", "pages"),
        ("pages of a proxy", "pages"),
        ("ignores case", "names"),
        ("short tags", "names"),
        ("refuses repetition", "repeated"),
        ("tears tags", "one tag"),
        ("small manifests", "large"),
        ("no date", "clock"),
        ("time goes back", "clock"),
        ("no deletion", "deletion"),
        ("keeps deleted tags", "deletion"),
        ("deletes others", "deletion"),
        ("read-only", "access"),
    ],
)
def test_a_promise_that_is_broken_is_told_with_what_follows(tmp_path, quirk, name):
    with QuirkyRegistry(quirk) as registry:
        well, value = run(f"{registry.host}/team/cache", tmp_path)
    assert not well
    assert name in missing(value)
    (row,) = (row for row in value["assumptions"] if row["name"] == name)
    assert row["consequence"]
    if row["state"] == "missing":
        assert row["remedy"]
    # Some trials rely on what others try.
    accompanied = {"lists late", "loses a tag of many", "pages without links", "tears tags", "changes manifests"}
    assert missing(value) == {name} or quirk in accompanied


@pytest.mark.parametrize("quirks", [(), ("conditions",), ("immutable",), ("counts requests",), ("pages",)])
def test_a_registry_that_keeps_all_promises_misses_nothing_and_keeps_nothing(tmp_path, quirks):
    with QuirkyRegistry(*quirks) as registry:
        well, value = run(f"{registry.host}/team/cache", tmp_path)
        assert (well, missing(value)) == (True, set())
        assert (registry.tags, registry.manifests, value["left"]) == ({}, {}, [])
    told = " ".join(row["text"] for row in value["assumptions"])
    for quirk, words in (
        ("conditions", "If-None-Match is honoured"),
        ("immutable", "can't be overwritten"),
        ("counts requests", "RateLimit-Remaining"),
        ("pages", "pages that lead to each other"),
    ):
        assert (words in told) == (quirk in quirks)


def test_what_can_not_be_deleted_again_is_named(tmp_path):
    with QuirkyRegistry("no deletion") as registry:
        _, value = run(f"{registry.host}/team/cache", tmp_path)
        assert set(value["left"]) == set(registry.tags)
        assert value["left"]
        _, text = run(f"{registry.host}/team/cache", tmp_path, as_json=False)
    assert "left behind, as it could not be deleted: doctor-" in text
    assert "so: lifecycle cache gc can't free anything here" in text


def test_a_registry_that_is_not_there_is_one_line(tmp_path):
    well, value = run("127.0.0.1:1/team/cache", tmp_path)
    assert not well
    assert [(row["name"], row["state"]) for row in value["assumptions"]] == [("access", "missing")]


def test_debians_registry_misses_nothing(tmp_path, registry):
    well, value = run(f"{registry.host}/doctor/cache", tmp_path)
    assert (well, missing(value), value["left"]) == (True, set(), [])


def test_a_directory_is_examined_and_left_as_it_was(tmp_path):
    (tmp_path / "shared").mkdir()
    well, value = run(str(tmp_path / "shared"), tmp_path)
    assert (well, missing(value)) == (True, set())
    assert not list((tmp_path / "shared").iterdir())


def test_a_directory_that_is_a_file_can_not_be_written(tmp_path):
    (tmp_path / "shared").write_text("")
    well, value = run(str(tmp_path / "shared"), tmp_path)
    assert not well
    assert "can't be written" in value["assumptions"][0]["text"]
