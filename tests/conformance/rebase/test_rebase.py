"""What a rebase replaces, what it keeps, and when it refuses.  Spec: platform.md "Rebaser"."""

import hashlib
import json
import logging

import pytest

from lifecycle.errors import ExportError, ImageError, ImageNotFoundError, RebaseError
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.oci.config import HistoryEntry
from lifecycle.phases.rebase import RebaseInputs, find_run_image, plan_rebase, rebase
from lifecycle.testing.images import MemoryImages

APP, OLD, NEW = "r.example/app:1", "r.example/run:1", "r.example/run:2"
APIS = [str(api) for api in PLATFORM_APIS]
WITH_TARGETS = [api for api in APIS if int(api[2:]) >= 12]
WITH_STACKS = [api for api in APIS if int(api[2:]) < 12]
METADATA = "io.buildpacks.lifecycle.metadata"
STACK = "io.buildpacks.stack.id"
MIXINS = "io.buildpacks.stack.mixins"
DISTRO = "io.buildpacks.base.distro.name"
VERSION = "io.buildpacks.base.distro.version"


def sha(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def images():
    return MemoryImages()


def run_image(images, name=NEW, *, layers=(b"new 1", b"new 2"), labels=None, **config):
    labels = {STACK: "jammy", "io.buildpacks.base.id": name, "other": "of the run image"} | (labels or {})
    return images.put(name, layers=layers, run={"Labels": labels, "User": "1000"}, **config)


def app_image(images, name=APP, *, built_with="0.15", names=None, stack=None, labels=None, top=b"old 2", **config):
    metadata = {
        "app": [{"sha": sha(b"app")}],
        "buildpacks": [{"key": "a", "version": "1", "layers": {}}],
        "config": {"sha": ""},
        "launcher": {"sha": ""},
        "process-types": {"sha": ""},
        "runImage": {
            "topLayer": sha(top),
            "reference": "r.example/run@sha256:1",
            **(names or {"image": OLD, "mirrors": [NEW]}),
        },
    }
    if stack is not None:
        metadata["stack"] = {"runImage": stack}
    own = {STACK: "jammy", "io.buildpacks.base.id": "old", "io.buildpacks.stack.gone": "x", "label": "of the app"}
    own |= {METADATA: json.dumps(metadata)} | (labels or {})
    env = [f"CNB_PLATFORM_API={built_with}"] if built_with else []
    run = {"Labels": own, "Env": ["A=1", *env], "Entrypoint": ["/cnb/process/web"]}
    return images.put(
        name,
        layers=(b"old 1", b"old 2", b"app", b"launcher"),
        run=run,
        history=tuple(HistoryEntry(created_by=each) for each in "abcd"),
        created="1999-09-09T09:09:09Z",
        **config,
    )


def rebased(images, *names, api="0.15", **inputs):
    """Rebase and return the image of the first name."""
    wanted = RebaseInputs(api=PlatformApi.parse(api), names=names or (APP,), **inputs)
    plan = plan_rebase(wanted, images=images)
    rebase(wanted, plan, find_run_image(plan, images=images), images=images)
    return images.find(wanted.names[0])


def metadata_of(image):
    return json.loads(image.config.labels[METADATA])


@pytest.mark.requirement("PLAT-REB-021", "PLAT-REB-022", "PLAT-REB-023", "PLAT-API-009")
@pytest.mark.parametrize("api", APIS)
def test_the_layers_of_the_run_image_are_exchanged_and_those_above_stay(images, api):
    app_image(images)
    run_image(images)
    image = rebased(images, api=api, run_image=NEW)
    assert image.config.diff_ids == tuple(map(sha, (b"new 1", b"new 2", b"app", b"launcher")))
    assert b"".join(image.layer(sha(b"app"))) == b"app"
    assert image.config.env == ["A=1", "CNB_PLATFORM_API=0.15"]
    assert image.config.run["Entrypoint"] == ["/cnb/process/web"]
    assert "User" not in image.config.run
    assert image.config.labels["label"] == "of the app"
    assert "other" not in image.config.labels


@pytest.mark.requirement("PLAT-REB-024", "PLAT-API-010")
@pytest.mark.parametrize("api", APIS)
def test_the_metadata_points_at_the_new_run_image(images, api):
    before = metadata_of(app_image(images))
    base = run_image(images)
    after = metadata_of(rebased(images, api=api, run_image=NEW))
    assert after["runImage"] == before["runImage"] | {"topLayer": sha(b"new 2"), "reference": base.reference}
    assert {key: after[key] for key in ("app", "buildpacks", "launcher")} == {
        key: before[key] for key in ("app", "buildpacks", "launcher")
    }


@pytest.mark.requirement("PLAT-REB-031")
@pytest.mark.parametrize("api", APIS)
def test_every_time_is_the_constant_one(images, api):
    app_image(images)
    run_image(images)
    config = rebased(images, api=api, run_image=NEW).config
    assert config.created == "1980-01-01T00:00:01Z"
    assert config.history == (HistoryEntry(created="1980-01-01T00:00:01Z"),) * 4


@pytest.mark.requirement("PLAT-REB-025")
@pytest.mark.parametrize("api", WITH_STACKS)
def test_labels_of_the_stack_are_those_of_the_new_run_image(images, api):
    app_image(images)
    run_image(images, labels={"io.buildpacks.stack.new": "y"})
    labels = rebased(images, api=api, run_image=NEW).config.labels
    assert labels["io.buildpacks.stack.new"] == "y"
    assert "io.buildpacks.stack.gone" not in labels
    assert labels["io.buildpacks.base.id"] == "old"


@pytest.mark.requirement("PLAT-REB-026")
@pytest.mark.parametrize("api", WITH_TARGETS)
def test_labels_of_stack_and_base_are_those_of_the_new_run_image(images, api):
    app_image(images)
    run_image(images, labels={"io.buildpacks.stack.new": "y"})
    labels = rebased(images, api=api, run_image=NEW).config.labels
    assert labels["io.buildpacks.stack.new"] == "y"
    assert "io.buildpacks.stack.gone" not in labels
    assert labels["io.buildpacks.base.id"] == NEW


@pytest.mark.requirement("PLAT-REB-020", "PLAT-REB-032")
def test_every_name_gets_the_same_image_and_the_report_tells_it(images):
    app_image(images)
    run_image(images)
    inputs = RebaseInputs(api=PlatformApi.parse("0.15"), names=(APP, "r.example/app:2"), run_image=NEW)
    plan = plan_rebase(inputs, images=images)
    done = rebase(inputs, plan, find_run_image(plan, images=images), images=images)
    one, other = images.find(APP), images.find("r.example/app:2")
    assert one.manifest == other.manifest
    assert done.report.image.tags == (APP, "r.example/app:2")
    assert one.reference.endswith(done.report.image.digest)


@pytest.mark.requirement("PLAT-REB-007", "PLAT-REB-015")
def test_the_previous_image_is_rebased_and_stays_as_it_is(images):
    before = app_image(images, "r.example/app:0")
    run_image(images)
    after = rebased(images, previous_image="r.example/app:0", run_image=NEW)
    assert after.config.diff_ids[0] == sha(b"new 1")
    assert images.find("r.example/app:0") is before


# Which run image


@pytest.mark.requirement("PLAT-REB-009", "PLAT-REB-016")
@pytest.mark.parametrize("api", WITH_TARGETS)
def test_the_run_image_comes_from_the_label(images, api):
    app_image(images, names={"image": OLD}, stack={"image": "r.example/run:3"})
    run_image(images, OLD)
    run_image(images, "r.example/run:3", layers=(b"new 3",))
    assert rebased(images, api=api).config.diff_ids[0] == sha(b"new 1")


@pytest.mark.requirement("PLAT-REB-016", "PLAT-REB-017")
@pytest.mark.parametrize("api", APIS)
def test_the_run_image_comes_from_the_key_stack_where_runimage_names_none(images, api):
    app_image(images, names={"image": ""}, stack={"image": NEW})
    run_image(images)
    assert rebased(images, api=api).config.diff_ids[0] == sha(b"new 1")


@pytest.mark.requirement("PLAT-REB-017")
@pytest.mark.parametrize("api", WITH_STACKS)
def test_only_the_key_stack_counts_before_platform_api_0_12(images, api):
    app_image(images, names={"image": OLD})
    run_image(images, OLD)
    with pytest.raises(RebaseError, match="-run-image is required"):
        rebased(images, api=api)


def test_mirrors_without_an_image_name_none(images):
    app_image(images, names={"mirrors": [NEW]})
    run_image(images)
    with pytest.raises(RebaseError, match="-run-image is required"):
        rebased(images)
    with pytest.raises(RebaseError, match="not found in existing run image metadata: not found"):
        rebased(images, run_image=NEW)
    rebased(images, run_image=NEW, force=True)


def test_a_mirror_in_the_registry_of_the_app_is_preferred_and_one_that_can_not_be_read_is_not(images):
    app_image(images, names={"image": "o.example/run", "mirrors": ["r.example/gone", "r.example/near"]})
    run_image(images, "o.example/run", layers=(b"far",))
    run_image(images, "r.example/near", layers=(b"near",))
    assert rebased(images).config.diff_ids[0] == sha(b"near")


def test_a_run_image_that_is_not_there_is_told(images):
    app_image(images)
    with pytest.raises(ImageNotFoundError, match="failed to access run image: 'gone' is not there"):
        rebased(images, run_image="gone")
    with pytest.raises(ImageError, match="failed to find accessible run image"):
        rebased(images)


# When it refuses


@pytest.mark.requirement("PLAT-REB-030")
@pytest.mark.parametrize("api", WITH_TARGETS)
def test_a_run_image_of_an_unknown_name_needs_force(images, api):
    app_image(images)
    run_image(images, "r.example/stranger")
    with pytest.raises(RebaseError, match=r"new base image 'r.example/stranger' not found .*-force"):
        rebased(images, api=api, run_image="r.example/stranger")


@pytest.mark.requirement("PLAT-REB-029")
@pytest.mark.parametrize("api", WITH_TARGETS)
def test_with_force_the_label_takes_the_new_name(images, api, caplog):
    app_image(images)
    run_image(images, "r.example/stranger")
    with caplog.at_level(logging.WARNING, "lifecycle"):
        after = metadata_of(rebased(images, api=api, run_image="r.example/stranger", force=True))
    assert after["runImage"]["image"] == "r.example/stranger"
    assert "mirrors" not in after["runImage"]
    assert after["stack"] == {"runImage": {"image": "r.example/stranger"}}
    assert "not found in existing run image metadata" in caplog.text


@pytest.mark.parametrize("name", [f"{NEW}@sha256:{'0' * 64}", "r.example/run:2"])
def test_names_are_compared_without_their_digests(images, name):
    app_image(images)
    run_image(images, name)
    assert rebased(images, run_image=name)


@pytest.mark.requirement("PLAT-REB-014")
@pytest.mark.parametrize("api", WITH_TARGETS)
def test_an_image_that_says_it_is_not_rebasable_needs_force(images, api):
    app_image(images, labels={"io.buildpacks.rebasable": "false"})
    run_image(images)
    with pytest.raises(RebaseError, match="app image is not marked as rebasable; please provide -force"):
        rebased(images, api=api, run_image=NEW)
    assert rebased(images, api=api, run_image=NEW, force=True)


@pytest.mark.requirement("PLAT-REB-028")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"architecture": "arm64"}),
        ({}, {"os": "windows"}),
        ({"variant": "v7"}, {"variant": "v8"}),
        ({"labels": {DISTRO: "debian", VERSION: "12"}}, {"labels": {DISTRO: "ubuntu", VERSION: "12"}}),
        ({"labels": {DISTRO: "debian", VERSION: "12"}}, {"labels": {DISTRO: "debian", VERSION: "13"}}),
        ({}, {"labels": {DISTRO: "debian", VERSION: "12"}}),
    ],
    ids=["architecture", "os", "variant", "distribution", "version", "unknown"],
)
def test_a_run_image_for_another_target_needs_force(images, old, new):
    app_image(images, **old)
    run_image(images, **new)
    with pytest.raises(RebaseError, match=r"unable to satisfy target os/arch constraints; .*; please provide -force"):
        rebased(images, run_image=NEW)


