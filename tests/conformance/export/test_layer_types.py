"""Which layers of buildpacks the image has, with which contents, metadata and SBOM files.

Spec: buildpack.md "Launch Layers", "Phase #6: Export".
"""

import io
import json
import shutil
import tarfile

import pytest

from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.model.launch import Label
from lifecycle.rules.export_plan import Action


def written(situation, exported):
    return situation.images.find(exported.written.names[0])


def layer_data(image, diff_id, path):
    with tarfile.open(fileobj=io.BytesIO(b"".join(image.layer(diff_id)))) as archive:
        return archive.extractfile(str(path)).read().decode()


def remembered(image):
    """Return the layers that the image tells of, from the label itself."""
    label = json.loads(image.config.labels["io.buildpacks.lifecycle.metadata"])
    return {f"{each['key']}:{name}": layer for each in label["buildpacks"] for name, layer in each["layers"].items()}


@pytest.mark.requirement("BP-LAYER-015", "BP-LAYER-017")
def test_a_launch_layer_is_in_the_image_and_its_metadata_is_found_by_its_diff_id(situation):
    for name, types, contents in (("run", "launch", "a"), ("both", "launch build", "b"), ("all", "launch cache", "c")):
        situation.layer(name, *types.split(), metadata={"of": name}, contents=contents)
    image = written(situation, situation.export())
    layers = remembered(image)
    assert set(layers) == {"samples/java:run", "samples/java:both", "samples/java:all"}
    for name, contents in (("run", "a"), ("both", "b"), ("all", "c")):
        layer = layers[f"samples/java:{name}"]
        assert layer["data"] == {"of": name}
        assert layer["sha"] in image.config.diff_ids
        path = situation.layers_dir / "samples_java" / name / "data"
        assert layer_data(image, layer["sha"], path) == contents


@pytest.mark.requirement("BP-LAYER-017")
def test_a_layer_directory_replaces_what_the_previous_image_had(situation):
    situation.layer("run", "launch", contents="old")
    before = remembered(written(situation, situation.export()))["samples/java:run"]["sha"]
    path = situation.layer("run", "launch", contents="new")
    image = written(situation, situation.export())
    sha = remembered(image)["samples/java:run"]["sha"]
    assert sha != before
    assert before not in image.config.diff_ids
    assert layer_data(image, sha, path / "data") == "new"


@pytest.mark.requirement("BP-LAYER-016", "BP-LAYER-018")
@pytest.mark.parametrize("keeps_directory", [False, True])
def test_metadata_and_sbom_files_are_those_of_this_build_whether_a_layer_is_reused_or_not(situation, keeps_directory):
    path = situation.layer("run", "launch", metadata={"build": "first", "gone": True})
    sbom = "sbom/launch/samples_java/run/sbom.cdx.json"
    situation.file(sbom, '{"of":"first"}')
    first = situation.export()
    situation.layer("run", "launch", metadata={"build": "second"})
    if not keeps_directory:
        shutil.rmtree(path)
    situation.file(sbom, '{"of":"second"}')
    second = situation.export()
    image = written(situation, second)
    layer = remembered(image)["samples/java:run"]
    assert layer["sha"] == remembered(written(situation, first))["samples/java:run"]["sha"]
    assert layer["data"] == {"build": "second"}
    assert layer_data(image, layer["sha"], path / "data") == "x"
    assert {each.id: each.action for each in second.verdicts}["samples/java:run"] is Action.REUSE
    if situation.has_sbom:
        sha = json.loads(image.config.labels["io.buildpacks.lifecycle.metadata"])["sbom"]["sha"]
        assert layer_data(image, sha, situation.layers_dir / sbom) == '{"of":"second"}'


@pytest.mark.requirement("BP-LAYER-019")
def test_what_is_no_launch_layer_is_not_in_the_image(situation):
    situation.layer("tool", "build")
    situation.layer("kept", "cache")
    situation.layer("none")
    situation.file("samples_java/undescribed/data", "undescribed")
    situation.layer("run", "launch")
    first = situation.export()
    assert set(remembered(written(situation, first))) == {"samples/java:run"}
    situation.layer("run", "build")
    second = situation.export()
    image = written(situation, second)
    assert remembered(image) == {}
    names = []
    for diff_id in image.config.diff_ids[2:]:
        with tarfile.open(fileobj=io.BytesIO(b"".join(image.layer(diff_id)))) as archive:
            names += archive.getnames()
    assert not [name for name in names if "samples_java" in name]


@pytest.mark.requirement("BP-LTOML-006")
def test_all_labels_of_buildpacks_are_labels_of_the_image_and_the_last_wins(situation):
    labels = (Label(key="a", value="1"), Label(key="b", value="2"), Label(key="a", value="3"), Label(key="c"))
    image = written(situation, situation.export(build_metadata=BuildMetadata(labels=labels)))
    assert {key: image.config.labels.get(key) for key in "abc"} == {"a": "3", "b": "2", "c": ""}
    assert image.config.labels["io.buildpacks.stack.id"] == "s"
