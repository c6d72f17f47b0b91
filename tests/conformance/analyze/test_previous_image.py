"""What analysis finds of the last build."""

import logging
import uuid
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from lifecycle.errors import ImageError
from lifecycle.files import codec
from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.layout import LayoutStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.layers.source import PathMapping, directory_layer
from lifecycle.model.analyzed import Analyzed, ImageIdentifier
from lifecycle.model.api import LATEST_PLATFORM_API, PLATFORM_APIS, PlatformApi
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, LayerSha, LifecycleMetadata
from lifecycle.oci.gojson import dumps
from lifecycle.phases.analyze import AnalyzeInputs, analyze
from lifecycle.testing.images import MemoryImages
from parts.skopeo import push_image

LABEL = "io.buildpacks.lifecycle.metadata"
APIS = [str(api) for api in PLATFORM_APIS]
RUN = "reg.example/run"
APP = "reg.example/app"

METADATA = LifecycleMetadata(
    app=(LayerSha(sha="sha256:a"),),
    buildpacks=(
        BuildpackLayers(
            key="some/bp",
            version="1",
            layers={"deps": BuildpackLayer(sha="sha256:d", launch=True, data={"n": 1.0})},
        ),
    ),
)


@pytest.fixture
def images():
    images = MemoryImages()
    images.put(RUN)
    return images


@pytest.fixture
def inputs(tmp_path):
    def make(api="0.15", **more):
        chosen = {"image": APP, "run_image": RUN, **more}
        return AnalyzeInputs(api=PlatformApi.parse(api), layers_dir=tmp_path / "layers", **chosen)

    return make


def labels(metadata):
    return {"Labels": {LABEL: metadata if isinstance(metadata, str) else dumps(metadata.label())}}


@pytest.mark.requirement("PLAT-ANA-030", "PLAT-ANA-012", "PLAT-FILE-007", "BP-ANA-001")
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", [APP, "other.example/previous:1"])
def test_the_metadata_of_the_previous_image_is_read(images, inputs, tmp_path, api, name):
    previous = images.put(name, run=labels(METADATA))
    analyzed = analyze(inputs(api, previous_image="" if name == APP else name), images=images)
    assert analyzed.image == ImageIdentifier(reference=previous.reference)
    assert analyzed.metadata == METADATA
    codec.save(tmp_path / "analyzed.toml", analyzed.struct())
    assert codec.load(Analyzed, tmp_path / "analyzed.toml") == analyzed


@pytest.mark.requirement("PLAT-ANA-027", "BP-ANA-002")
@pytest.mark.parametrize("api", APIS)
def test_a_previous_image_that_does_not_exist_is_no_failure(images, inputs, api, caplog):
    caplog.set_level(logging.INFO)
    analyzed = analyze(inputs(api, cache_image="reg.example/cache"), images=images)
    assert analyzed.image == ImageIdentifier(reference="")
    assert analyzed.metadata == LifecycleMetadata()
    assert f'Image with name "{APP}" not found' in caplog.messages


def test_mirrors_of_a_run_image_without_a_name_are_no_mirrors(images, inputs):
    previous = images.put(APP, run=labels('{"runImage":{"topLayer":"t","reference":"r","mirrors":["m"]}}'))
    analyzed = analyze(inputs(), images=images)
    assert analyzed.image == ImageIdentifier(reference=previous.reference)
    assert analyzed.struct()["metadata"]["run-image"] == {"top-layer": "t", "reference": "r"}


@pytest.mark.requirement("BP-ANA-002")
@pytest.mark.parametrize("text", ["{", "[]", '{"app":1}', '{"buildpacks":[{"version":"1"}]}'])
def test_a_label_that_can_not_be_understood_makes_the_image_count_as_absent(images, inputs, caplog, text):
    images.put(APP, run=labels(text))
    analyzed = analyze(inputs(), images=images)
    assert analyzed.image == ImageIdentifier(reference="")
    assert f"label '{LABEL}' can't be understood" in caplog.text


