"""What becomes of the layers of an app image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import ExportError
from lifecycle.model.build_metadata import Process
from lifecycle.model.group import GroupElement
from lifecycle.model.layer import LayerMetadata, LayerTypes
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, LayerSha, LifecycleMetadata
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.rules import export_plan as rules
from lifecycle.rules.export_plan import Action, Candidate, LayerKind

ONE, TWO = DiffId(digest_of(b"1")), DiffId(digest_of(b"2"))
JAVA = GroupElement(id="samples/java", version="0.0.1", api="0.10")


def layer(*, recorded: str = "", cached: bool = False) -> Candidate:
    return Candidate(
        id="a/b:c",
        kind=LayerKind.BUILDPACK,
        created_by="x",
        cached=cached,
        recorded=frozenset({recorded} if recorded else ()),
    )


@pytest.mark.parametrize(
    ("recorded", "available", "action", "reason"),
    [
        (ONE, {ONE}, Action.REUSE, "unchanged"),
        (TWO, {ONE, TWO}, Action.ADD, "contents changed"),
        ("", {ONE}, Action.ADD, "new layer"),
        ("", None, Action.ADD, "new layer"),
        (ONE, None, Action.ADD, "the previous image is not available"),
        (ONE, set(), Action.ADD, "the previous image lacks it"),
    ],
)
def test_contents_are_reused_when_the_previous_image_has_them(recorded, available, action, reason):
    verdict = rules.judge_contents(layer(recorded=recorded), ONE, None if available is None else frozenset(available))
    assert (verdict.action, verdict.reason, verdict.diff_id) == (action, reason, ONE)


@pytest.mark.parametrize(
    ("candidate", "available", "reason"),
    [
        (layer(), {ONE}, "cannot reuse 'a/b:c', previous image has no metadata for layer 'a/b:c'"),
        (layer(recorded=ONE, cached=True), {ONE}, "layer 'a/b:c' is cache=true but has no contents"),
        (layer(recorded=ONE), None, "cannot reuse 'a/b:c', the previous image is not available"),
        (layer(recorded=ONE), {TWO}, f"cannot reuse 'a/b:c', the previous image has no layer {ONE}"),
    ],
)
@pytest.mark.requirement("BP-EXP-003")
def test_metadata_without_contents_or_counterpart_is_refused(candidate, available, reason):
    verdict = rules.judge_absence(candidate, None if available is None else frozenset(available))
    assert (verdict.action, verdict.reason, verdict.diff_id) == (Action.REFUSE, reason, None)


def test_metadata_without_contents_keeps_the_layer_of_the_previous_image():
    verdict = rules.judge_absence(layer(recorded=ONE), frozenset({ONE}))
    assert (verdict.action, verdict.reason) == (Action.REUSE, "kept: buildpack left metadata only")
    assert verdict.diff_id == ONE


digests = st.sampled_from([ONE, TWO, DiffId(digest_of(b"3"))])
available_layers = st.none() | st.frozensets(digests)


@given(st.frozensets(digests), digests, available_layers)
def test_a_layer_that_is_not_worth_comparing_is_never_reused(recorded, found, available):
    candidate = Candidate(id="slice-1", kind=LayerKind.APP, created_by="", recorded=recorded)
    verdict = rules.judge_contents(candidate, found, available)
    assert (verdict.action is Action.REUSE) == (found in recorded and found in (available or ()))
    assert rules.comparable(candidate, available) or verdict.action is Action.ADD


@given(st.frozensets(digests, max_size=1), st.booleans(), available_layers)
def test_absent_contents_are_reused_or_refused_but_never_added(recorded, cached, available):
    candidate = Candidate(id="x", kind=LayerKind.BUILDPACK, created_by="", recorded=recorded, cached=cached)
    verdict = rules.judge_absence(candidate, available)
    assert verdict.action is (Action.REFUSE if verdict.diff_id is None else Action.REUSE)
    assert verdict.diff_id is None or verdict.diff_id in (available or ())


def test_a_launch_layer_is_found_by_buildpack_id_and_name_whatever_the_version():
    previous = LifecycleMetadata(
        buildpacks=(BuildpackLayers(key="samples/java", version="9", layers={"jre": BuildpackLayer(sha=ONE)}),)
    )
    metadata = LayerMetadata(types=LayerTypes(launch=True, cache=True))
    candidate = rules.launch_layer(JAVA, "jre", metadata, has_contents=True, previous=previous)
    assert candidate == Candidate(
        id="samples/java:jre",
        kind=LayerKind.BUILDPACK,
        created_by="Layer: 'jre', Created by buildpack: samples/java@0.0.1",
        cached=True,
        recorded=frozenset({ONE}),
    )
    other = rules.launch_layer(JAVA, "jdk", metadata, has_contents=True, previous=previous)
    assert other.recorded == frozenset()


@pytest.mark.parametrize(
    ("slices", "texts"),
    [(0, ["Application Layer"]), (2, [f"Application Slice: {number}" for number in (1, 2, 3)])],
)
def test_the_app_has_a_layer_for_each_slice_and_one_for_the_rest(slices, texts):
    previous = LifecycleMetadata(app=(LayerSha(sha=ONE), LayerSha(sha=TWO)))
    layers = rules.app_layers(slices, previous)
    assert [each.created_by for each in layers] == texts
    assert [each.id for each in layers] == [f"slice-{number}" for number in range(1, len(texts) + 1)]
    assert {each.recorded for each in layers} == {frozenset({ONE, TWO})}


def test_layers_of_the_lifecycle_have_the_ids_and_texts_of_the_reference():
    previous = LifecycleMetadata(
        sbom=LayerSha(sha=ONE), launcher=LayerSha(sha=ONE), config=LayerSha(sha=ONE), process_types=LayerSha()
    )
    rows = [
        rules.sbom_layer(previous),
        rules.launcher_layer(previous),
        rules.config_layer(previous),
        rules.process_types_layer(previous),
    ]
    assert [(each.id, each.created_by, len(each.recorded)) for each in rows] == [
        ("buildpacksio/lifecycle:launch.sbom", "Software Bill-of-Materials", 1),
        ("buildpacksio/lifecycle:launcher", "Buildpacks Application Launcher", 1),
        ("buildpacksio/lifecycle:config", "Buildpacks Launcher Config", 1),
        ("buildpacksio/lifecycle:process-types", "Buildpacks Process Types", 0),
    ]


PROCESSES = (Process(type="task"), Process(type="web"))


@pytest.mark.requirement("PLAT-EXP-049", "PLAT-EXP-051", "PLAT-EXP-052")
@pytest.mark.parametrize(("wanted", "default", "chosen"), [("web", "task", "web"), ("", "task", "task"), ("", "", "")])
def test_the_default_process_is_the_wanted_one_or_that_of_the_buildpacks(wanted, default, chosen):
    assert rules.default_process(PROCESSES, wanted=wanted, buildpacks_default=default) == chosen


@pytest.mark.requirement("PLAT-EXP-050")
def test_a_wanted_process_that_does_not_exist_is_refused_with_what_there_is():
    with pytest.raises(ExportError, match="tried to set x to default but it doesn't exist") as caught:
        rules.default_process(PROCESSES, wanted="x", buildpacks_default="web")
    assert "task, web" in (caught.value.remedy or "")


@pytest.mark.parametrize("character", "/><:|&\\")
def test_a_process_type_without_a_possible_link_is_refused(character):
    with pytest.raises(ExportError) as caught:
        rules.check_process_types([*PROCESSES, Process(type=f"a{character}b")])
    assert caught.value.message == f"invalid process type 'a{character}b': type may not contain characters '/><:|&\\'"


def test_a_process_without_type_is_refused():
    with pytest.raises(ExportError, match="type is required for all processes"):
        rules.check_process_types([Process()])
    rules.check_process_types(PROCESSES)
