"""What the exported image is made of."""

import io
import json
import logging
import tarfile
import time
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from lifecycle.errors import ExportError
from lifecycle.images.layout import DirectoryStore
from lifecycle.model.api import PlatformFeature
from lifecycle.model.build_metadata import BuildMetadata, Process
from lifecycle.model.launch import Slice
from lifecycle.model.lifecycle_metadata import LifecycleMetadata
from lifecycle.oci.digest import digest_of
from lifecycle.rules.export_plan import Action

PROCESS_TYPES_WEB = "sha256:83d85471d9f8a3834b4e27cf701e3f0aef220cc816d9c173c7d32cd73909a590"
LAUNCHER_HELLO = "sha256:eaba5ac0610069ebde27e61712f82e341c43b8fdae8a28f7be7f071127cd83b8"
EMPTY_TAR = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
TIME = 315532801


def members(image, diff_id):
    data = b"".join(image.layer(diff_id))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return archive.getmembers()


def written_image(situation, exported):
    return situation.images.find(exported.written.names[0])


def verdict(exported, layer_id):
    (found,) = [each for each in exported.verdicts if each.id == layer_id]
    return found


@pytest.mark.requirement(
    "PLAT-EXP-036", "PLAT-EXP-038", "PLAT-EXP-045", "BP-EXP-007",
)  # fmt: skip
def test_the_image_has_the_run_image_and_then_all_layers_in_the_reference_s_order(situation):
    situation.layer("jre", "launch")
    situation.layer("build-only", "build")
    situation.layer("cached", "cache")
    situation.layer("classes", "launch", "build", "cache")
    situation.layer("Upper", "launch")
    situation.layer("m2", "launch", buildpack=situation.inputs().group.group[1])
    situation.file("sbom/launch/samples_java/sbom.cdx.json")
    exported = situation.export()
    image = written_image(situation, exported)
    expected = [
        "samples/java:Upper",
        "samples/java:classes",
        "samples/java:jre",
        "samples/maven:m2",
        *(["buildpacksio/lifecycle:launch.sbom"] if situation.has_sbom else []),
        "slice-1",
        "buildpacksio/lifecycle:launcher",
        "buildpacksio/lifecycle:config",
        "buildpacksio/lifecycle:process-types",
    ]
    assert [each.id for each in exported.verdicts] == expected
    assert image.config.diff_ids[:2] == situation.base.config.diff_ids
    assert image.config.diff_ids[2:] == tuple(each.diff_id for each in exported.verdicts)
    assert image.manifest.layers[:2] == situation.base.manifest.layers
    assert len(image.manifest.layers) == len(image.config.diff_ids) == len(image.config.history)


def test_history_names_the_layers_from_platform_api_0_12(situation):
    situation.layer("jre", "launch")
    history = written_image(situation, situation.export()).config.history
    assert {entry.created for entry in history} == {"1980-01-01T00:00:01Z"}
    texts = [entry.created_by for entry in history]
    if PlatformFeature.HISTORY in situation.api:
        assert texts == [
            "bottom",
            "top",
            "Layer: 'jre', Created by buildpack: samples/java@0.0.1",
            "Application Layer",
            "Buildpacks Application Launcher",
            "Buildpacks Launcher Config",
            "Buildpacks Process Types",
        ]
    else:
        assert set(texts) == {""}


@pytest.mark.requirement("PLAT-EXP-046", "PLAT-EXP-047", "PLAT-EXP-048", "BP-EXP-007")
def test_launcher_links_and_metadata_lie_where_the_image_starts(situation):
    build = BuildMetadata(processes=tuple(Process(type=each, command=("c",)) for each in ("web", "a.b-c_1")))
    exported = situation.export(build_metadata=build)
    image = written_image(situation, exported)
    assert {exported.metadata.launcher.sha, exported.metadata.config.sha} < set(image.config.diff_ids)
    *_, launcher = members(image, exported.metadata.launcher.sha)
    assert (launcher.name, launcher.size, launcher.mode) == ("/cnb/lifecycle/launcher", len(b"hello"), 0o755)
    assert b"hello" in b"".join(image.layer(exported.metadata.launcher.sha))
    links = [each for each in members(image, exported.metadata.process_types.sha) if each.issym()]
    assert {each.name: each.linkname for each in links} == {
        "/cnb/process/web": "/cnb/lifecycle/launcher",
        "/cnb/process/a.b-c_1": "/cnb/lifecycle/launcher",
    }
    metadata = situation.layers_dir / "config/metadata.toml"
    assert members(image, exported.metadata.config.sha)[-1].name == str(metadata)
    assert metadata.read_bytes() in b"".join(image.layer(exported.metadata.config.sha))


