"""The bytes of written TOML: compared with what the reference's library (BurntSushi/toml v1.6.0) wrote."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lifecycle.files.codec import dumps
from lifecycle.files.toml_encoder import toml_key
from lifecycle.oci import gojson
from lifecycle.oci.gojson import JsonText, Struct

VECTORS = Path(__file__).with_name("vectors")
ROUND_TRIPS: list[dict[str, Any]] = json.loads((VECTORS / "reference.json").read_text("utf-8"))
"""TOML texts, what the reference writes when it has read them, and the JSON it makes of them (none for nan)."""


@pytest.mark.parametrize("vector", ROUND_TRIPS, ids=lambda each: each["input"][:20])
def test_a_table_that_is_read_is_written_as_the_reference_does(vector: dict[str, str]) -> None:
    assert dumps(tomllib.loads(vector["input"])) == vector["toml"]


@pytest.mark.parametrize("vector", [each for each in ROUND_TRIPS if each["json"]], ids=lambda each: each["input"][:20])
def test_a_table_becomes_the_json_that_the_reference_makes_of_it(vector: dict[str, str]) -> None:
    from datetime import UTC

    assert gojson.dumps(tomllib.loads(vector["input"]), local=UTC) == vector["json"]


def expected(name: str) -> str:
    return (VECTORS / f"{name}.toml").read_bytes().decode()


def test_full_metadata_toml_has_the_bytes_of_the_reference() -> None:
    bom_source = Struct(id="p", version="1")
    table = Struct(
        {
            "bom": [
                Struct(name="node", metadata={"b": 1, "a": {"x": 1.5}}, buildpack=bom_source),
                Struct(name="none", metadata=None, buildpack=bom_source),
            ],
            "buildpacks": [
                Struct(id="samples/java", version="0.0.1", api="0.10", homepage="https://x/?a&b", optional=None),
                Struct(id="b", version="", api=None, homepage=None),
            ],
            "extensions": [Struct(id="ext", version="1", api="0.10")],
            "labels": [Struct(key="k", value='v<&>\u2028\x7f"')],
            "processes": [
                Struct(
                    {
                        "type": "web",
                        "command": [JsonText("java"), JsonText("-jar"), JsonText("a<b>&\u2028")],
                        "args": ["app.jar", "a<b>&"],
                        "direct": True,
                        "buildpack-id": "samples/java",
                        "working-dir": "/x",
                        "exec-env": ("production",),
                    }
                ),
                Struct(
                    {
                        "type": "task",
                        "command": [JsonText("t")],
                        "args": [],
                        "direct": False,
                        "buildpack-id": "b",
                    }
                ),
                Struct(
                    {
                        "type": "bare",
                        "command": [JsonText("t")],
                        "args": None,
                        "direct": False,
                        "buildpack-id": "b",
                    }
                ),
            ],
            "slices": [Struct(paths=["public/*", "b"]), Struct(paths=[]), Struct(paths=None)],
            "buildpack-default-process-type": "web",
        }
    )
    assert dumps(table) == expected("metadata")


def test_empty_lists_of_tables_are_plain_values_in_the_order_of_the_struct() -> None:
    table = Struct({"buildpacks": [], "processes": (), "buildpack-default-process-type": "x"})
    assert dumps(table) == expected("metadata-empty")


def test_analyzed_toml_of_a_first_build_has_the_bytes_of_the_reference() -> None:
    sha = Struct(sha="")
    table = Struct(
        {
            "image": Struct(reference=""),
            "build-image": None,
            "metadata": Struct(
                {
                    "app": None,
                    "sbom": None,
                    "buildpacks": None,
                    "config": sha,
                    "launcher": sha,
                    "process-types": sha,
                    "run-image": Struct({"top-layer": "", "reference": ""}),
                }
            ),
        }
    )
    assert dumps(table) == expected("analyzed-empty")


def test_full_analyzed_toml_has_the_bytes_of_the_reference() -> None:
    layers = {
        "b": Struct(sha="sha256:lb", metadata={"n": 1.0, "list": [{"x": "y"}]}, build=False, launch=True, cache=False),
        "a.b": Struct(sha="sha256:la", metadata=None, build=True, launch=False, cache=True),
    }
    table = Struct(
        {
            "image": Struct(reference="img@sha256:1"),
            "build-image": Struct(reference="build"),
            "metadata": Struct(
                {
                    "app": [Struct(sha="sha256:a"), Struct(sha="sha256:b")],
                    "sbom": Struct(sha="sha256:s"),
                    "buildpacks": [
                        Struct(key="some/bp", version="1", layers=layers, store=Struct(metadata={"k": "v"})),
                        Struct(key="other", version="2", layers={}, store=None),
                    ],
                    "config": Struct(sha="c"),
                    "launcher": Struct(sha="l"),
                    "process-types": Struct(sha=""),
                    "run-image": Struct(
                        {"top-layer": "top", "reference": "ref", "image": "img", "mirrors": ("m1", "m2")}
                    ),
                    "stack": Struct({"run-image": Struct(image=None, mirrors=None)}),
                }
            ),
            "run-image": Struct(
                reference="r",
                image="i",
                extend=True,
                target=Struct(
                    {
                        "id": "tid",
                        "os": "linux",
                        "arch": "arm64",
                        "arch-variant": "v8",
                        "distro": Struct(name="ubuntu", version="22.04"),
                    }
                ),
            ),
        }
    )
    assert dumps(table) == expected("analyzed")


def test_nothing_is_an_empty_file() -> None:
    assert dumps(Struct(metadata=None, entries=None)) == ""


def test_what_is_none_leaves_no_comma_in_an_inline_table() -> None:
    assert dumps({"a": [1, {"b": None, "c": 2, "d": None}]}) == "a = [1, {c = 2}]\n"


def test_a_command_of_older_apis_is_one_escaped_string() -> None:
    assert dumps({"command": JsonText('a && b > \x7f"\\')}) == 'command = "a \\u0026\\u0026 b \\u003e \\u007f\\"\\\\"\n'


@pytest.mark.parametrize(
    ("key", "written"),
    [("a-B_1", "a-B_1"), ("", '""'), ("a.b", '"a.b"'), ("é", '"é"'), ("a\nb", r'"a\nb"'), ("a\n", r'"a\n"')],
)
def test_keys_are_bare_where_they_can_be(key: str, written: str) -> None:
    assert toml_key(key) == written