@pytest.mark.requirement("PLAT-REB-027")
def test_with_force_the_target_is_that_of_the_new_run_image(images):
    app_image(images, labels={DISTRO: "debian"})
    run_image(images, architecture="arm64", labels={DISTRO: "ubuntu", VERSION: "24.04"}, os_version="6.1")
    config = rebased(images, run_image=NEW, force=True).config
    assert (config.os, config.architecture, config.os_version) == ("linux", "arm64", "6.1")
    assert (config.labels[DISTRO], config.labels[VERSION]) == ("ubuntu", "24.04")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"variant": "v8"}, {}),
        ({"labels": {DISTRO: "debian", VERSION: "12"}}, {}),
        ({"labels": {DISTRO: "debian", VERSION: "12"}}, {"labels": {DISTRO: "debian"}}),
    ],
)
def test_what_the_new_run_image_does_not_state_fits(images, old, new):
    app_image(images, **old)
    run_image(images, **new)
    assert rebased(images, run_image=NEW)


@pytest.mark.parametrize("built_with", ["", *WITH_STACKS])
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({STACK: ""}, {}, "stack not defined on app image"),
        ({}, {STACK: ""}, "stack not defined on new base image"),
        ({}, {STACK: "noble"}, "incompatible stack: 'noble' is not compatible with 'jammy'"),
        ({MIXINS: '["build:a", "run:b", "c"]'}, {MIXINS: '["a"]'}, r"missing required mixin\(s\): b, c"),
        ({MIXINS: "["}, {}, "app image has a label io.buildpacks.stack.mixins that is not JSON"),
        ({MIXINS: "[" * 100_000}, {}, "app image has a label io.buildpacks.stack.mixins that is not JSON"),
        ({}, {MIXINS: "3"}, "new base image has a label io.buildpacks.stack.mixins that is no list"),
    ],
)
def test_an_app_of_a_stack_needs_a_run_image_of_that_stack(images, built_with, old, new, told):
    app_image(images, built_with=built_with, labels=old)
    run_image(images, labels=new)
    with pytest.raises(RebaseError, match=told):
        rebased(images, run_image=NEW, force=True)