def test_launcher_and_process_types_have_the_bytes_of_the_reference(situation):
    metadata = situation.export().metadata
    assert metadata.launcher.sha == LAUNCHER_HELLO
    assert metadata.process_types.sha == PROCESS_TYPES_WEB


def test_without_processes_there_are_no_links(newest):
    exported = newest.export(build_metadata=BuildMetadata(processes=()))
    assert exported.metadata.process_types.sha == ""
    assert exported.verdicts[-1].id == "buildpacksio/lifecycle:config"
    image = written_image(newest, exported)
    assert image.config.run["Entrypoint"] == ("/cnb/lifecycle/launcher",)


@pytest.mark.requirement("BP-EXP-002", "BP-EXP-006", "PLAT-EXP-048", "PLAT-EXP-061")
def test_layers_keep_absolute_paths_have_one_time_and_the_owner_of_the_build(situation):
    layer = situation.layer("jre", "launch")
    exported = situation.export()
    image = written_image(situation, exported)
    jre = members(image, verdict(exported, "samples/java:jre").diff_id)
    app = members(image, verdict(exported, "slice-1").diff_id)
    config = members(image, exported.metadata.config.sha)
    assert [each.name for each in jre][-2:] == [str(layer), str(layer / "data")]
    assert app[-1].name == str(situation.app_dir / "main.txt")
    assert config[-1].name == str(situation.layers_dir / "config" / "metadata.toml")
    assert all((each.uid, each.gid) == (1234, 1000) for each in (*jre[-2:], *app[-2:], *config[-2:]))
    for diff_id in image.config.diff_ids[2:]:
        assert {each.mtime for each in members(image, diff_id)} == {TIME}


def test_directories_can_have_another_place_in_the_image(newest):
    newest.layer("jre", "launch")
    newest.file("sbom/launch/samples_java/sbom.cdx.json")
    exported = newest.export(
        image_layers_dir=PurePosixPath("/layers"),
        image_app_dir=PurePosixPath("/workspace"),
        normalise_ancestors=True,
    )
    image = written_image(newest, exported)
    paths = [each.name for diff_id in image.config.diff_ids[2:] for each in members(image, diff_id)]
    assert "/layers/samples_java/jre/data" in paths
    assert "/layers/config/metadata.toml" in paths
    assert "/layers/sbom/launch/samples_java/sbom.cdx.json" in paths
    assert "/workspace/main.txt" in paths
    assert not any(str(newest.root) in path for path in paths)
    assert "CNB_LAYERS_DIR=/layers" in image.config.env
    assert "CNB_APP_DIR=/workspace" in image.config.env
    assert image.config.run["WorkingDir"] == "/workspace"


@pytest.mark.requirement("PLAT-EXP-037", "PLAT-EXP-053", "PLAT-EXP-055")
def test_the_configuration_is_that_of_the_run_image_and_what_the_launcher_needs(situation):
    config = written_image(situation, situation.export()).config
    assert list(config.env) == [
        "PATH=/cnb/process:/cnb/lifecycle:/usr/bin:/bin",
        "LANG=C.UTF-8",
        f"CNB_LAYERS_DIR={situation.layers_dir}",
        f"CNB_APP_DIR={situation.app_dir}",
        f"CNB_PLATFORM_API={situation.api}",
        "CNB_DEPRECATION_MODE=quiet",
    ]
    assert config.run["WorkingDir"] == str(situation.app_dir)
    assert config.run["User"] == "1000:1000"
    assert "Cmd" not in config.run
    assert config.labels["io.buildpacks.stack.id"] == "s"


BUILD = BuildMetadata(
    processes=(Process(type="task", command=("t",)), Process(type="web", command=("w",))),
    default_process_type="web",
)


@pytest.mark.requirement("PLAT-EXP-049", "PLAT-EXP-051", "PLAT-EXP-052")
@pytest.mark.parametrize(
    ("build", "wanted", "entrypoint"),
    [
        (BUILD, "task", "/cnb/process/task"),
        (BUILD, "", "/cnb/process/web"),
        (BuildMetadata(processes=BUILD.processes), "", "/cnb/lifecycle/launcher"),
    ],
)
def test_the_entrypoint_is_the_wanted_process_the_default_or_the_launcher(situation, build, wanted, entrypoint):
    exported = situation.export(build_metadata=build, process_type=wanted)
    assert list(written_image(situation, exported).config.run["Entrypoint"]) == [entrypoint]


