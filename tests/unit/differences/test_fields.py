"""Which fields of configurations, labels and manifests differ, and who set them."""

import copy
import json

import pytest

from lifecycle.differences.documents import ABSENT
from lifecycle.differences.fields import Place, config_differences, manifest_differences
from lifecycle.differences.layers import LayerPair, Origin, Owner
from lifecycle.oci.digest import digest_of

ONE, OTHER = digest_of(b"one"), digest_of(b"other")
METADATA = {
    "app": [{"sha": ONE}],
    "buildpacks": [{"key": "test/x", "version": "1.0", "layers": {"deps": {"sha": ONE, "data": {"v": "1"}}}}],
    "runImage": {"topLayer": "", "reference": "r"},
}
BUILD = {
    "buildpacks": [{"id": "test/x", "version": "1.0"}],
    "processes": [{"type": "web", "command": ["a"], "buildpackID": "test/x"}],
    "launcher": {"version": "1"},
}
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "created": "1980-01-01T00:00:01Z",
    "rootfs": {"type": "layers", "diff_ids": [ONE]},
    "history": [{"created_by": "x"}],
    "config": {
        "Env": ["PATH=/bin", "CNB_APP_DIR=/w", "LANG=C"],
        "User": "1000",
        "Entrypoint": ["/cnb/process/web"],
        "WorkingDir": "/workspace",
        "Labels": {
            "io.buildpacks.lifecycle.metadata": METADATA,
            "io.buildpacks.build.metadata": BUILD,
            "io.buildpacks.project.metadata": {"source": {"type": "git"}},
            "plain": "text",
        },
    },
}


def dumped(document):
    found = copy.deepcopy(document)
    labels = found["config"]["Labels"]
    found["config"]["Labels"] = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in labels.items()
    }
    return found


def changed(path, value):
    document = copy.deepcopy(CONFIG)
    at = document
    for part in path[:-1]:
        at = at[part]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


def differ(first, second, pairs=(), *, same_bytes=False):
    return config_differences(dumped(first), dumped(second), same_bytes=same_bytes, pairs=pairs)


LABELS = ("config", "Labels")
LIFECYCLE = (*LABELS, "io.buildpacks.lifecycle.metadata")
BUILT = (*LABELS, "io.buildpacks.build.metadata")


@pytest.mark.parametrize(
    ("path", "value", "field", "origin"),
    [
        (("created",), "2001-01-01T00:00:00Z", "created", "lifecycle"),
        (("architecture",), "arm64", "architecture", "run image"),
        (("history", 0, "created_by"), "y", "history[0].created_by", "lifecycle"),
        (("unheard-of",), {"a": 1}, "unheard-of", "run image"),
        (("rootfs", "type"), "other", "rootfs.type", "run image"),
        (("config", "User"), "0", "config.User", "run image"),
        (("config", "Cmd"), ["a"], "config.Cmd", "lifecycle"),
        (("config", "Entrypoint"), ["/b"], "config.Entrypoint[0]", "lifecycle"),
        (("config", "WorkingDir"), "/", "config.WorkingDir", "lifecycle"),
        (("config", "Env", 0), "PATH=/sbin", "config.Env.PATH", "lifecycle"),
        (("config", "Env", 1), "CNB_APP_DIR=/v", "config.Env.CNB_APP_DIR", "lifecycle"),
        (("config", "Env", 2), "LANG=D", "config.Env.LANG", "run image"),
        (("config", "Env"), ["CNB_APP_DIR=/w", "PATH=/bin", "LANG=C"], "config.Env.(order)", "run image"),
        ((*LABELS, "plain"), "other", "plain", "run image or a buildpack"),
        ((*LABELS, "plain"), None, "plain", "run image or a buildpack"),
        (
            (*LABELS, "io.buildpacks.project.metadata", "source", "type"),
            "svn",
            "io.buildpacks.project.metadata: source.type",
            "project",
        ),
        (
            (*LIFECYCLE, "buildpacks", 0, "layers", "deps", "data", "v"),
            "2",
            "io.buildpacks.lifecycle.metadata: buildpacks[test/x].layers.deps.data.v",
            "buildpack test/x@1.0, layer deps",
        ),
        (
            (*LIFECYCLE, "buildpacks", 0, "version"),
            "2.0",
            "io.buildpacks.lifecycle.metadata: buildpacks[test/x].version",
            "buildpack test/x@2.0",
        ),
        (
            (*LIFECYCLE, "runImage", "reference"),
            "s",
            "io.buildpacks.lifecycle.metadata: runImage.reference",
            "run image",
        ),
        (
            (*BUILT, "processes", 0, "command"),
            ["b"],
            "io.buildpacks.build.metadata: processes[web].command[0]",
            "buildpack test/x",
        ),
        ((*BUILT, "launcher", "version"), "2", "io.buildpacks.build.metadata: launcher.version", "lifecycle"),
    ],
)
def test_a_field_that_differs_is_told_with_who_set_it(path, value, field, origin):
    (found,) = differ(CONFIG, changed(path, value))
    assert (found.field, found.origin, found.follows) == (field, origin, False)


