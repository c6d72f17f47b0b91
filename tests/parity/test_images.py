"""The same inputs give the same image as with the reference: config digest and every diffID.

With ``CNB_REFERENCE_DIR`` both lifecycles run; without, ours has to give what is recorded in expected.toml.
``PARITY_ALL`` takes every input in every Platform API.  Without it, registries leave out the versions that layouts have
but for the newest, and layouts leave out those in which nothing is new that a first build without extensions shows.
"""

import os
from pathlib import Path

import pytest

from lifecycle.model.api import PlatformApi, PlatformFeature
from parity.building import Place, build
from parity.case import ALL_APIS, LAYOUT_APIS, Case
from parity.cases import CASES
from parity.comparison import builds_differ
from parity.recorded import Outcome, expected, outcome
from parity.runner import OURS, reference

EVERYTHING = "PARITY_ALL" in os.environ
REGISTRY_APIS = ALL_APIS if EVERYTHING else ("0.7", "0.8", "0.9", "0.10", "0.11", "0.15")
OF_SECOND_BUILDS = ("0.13", "0.14")
"""Their differences are about extensions, cache images, restored metadata and access to the run image."""

DIFFERENT = {
    "base-no-layers": "the reference takes a run image without layers for a missing one; we build on it (ADR 0010)",
    "exec-env-slash": "the specification reserves the slash, which the reference lets pass (ADR 0010)",
    "process-without-command": "the reference's builder panics before Platform API 0.10 (ADR 0010)",
    "cache-setuid": "the reference loses setuid when it restores a layer (ADR 0010)",
    "environment-equals": "the reference makes another variable of the name (ADR 0010)",
    "epoch-last-day": "no time in any zone is past the year 9999 (ADR 0010)",
    "epoch-zone-rule": "the reference takes rules of POSIX for UTC (ADR 0010)",
    "extended-in-layout": "the reference keeps the configuration of the base in layouts (ADR 0010)",
    "layer-without-name": "the reference puts aside all layers of the buildpack (ADR 0010)",
    "order-exec-env": "the reference ignores exec-env in orders (ADR 0010)",
    "process-type-dot": "the reference's image can't be unpacked (ADR 0010)",
    "project-nanoseconds": "times are told to the microsecond (ADR 0010)",
    "target-without-arch": "the reference tells an empty architecture (ADR 0010)",
    "targets-variant": "the reference has another key for the specification's variant (ADR 0010)",
    "toml-windows-lines": "lines in texts end with a line feed alone (ADR 0010)",
}
OURS_FAILS = {
    (name, "0.15") for name in ("environment-equals", "exec-env-slash", "process-type-dot", "targets-variant")
}


def layout_apis(case: Case) -> list[str]:
    return [api for api in case.layout_apis if EVERYTHING or case.change or api not in OF_SECOND_BUILDS]


def registry_apis(case: Case) -> list[str]:
    return [api for api in case.apis if api in REGISTRY_APIS]


def each(apis):
    return [pytest.param(case, api, id=f"{case}-{api}") for case in CASES for api in apis(case)]


def check(case, api, place, new_root):
    if case.needs_root and os.getuid():
        pytest.skip("only root can make the files of this input")
    if case.slow and "PARITY_SLOW" not in os.environ:
        pytest.skip("takes minutes: set PARITY_SLOW to run it")
    recorded = expected(case, api, place)
    if reference() is None and recorded is None:
        pytest.skip("nothing is recorded for this input, and CNB_REFERENCE_DIR names no reference")
    ours = build(case, api, place, new_root(), OURS)
    if case.creator and (api in {"0.10", "0.15"} or EVERYTHING):
        created = build(case, api, place, new_root(), OURS, creator=True)
        assert [each.app and each.app.config for each in created] == [each.app and each.app.config for each in ours]
    if case.name in DIFFERENT and outcome(case, ours) != recorded:
        assert bool(ours[-1].failed) == ((case.name, api) in OURS_FAILS)
        return
    if recorded is not None:
        assert outcome(case, ours) == recorded, ours[-1].failed
    if reference() is not None:
        theirs = build(case, api, place, new_root(), reference())
        assert builds_differ(theirs, ours) == []
        assert recorded in {None, outcome(case, theirs)}, "expected.toml is not what this reference does"


@pytest.mark.parametrize(("case", "api"), each(layout_apis))
def test_images_in_a_layout_have_the_reference_s_ids(case, api, new_root):
    check(case, api, Place.LAYOUT, new_root)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_inputs_that_say_so_have_no_image(case):
    ends = [expected(case, api, Place.REGISTRY) for api in case.apis]
    assert case.fails == all(end is not None and end.codes[-1] != 0 for end in ends)


def test_the_decision_record_tells_each_input_with_another_image():
    record = Path(__file__).parents[2] / "spec" / "decisions" / "0010-differences-from-the-reference.md"
    text = record.read_text(encoding="utf-8")
    assert [name for name in DIFFERENT if f"`{name}`" not in text] == []


def test_nothing_is_new_in_the_versions_left_out_that_other_inputs_show():
    def features(api):
        return {feature for feature in PlatformFeature if feature in PlatformApi.parse(api)}

    before = LAYOUT_APIS[LAYOUT_APIS.index(OF_SECOND_BUILDS[0]) - 1]
    assert features(OF_SECOND_BUILDS[-1]) ^ features(before) == {
        PlatformFeature.EXTENSIONS_EXPERIMENTAL,
        PlatformFeature.GENERATED_BY_ID,
        PlatformFeature.OLD_CACHE_IMAGE_DELETED,
        PlatformFeature.CACHE_ONLY_METADATA,
        PlatformFeature.RESTORER_READS_RUN_TOML,
    }


def test_every_case_is_recorded():
    missing = [
        case.name
        for case in CASES
        for place in Place
        for api in (case.apis if place is Place.REGISTRY else case.layout_apis)
        if not isinstance(expected(case, api, place), Outcome)
        if not (case.slow and place is Place.REGISTRY)
    ]
    assert missing == []


@pytest.mark.parametrize(("case", "api"), each(registry_apis))
def test_images_in_a_registry_have_the_reference_s_ids(case, api, new_root, network):
    check(case, api, Place.REGISTRY, new_root)