def test_the_log_says_that_there_is_no_default_process(newest, caplog):
    caplog.set_level(logging.INFO, "lifecycle")
    newest.export(build_metadata=BuildMetadata(processes=BUILD.processes))
    assert "no default process type" in caplog.messages


@pytest.mark.requirement("PLAT-EXP-050")
def test_a_wanted_process_that_the_build_does_not_have_fails(situation):
    with pytest.raises(ExportError, match="tried to set x to default but it doesn't exist"):
        situation.export(process_type="x")
    assert situation.previous is None


def test_an_export_without_a_launcher_fails(newest):
    newest.launcher.unlink()
    with pytest.raises(ExportError, match="there is no launcher") as caught:
        newest.export()
    assert caught.value.where == str(newest.launcher)
    assert "-launcher" in caught.value.remedy


@pytest.mark.requirement("PLAT-EXP-062", "PLAT-EXP-063")
def test_the_time_of_the_image_is_constant_or_source_date_epoch_in_local_time(situation, monkeypatch):
    monkeypatch.setenv("TZ", "<+02>-02")
    time.tzset()
    try:
        constant = written_image(situation, situation.export()).config
        chosen = written_image(situation, situation.export(source_date_epoch="1577836800")).config
        same = written_image(situation, situation.export(source_date_epoch="315532801")).config
    finally:
        monkeypatch.undo()
        time.tzset()
    assert constant.created == "1980-01-01T00:00:01Z"
    if PlatformFeature.SOURCE_DATE_EPOCH in situation.api:
        assert chosen.created == "2020-01-01T02:00:00+02:00"
        assert same.created == "1980-01-01T02:00:01+02:00"
    else:
        assert chosen.created == constant.created
    assert {entry.created for entry in chosen.history} == {chosen.created}


def test_an_invalid_source_date_epoch_is_ignored_with_a_warning(newest, caplog):
    exported = newest.export(source_date_epoch="yesterday")
    assert written_image(newest, exported).config.created == "1980-01-01T00:00:01Z"
    assert [each.message for each in caplog.records if each.levelno == logging.WARNING][:1] == [
        "Ignoring invalid SOURCE_DATE_EPOCH"
    ]


@pytest.mark.requirement("PLAT-EXP-039", "PLAT-LABEL-013")
def test_launch_sbom_files_are_one_layer_from_platform_api_0_8(situation):
    file = situation.file("sbom/launch/samples_java/jre/sbom.cdx.json")
    exported = situation.export()
    if situation.has_sbom:
        layer = members(written_image(situation, exported), exported.metadata.sbom.sha)
        assert layer[-1].name == str(file)
    else:
        assert exported.metadata.sbom is None


def test_without_launch_sbom_files_there_is_no_layer_of_them(newest):
    assert newest.export().metadata.sbom is None


@pytest.mark.requirement("PLAT-EXP-044", "PLAT-EXP-070")
def test_sboms_of_launcher_and_lifecycle_join_from_platform_api_0_11(situation, caplog):
    for name in ("launcher.sbom.cdx.json", "launcher.sbom.syft.json", "lifecycle.sbom.spdx.json"):
        (situation.lifecycle_dir / name).write_text(name)
    exported = situation.export()
    launch = situation.layers_dir / "sbom/launch/buildpacksio_lifecycle/launcher"
    build = situation.layers_dir / "sbom/build/buildpacksio_lifecycle"
    warnings = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    if PlatformFeature.LIFECYCLE_SBOM in situation.api:
        layer = members(written_image(situation, exported), exported.metadata.sbom.sha)
        assert [each.name for each in layer][-2:] == [
            str(launch / "sbom.cdx.json"),
            str(launch / "sbom.syft.json"),
        ]
        assert (launch / "sbom.cdx.json").read_text() == "launcher.sbom.cdx.json"
        assert [path.name for path in build.iterdir()] == ["sbom.spdx.json"]
        assert f"Did not find SBOM launcher.sbom.spdx.json in {situation.lifecycle_dir}" in warnings
    else:
        assert not launch.exists()
        assert not build.exists()
        assert warnings == []


def test_a_custom_directory_gives_all_its_sbom_files_to_the_launcher(newest, tmp_path):
    custom = tmp_path / "custom"
    custom.mkdir()
    for name in ("tool.sbom.cdx.json", "sbom.spdx.json", "readme.json"):
        (custom / name).write_text(name)
    newest.export(launcher_sbom_dir=custom)
    launch = newest.layers_dir / "sbom/launch/buildpacksio_lifecycle/launcher"
    assert sorted(path.name for path in launch.iterdir()) == ["sbom.spdx.json", "tool.sbom.cdx.json"]


