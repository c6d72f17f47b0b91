"""Names of SBOM files, and rows of the older bill of materials."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidFileError
from lifecycle.model.ids import is_layer_name
from lifecycle.model.launch import BomEntry
from lifecycle.model.layer import LayerTypes
from lifecycle.rules.bom import attributed, legacy_file
from lifecycle.rules.sbom import MEDIA_TYPES, is_sbom_name, sbom_copies

PARTS = st.lists(st.sampled_from((".", "sbom", "json", "cdx", "x", "launch")), max_size=8).map("".join)


@given(PARTS)
def test_sbom_names_are_those_of_the_pattern(name):
    assert is_sbom_name(name) == fnmatch.fnmatchcase(name, "*.sbom.*.json")


@given(layers=st.dictionaries(PARTS.filter(is_layer_name), st.builds(LayerTypes)), name=PARTS)
def test_every_place_has_three_or_four_plain_parts(layers, name):
    file = f"{name}.sbom.cdx.json"
    copies = sbom_copies(
        [Path("/l/a_b", file)],
        buildpack="a/b@1",
        buildpack_id="a/b",
        layers=layers,
        declared=list(MEDIA_TYPES.values()),
    )
    for copy in copies:
        kind, buildpack, *layer, last = copy.place
        assert kind in {"launch", "build", "cache"}
        assert (buildpack, last) == ("a_b", "sbom.cdx.json")
        assert layer in ([], [name.partition(".")[0]])
        assert not any("/" in part or part in {"", ".", ".."} for part in copy.place)


@pytest.mark.parametrize(
    ("types", "kinds"),
    [
        ({"launch": True}, ["launch"]),
        ({"launch": True, "cache": True, "build": True}, ["launch", "cache"]),
        ({"cache": True}, ["build", "cache"]),
        ({"build": True}, ["build"]),
        ({}, ["build"]),
    ],
)
@pytest.mark.requirement("BP-SBOM-003", "BP-SBOM-004")
def test_the_types_of_a_layer_say_where_its_sbom_goes(types, kinds):
    copies = sbom_copies(
        [Path("/l/a_b/x.sbom.syft.json")],
        buildpack="a/b@1",
        buildpack_id="a/b",
        layers={"x": LayerTypes(**types)},
        declared=["application/vnd.syft+json"],
    )
    assert [copy.place for copy in copies] == [(kind, "a_b", "x", "sbom.syft.json") for kind in kinds]


def test_rows_of_a_bom_name_their_buildpack():
    rows = attributed([BomEntry(name="x", metadata={"b": 1, "a": None})], buildpack_id="a/b", version="2")
    assert legacy_file(rows) == ('[{"name":"x","metadata":{"a":null,"b":1},"buildpack":{"id":"a/b","version":"2"}}]\n')


@given(st.lists(st.text()))
def test_a_legacy_file_holds_all_rows_or_null(names):
    rows = attributed([BomEntry(name=name) for name in names], buildpack_id="a", version="")
    text = legacy_file(rows)
    assert text.endswith("\n")
    assert [row["name"] for row in json.loads(text) or []] == names
    assert (text == "null\n") == (not names)


def test_a_row_with_a_version_is_refused():
    with pytest.raises(InvalidFileError, match=r"bom entry 'x' .*not allowed.*metadata\.version"):
        attributed([BomEntry(name="x", version="1")], buildpack_id="a", version="1")