def test_an_app_of_a_stack_is_rebased_where_stack_and_mixins_fit(images):
    app_image(images, built_with="0.11", labels={MIXINS: '["build:a", "b"]'})
    run_image(images, labels={MIXINS: '["run:a", "b", "more"]'}, architecture="arm64")
    assert rebased(images, run_image=NEW).config.architecture == "arm64"


@pytest.mark.parametrize(
    ("situation", "told"),
    [
        ({"top": b"unknown"}, "could not find base layer in image"),
        ({"labels": {METADATA: ""}}, "is not an app image"),
        ({"labels": {METADATA: "["}}, "can't be understood"),
        ({"built_with": "new"}, "CNB_PLATFORM_API=new, which is no version"),
    ],
)
def test_an_image_that_can_not_be_rebased_is_told_with_a_remedy(images, situation, told):
    before = app_image(images, **situation)
    run_image(images)
    with pytest.raises(RebaseError, match=told) as caught:
        rebased(images, run_image=NEW)
    assert caught.value.remedy
    assert images.find(APP) is before


def test_an_image_that_is_not_there_is_told(images):
    with pytest.raises(RebaseError, match="failed to access image to rebase: 'gone' is not there"):
        rebased(images, "gone")


def test_an_app_on_the_empty_run_image_can_be_rebased(images):
    app_image(images)
    image = app_image(images, "r.example/app:0", names={"image": NEW}, labels={})
    metadata = metadata_of(image)
    metadata["runImage"]["topLayer"] = ""
    app_image(images, labels={METADATA: json.dumps(metadata)})
    run_image(images)
    assert len(rebased(images, run_image=NEW).config.diff_ids) == 6


def test_a_name_that_can_not_be_written_is_told():
    images = MemoryImages(unwritable=frozenset({"r.example/app:2"}))
    app_image(images)
    run_image(images)
    with pytest.raises(ExportError, match=r"r.example/app:2: may not be written"):
        rebased(images, APP, "r.example/app:2", run_image=NEW)