def test_a_custom_directory_of_sbom_files_has_to_exist(newest, tmp_path):
    with pytest.raises(ExportError, match="failed to copy buildpacksio SBOMs"):
        newest.export(launcher_sbom_dir=tmp_path / "missing")


@pytest.mark.requirement("BP-SLICE-001", "BP-SLICE-002", "BP-SLICE-003", "BP-SLICE-004", "PLAT-LABEL-012")
@pytest.mark.requirement("BP-EXP-006", "PLAT-EXP-045")
def test_slices_are_layers_and_the_rest_is_the_last_one(situation):
    for name in ("a.txt", "b.txt"):
        (situation.app_dir / name).write_text(name)
    slices = (Slice(paths=("a.*",)), Slice(paths=("nothing",)), Slice(paths=("*.txt",)))
    exported = situation.export(build_metadata=BuildMetadata(slices=slices))
    image = written_image(situation, exported)
    shas = [layer.sha for layer in exported.metadata.app]
    files = [[PurePosixPath(each.name).name for each in members(image, sha) if each.isreg()] for sha in shas]
    assert files == [["a.txt"], [], ["b.txt", "main.txt"], []]
    assert shas[1] == EMPTY_TAR
    if PlatformFeature.HISTORY in situation.api:
        texts = [entry.created_by for entry in image.config.history[2:6]]
        assert texts == [f"Application Slice: {number}" for number in (1, 2, 3, 4)]


def test_the_observer_hears_of_every_layer_with_its_size(newest):
    newest.layer("jre", "launch")
    seen = []
    exported = newest.export(observe=seen.append)
    assert tuple(seen) == exported.verdicts
    for each in seen:
        layer = b"".join(written_image(newest, exported).layer(each.diff_id))
        assert each.action is Action.ADD
        assert each.size == len(layer)
        assert 0 < each.stored_size < len(layer)


@pytest.mark.requirement("PLAT-REPRO-001", "PLAT-REPRO-002", "PLAT-REPRO-005")
def test_equal_inputs_give_equal_images(situation):
    situation.layer("jre", "launch", metadata={"b": 1, "a": [1.5, "x"]})
    first = situation.export().written
    situation.previous = None
    situation.analyzed = LifecycleMetadata()
    second = situation.export().written
    assert (first.image_id, first.digest) == (second.image_id, second.digest)


def test_the_log_tells_what_happens(situation_of, caplog):
    situation = situation_of("0.10")
    situation.layer("jre", "launch")
    caplog.set_level(logging.INFO, "lifecycle")
    exported = situation.export(names=("registry.example/app:1", "registry.example/app:2"))
    assert caplog.messages == [
        "Adding layer 'samples/java:jre'",
        "Added 1/1 app layer(s)",
        "Adding layer 'buildpacksio/lifecycle:launcher'",
        "Adding layer 'buildpacksio/lifecycle:config'",
        "Adding layer 'buildpacksio/lifecycle:process-types'",
        "Adding label 'io.buildpacks.lifecycle.metadata'",
        "Adding label 'io.buildpacks.build.metadata'",
        "Adding label 'io.buildpacks.project.metadata'",
        "Setting default process type 'web'",
        "Saving registry.example/app:1...",
        f"*** Images ({exported.written.digest}):",
        "      registry.example/app:1",
        "      registry.example/app:2",
    ]


def test_the_log_of_a_rebuild_tells_what_is_reused(situation_of, caplog):
    situation = situation_of("0.10")
    situation.layer("jre", "launch")
    situation.export()
    (situation.app_dir / "main.txt").write_text("changed")
    caplog.set_level(logging.INFO, "lifecycle")
    previous = situation.previous
    situation.export()
    assert caplog.messages[:6] == [
        f"Reusing layers from image '{previous.reference}'",
        "Reusing layer 'samples/java:jre'",
        "Added 1/1 app layer(s)",
        "Reusing layer 'buildpacksio/lifecycle:launcher'",
        "Reusing layer 'buildpacksio/lifecycle:config'",
        "Reusing layer 'buildpacksio/lifecycle:process-types'",
    ]


def test_a_previous_image_in_a_layout_is_called_by_its_path(newest, caplog):
    newest.export()
    newest.previous = replace(newest.previous, reference=f"/layout/app/latest@{newest.previous.reference[-71:]}")
    caplog.set_level(logging.INFO, "lifecycle")
    newest.export()
    assert "Reusing layers from image '/layout/app/latest'" in caplog.messages