def test_a_configuration_does_not_differ_from_itself():
    assert differ(CONFIG, CONFIG, same_bytes=True) == ()


def test_the_same_fields_in_other_bytes_are_told():
    (found,) = differ(CONFIG, CONFIG)
    assert (found.place, found.field) == (Place.CONFIG, "(written otherwise)")


def test_a_label_with_other_spaces_is_told():
    second = copy.deepcopy(CONFIG)
    second["config"]["Labels"]["plain"] = '{"a": 1}'
    third = copy.deepcopy(CONFIG)
    third["config"]["Labels"]["plain"] = '{"a":1}'
    (found,) = differ(second, third)
    assert (found.field, found.first, found.second) == ("plain", '{"a": 1}', '{"a":1}')


def test_what_only_names_a_layer_that_differs_follows_from_it():
    pair = LayerPair(Origin(1, ONE, Owner.BUILDPACK, "deps"), Origin(1, OTHER, Owner.BUILDPACK, "deps"))
    second = changed((*LIFECYCLE, "buildpacks", 0, "layers", "deps", "sha"), OTHER)
    second["rootfs"]["diff_ids"] = [OTHER]
    assert [each.follows for each in differ(CONFIG, second, [pair])] == [True]
    assert [each.follows for each in differ(CONFIG, second)] == [False]


def test_an_image_that_no_lifecycle_made_has_no_origins():
    first = changed(LABELS, {})
    second = copy.deepcopy(first)
    second["config"]["Env"] = ["NO_EQUALS", "A=1"]
    assert {each.origin for each in differ(first, second)} == {""}
    assert any(each.field.startswith("config.Env[") for each in differ(first, second))


MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "c", "digest": ONE, "size": 3},
    "layers": [{"mediaType": "l+gzip", "digest": ONE, "size": 3}],
}
SAME = [LayerPair(Origin(1, ONE, Owner.UNKNOWN), Origin(1, ONE, Owner.UNKNOWN))]
CHANGED = [LayerPair(Origin(1, ONE, Owner.UNKNOWN), Origin(1, OTHER, Owner.UNKNOWN))]


def manifests(change, pairs=SAME):
    second = copy.deepcopy(MANIFEST)
    change(second)
    found = manifest_differences(MANIFEST, second, same_bytes=second == MANIFEST, pairs=pairs)
    return [(each.place, each.field) for each in found]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.update(mediaType="other"), (Place.MANIFEST, "mediaType")),
        (lambda m: m.update(annotations={"a": "b"}), (Place.MANIFEST, "annotations")),
        (lambda m: m.update(subject={"a": "b"}), (Place.MANIFEST, "subject")),
        (lambda m: m["config"].update(mediaType="other"), (Place.MANIFEST, "config.mediaType")),
        (lambda m: m["layers"][0].update(annotations={"a": "b"}), (Place.MANIFEST, "layers[0].annotations")),
        (lambda m: m["layers"][0].update(mediaType="other"), (Place.MANIFEST, "layers[0].mediaType")),
        (lambda m: m["layers"][0].update(digest=OTHER, mediaType="zstd"), (Place.COMPRESSION, "layers[0]")),
    ],
)
def test_a_manifest_that_differs_is_told(change, expected):
    assert manifests(change) == [expected]


def test_other_layers_and_configurations_are_not_told_once_more():
    assert manifests(lambda m: (m["layers"][0].update(digest=OTHER), m["config"].update(digest=OTHER)), CHANGED) == []


def test_the_same_manifest_in_other_bytes_is_told():
    found = manifest_differences(MANIFEST, MANIFEST, same_bytes=False, pairs=SAME)
    assert [(each.field, each.first) for each in found] == [("(written otherwise)", ABSENT)]
    assert manifest_differences(MANIFEST, MANIFEST, same_bytes=True, pairs=SAME) == ()