def test_an_image_that_no_lifecycle_made_has_no_metadata(images, inputs):
    image = images.put(APP)
    analyzed = analyze(inputs(), images=images)
    assert analyzed.image == ImageIdentifier(reference=image.reference)
    assert analyzed.metadata == LifecycleMetadata()


def test_nulls_and_unknown_keys_of_a_label_do_no_harm(images, inputs):
    text = (
        '{"app":null,"new":1,"buildpacks":[{"key":"a","version":"1","store":null,'
        '"layers":{"x":{"sha":"s","data":{"k":null,"big":9007199254740993},"launch":true,"build":null}}},'
        '{"key":"b","layers":null}],"runImage":{"topLayer":"t","mirrors":null},"stack":null}'
    )
    images.put(APP, run=labels(text))
    metadata = analyze(inputs(), images=images).metadata
    assert metadata.of("a").layers["x"] == BuildpackLayer(
        sha="s", data={"k": None, "big": 9007199254740992.0}, launch=True
    )
    assert metadata.of("b") == BuildpackLayers(key="b")
    assert metadata.runImage.topLayer == "t"


@pytest.mark.requirement("PLAT-ANA-028")
@pytest.mark.parametrize("name", ["image", "tag", "cache_image"])
def test_every_name_to_write_is_checked(images, inputs, name):
    names = {"image": APP, "tag": "reg.example/app:2", "cache_image": "reg.example/cache"}
    images.unwritable = frozenset({names[name]})
    given = inputs(tags=(names["tag"],), cache_image=names["cache_image"])
    with pytest.raises(ImageError, match="may not be written"):
        analyze(given, images=images)
    images.unwritable = frozenset()
    analyze(given, images=images)


@pytest.mark.requirement("PLAT-ANA-028")
def test_a_cache_image_may_be_named_by_the_digest_of_the_last_one(registry, registry_store, inputs):
    repository = uuid.uuid4().hex[:12]
    run = push_image(registry, repository, "1").reference
    name = f"{registry.host}/{repository}"
    given = inputs(image=f"{name}:app", run_image=run, cache_image=f"{name}/cache@sha256:{'0' * 64}")
    analyze(given, images=registry_store)


@pytest.mark.requirement("PLAT-ANA-028")
def test_a_cache_image_named_by_its_digest_is_one_to_write_too(images, inputs):
    images.unwritable = frozenset({"reg.example/cache:1"})
    with pytest.raises(ImageError, match="may not be written"):
        analyze(inputs(cache_image=f"reg.example/cache:1@sha256:{'0' * 64}"), images=images)


def test_the_cache_image_is_checked_in_the_store_where_it_is(images, inputs):
    images.unwritable = frozenset({"reg.example/cache"})
    analyze(inputs(cache_image="reg.example/cache"), images=images, cache_images=MemoryImages())


# The SBOM layer of the previous image


@pytest.fixture
def previous_with_sbom(images, tmp_path):
    """Put a previous image with an SBOM layer; return its layers."""

    def put(*, missing=False, root="/layers", env=()):
        files = tmp_path / "old/sbom/launch/some_bp/deps"
        files.mkdir(parents=True)
        (files / "sbom.cdx.json").write_text("{}")
        mapping = PathMapping(tmp_path / "old", PurePosixPath(root), normalise_ancestors=True)
        source = directory_layer(tmp_path / "old/sbom/launch", uid=0, gid=0, mapping=mapping)
        image = images.put(APP, layers=[b"".join(source.chunks())])
        sha = "sha256:" + "0" * 64 if missing else image.config.diff_ids[0]
        run = labels(METADATA.model_copy(update={"sbom": LayerSha(sha=sha)}))
        images.images[APP] = replace(image, config=replace(image.config, run=run | {"Env": list(env)}))

    return put


def restored(inputs):
    layers_dir = inputs.layers_dir
    return {path.relative_to(layers_dir).as_posix() for path in layers_dir.rglob("*") if path.is_file()}