def test_an_image_of_a_daemon_is_known_by_its_id(newest, caplog):
    newest.images.has_digests = False
    caplog.set_level(logging.DEBUG, "lifecycle")
    exported = newest.export()
    image_id = exported.written.image_id.removeprefix("sha256:")
    assert f"*** Images ({image_id[:12]}):" in caplog.messages
    assert f"\n*** Image ID: {image_id}" in caplog.messages
    assert exported.report.image.image_id == image_id
    assert exported.report.image.digest == ""


def test_the_label_is_what_the_next_export_reads(newest):
    exported = newest.export()
    label = written_image(newest, exported).config.labels["io.buildpacks.lifecycle.metadata"]
    assert type(exported.metadata).model_validate(json.loads(label)) == exported.metadata


ANYWHERE = {
    "image_layers_dir": PurePosixPath("/layers"),
    "image_app_dir": PurePosixPath("/workspace"),
    "normalise_ancestors": True,
}


@pytest.mark.requirement("PLAT-REPRO-001")
def test_the_place_of_the_build_is_not_in_the_image_if_so_wanted(tmp_path, situation_in):
    written = []
    for place in ("here", "some/where/else"):
        situation = situation_in(tmp_path / place, "0.15")
        situation.layer("jre", "launch", metadata={"v": 1})
        written.append(situation.export(**ANYWHERE).written)
    assert written[0].image_id == written[1].image_id
    assert written[0].digest == written[1].digest


def test_the_configuration_has_the_bytes_of_the_reference(situation_of):
    situation = situation_of("0.12")
    exported = situation.export(**ANYWHERE)
    config = written_image(situation, exported).config
    texts = ["bottom", "top", *(each.created_by for each in exported.verdicts)]
    expected = {
        "architecture": "amd64",
        "created": "1980-01-01T00:00:01Z",
        "history": [{"created": "1980-01-01T00:00:01Z", "created_by": text} for text in texts],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": list(config.diff_ids)},
        "config": {
            "Entrypoint": ["/cnb/process/web"],
            "Env": [
                "PATH=/cnb/process:/cnb/lifecycle:/usr/bin:/bin",
                "LANG=C.UTF-8",
                "CNB_LAYERS_DIR=/layers",
                "CNB_APP_DIR=/workspace",
                "CNB_PLATFORM_API=0.12",
                "CNB_DEPRECATION_MODE=quiet",
            ],
            "Labels": {key: config.labels[key] for key in sorted(config.labels)},
            "User": "1000:1000",
            "WorkingDir": "/workspace",
        },
    }
    assert config.dumps().decode() == json.dumps(expected, separators=(",", ":"))
    assert exported.written.image_id == digest_of(config.dumps())


@pytest.mark.requirement("PLAT-EXP-065")
def test_sbom_files_of_the_build_stay_in_the_layers_directory_and_out_of_the_image(situation):
    file = situation.file("sbom/build/samples_java/sbom.cdx.json", "{}")
    exported = situation.export()
    assert file.read_text() == "{}"
    image = written_image(situation, exported)
    paths = [each.name for diff_id in image.config.diff_ids[2:] for each in members(image, diff_id)]
    assert str(file) not in paths


def test_an_app_image_can_be_written_to_an_oci_layout_and_extended_by_a_rebuild(newest, tmp_path):
    newest.layer("jre", "launch")
    store = DirectoryStore(tmp_path / "image")
    first = newest.export(images=store, names=("1",))
    assert first.report.image.digest == first.report.image.image_id == ""
    assert first.written.reference.startswith(f"{tmp_path}/image@sha256:")
    second = newest.export(images=store, names=("1",))
    assert {each.action for each in second.verdicts} == {Action.REUSE}
    assert second.written.reference == first.written.reference
    image = store.find("1")
    assert all(b"".join(image.layer(diff_id)) for diff_id in image.config.diff_ids)


@pytest.mark.parametrize("epoch", ["-62135510400", "253402128000"])
def test_the_first_and_the_last_times_that_count_can_be_told_in_local_time(newest, epoch):
    created = written_image(newest, newest.export(source_date_epoch=epoch)).config.created
    assert created.startswith(("0001-", "9999-"))


def test_an_sbom_file_that_can_not_be_read_fails(newest):
    (newest.lifecycle_dir / "launcher.sbom.cdx.json").mkdir()
    with pytest.raises(ExportError, match="failed to copy buildpacksio SBOMs") as caught:
        newest.export()
    assert caught.value.where.endswith("launcher.sbom.cdx.json")
