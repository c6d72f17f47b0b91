"""The files that phases leave and the lines that they log are those of the reference, but for what ADR 0010 lists."""

import re
import tomllib
from dataclasses import replace

import pytest

from parity.building import Place, build
from parity.cases import CASES
from parity.comparison import log_lines
from parity.runner import OURS, reference

NAMES = (
    "plain", "sboms", "store", "layer-metadata", "reuse-unchanged", "reuse-changed-app", "slices-reused", "group", "plan",
    "processes", "processes-old", "processes-replaced", "labels", "epoch-invalid", "project-nested", "base-config-empty",
    "run-several", "launcher-sboms", "exec-env", "like-paketo", "order-composites", "plan-unmet", "previous-layer-again",
    "previous-store", "cache-contents", "run-mirror",
)  # fmt: skip
BOM = re.compile(r"\bBOM\b|\[\[bom\]\]")


def files(result):
    """The content of the files after a phase, less digests and sizes of manifests, whose compression differs."""
    found = {name: tomllib.loads(text) for name, text in result.files.items()}
    for name, table in found.items():
        if name == "analyzed.toml":
            table.get("image", {}).pop("reference", None)
        if name == "report.toml":
            table["image"].pop("manifest-size", None)
            table["image"].pop("digest", None)
        if name == "plan.toml":
            table.get("entries", []).sort(key=repr)
    return found


def lines(result):
    """The log without colours, digests and lines about a bom; in parallel work, and so here, their order is any."""
    said = [line.replace("Warning: Warning:", "Warning:") for line in log_lines(result.out) if line]
    reused = {line.partition("'")[2] for line in said if line.startswith("Reusing cache layer")}
    return sorted(
        line
        for line in said
        if not BOM.search(line) and not (line.startswith("Adding cache layer") and line.partition("'")[2] in reused)
    )


@pytest.mark.skipif(
    reference() is None, reason="needs the reference's executables: CNB_REFERENCE_DIR names their folder"
)
@pytest.mark.parametrize("creator", [False, True], ids=["phases", "creator"])
@pytest.mark.parametrize(
    ("place", "api"),
    [(Place.REGISTRY, "0.7"), (Place.REGISTRY, "0.11"), (Place.LAYOUT, "0.12"), (Place.LAYOUT, "0.15")],
    ids=str,
)
@pytest.mark.parametrize("name", NAMES)
def test_files_and_log_are_those_of_the_reference(name, place, api, creator, new_root, network):
    case = next(case for case in CASES if case.name == name)
    if api not in case.apis:
        pytest.skip("not an input of this Platform API")
    theirs, ours = (build(case, api, place, new_root(), each, creator=creator) for each in (reference(), OURS))
    for one, other in zip(theirs, ours, strict=True):
        assert one.codes == other.codes
        for expected, found in zip(one.results, other.results, strict=True):
            assert files(found) == files(expected)
            assert found.files.get("config/metadata.toml") == expected.files.get("config/metadata.toml")
            assert lines(found) == lines(expected)
            assert found.err == expected.err


@pytest.mark.skipif(
    reference() is None, reason="needs the reference's executables: CNB_REFERENCE_DIR names their folder"
)
@pytest.mark.parametrize("api", ["0.7", "0.8", "0.15"])
@pytest.mark.parametrize("name", ["plain", "processes-replaced", "labels", "slices-reused"])
def test_the_builder_tells_each_of_its_steps_as_the_reference_does(name, api, new_root, network):
    case = next(case for case in CASES if case.name == name)
    case = replace(case, env={**case.env, "CNB_LOG_LEVEL": "debug"})
    theirs, ours = (build(case, api, Place.REGISTRY, new_root(), each) for each in (reference(), OURS))
    for one, other in zip(theirs, ours, strict=True):
        expected, found = (
            [line for line in log_lines(each.log("builder")) if not line.startswith("Timer:")] for each in (one, other)
        )
        assert found == [line.replace("Warning: Warning:", "Warning:") for line in expected]