@pytest.mark.requirement("PLAT-ANA-024", "PLAT-ANA-015")
@pytest.mark.parametrize("api", [api for api in APIS if api != "0.7"])
@pytest.mark.parametrize("skip_layers", [False, True])
def test_its_files_are_restored_for_the_restorer_unless_layers_are_skipped(
    images, inputs, previous_with_sbom, caplog, api, skip_layers
):
    caplog.set_level(logging.INFO)
    previous_with_sbom()
    given = inputs(api, skip_layers=skip_layers, image_layers_dir=PurePosixPath("/layers"))
    analyze(given, images=images)
    assert restored(given) == (set() if skip_layers else {"sbom/launch/some_bp/deps/sbom.cdx.json"})
    assert ("Restoring data for SBOM from previous image" in caplog.messages) is not skip_layers


def test_before_platform_api_0_8_there_are_no_sbom_files(images, inputs, previous_with_sbom):
    previous_with_sbom()
    given = inputs("0.7", image_layers_dir=PurePosixPath("/layers"))
    analyze(given, images=images)
    assert restored(given) == set()


@pytest.mark.parametrize("damage", [{"missing": True}, {"root": "/elsewhere"}])
def test_an_image_whose_sbom_layer_can_not_be_read_is_corrupt(images, inputs, previous_with_sbom, caplog, damage):
    previous_with_sbom(**damage)
    given = inputs(image_layers_dir=PurePosixPath("/layers"))
    analyzed = analyze(given, images=images)
    assert analyzed.image == ImageIdentifier(reference="")
    assert analyzed.metadata == LifecycleMetadata()
    assert restored(given) == set()
    assert f'Ignoring image "{APP}" because it was corrupt' in caplog.messages


def test_sbom_files_of_another_layers_directory_are_left_out_with_a_warning(images, inputs, previous_with_sbom, caplog):
    previous_with_sbom(root="/elsewhere", env=["A=b", "CNB_LAYERS_DIR=/elsewhere"])
    given = inputs(image_layers_dir=PurePosixPath("/layers"))
    analyzed = analyze(given, images=images)
    assert analyzed.image != ImageIdentifier(reference="")
    assert analyzed.metadata.buildpacks == METADATA.buildpacks
    assert restored(given) == set()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f'Not restoring SBOM from previous image "{APP}", whose layers directory is /elsewhere and not /layers'
    ]


# Layouts


@pytest.mark.requirement("PLAT-ANA-033", "PLAT-FILE-006")
@pytest.mark.parametrize("api", ["0.12", "0.13", "0.14", "0.15"])
def test_images_are_found_in_layouts(inputs, tmp_path, api, caplog):
    store = LayoutStore(tmp_path / "layouts", platform=ImagePlatform())

    class Layer:
        def chunks(self):
            yield b"x" * 1024

    blob = write_blob(Layer(), tmp_path)
    config = replace(scratch_image(architecture="amd64").config, diff_ids=(blob.diff_id,))
    store.write(NewImage(None, (blob,), config), [RUN])
    store.write(NewImage(None, (blob,), replace(config, run=labels(METADATA))), [APP])
    analyzed = analyze(inputs(api), images=store)
    assert analyzed.image.reference.startswith(f"{tmp_path}/layouts/reg.example/app/latest@sha256:")
    assert analyzed.metadata == METADATA
    assert analyzed.run_image.reference.startswith(f"{tmp_path}/layouts/reg.example/run/latest@sha256:")
    assert analyzed.run_image.image == f"{tmp_path}/layouts/reg.example/run/latest"
    (tmp_path / "layouts/reg.example/app/latest/index.json").write_text("{")
    assert analyze(inputs(api), images=store).image == ImageIdentifier(reference="")
    assert f'Ignoring image "{APP}" because it was corrupt' in caplog.messages


def test_names_that_another_place_gets_are_not_checked(images, tmp_path):
    images.unwritable = frozenset({"some/app"})
    images.put("some/run")
    inputs = AnalyzeInputs(
        api=LATEST_PLATFORM_API, image="some/app", layers_dir=tmp_path, run_image="some/run", writes_here=False
    )
    assert analyze(inputs, images=images).run_image.image == "some/run"
    with pytest.raises(ImageError, match="may not be written"):
        analyze(replace(inputs, writes_here=True), images=images)
