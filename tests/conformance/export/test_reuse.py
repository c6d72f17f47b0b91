"""Which layers come from the previous image."""

from dataclasses import replace

import pytest

from lifecycle.errors import ExportError
from lifecycle.model.build_metadata import BuildMetadata
from lifecycle.model.launch import Slice
from lifecycle.model.lifecycle_metadata import LifecycleMetadata
from lifecycle.rules.export_plan import Action


def rows(exported):
    return {each.id: (each.action, each.reason) for each in exported.verdicts}


def test_a_rebuild_without_changes_reuses_every_layer(situation):
    situation.layer("jre", "launch")
    situation.file("sbom/launch/samples_java/sbom.cdx.json")
    first = situation.export()
    second = situation.export()
    assert {action for action, _ in rows(second).values()} == {Action.REUSE}
    assert {reason for _, reason in rows(second).values()} == {"unchanged"}
    assert second.written.image_id == first.written.image_id
    assert second.written.digest == first.written.digest
    assert all(each.size > 0 and each.stored_size == 0 for each in second.verdicts)


def test_only_what_changed_is_added(situation):
    situation.layer("jre", "launch")
    situation.layer("app", "launch", contents="old")
    situation.export()
    situation.layer("app", "launch", contents="new")
    situation.layer("extra", "launch")
    found = rows(situation.export())
    assert found["samples/java:jre"] == (Action.REUSE, "unchanged")
    assert found["samples/java:app"] == (Action.ADD, "contents changed")
    assert found["samples/java:extra"] == (Action.ADD, "new layer")
    assert found["slice-1"] == (Action.REUSE, "unchanged")


def test_a_layer_of_metadata_only_stays_as_it_was(situation):
    directory = situation.layer("jre", "launch", metadata={"v": 1})
    before = situation.export()
    (directory / "data").unlink()
    directory.rmdir()
    situation.layer("jre", "launch", metadata={"v": 2}, contents=None)
    exported = situation.export()
    assert rows(exported)["samples/java:jre"] == (Action.REUSE, "kept: buildpack left metadata only")
    layer = exported.metadata.of("samples/java").layers["jre"]
    assert layer.sha == before.metadata.of("samples/java").layers["jre"].sha
    assert layer.data == {"v": 2}
    image = situation.images.find(exported.written.names[0])
    assert b"".join(image.layer(layer.sha))


@pytest.mark.requirement("BP-EXP-003")
def test_a_layer_of_metadata_only_that_the_previous_image_lacks_fails(situation):
    situation.layer("jre", "launch", contents=None)
    seen = []
    with pytest.raises(ExportError, match="cannot reuse 'samples/java:jre', previous image has no metadata"):
        situation.export(observe=seen.append)
    assert [each.action for each in seen] == [Action.REFUSE]
    assert list((situation.root / "work").iterdir()) == []


def test_a_cached_layer_needs_contents(situation):
    situation.layer("jre", "launch", "cache")
    situation.export()
    (situation.layers_dir / "samples_java" / "jre" / "data").unlink()
    (situation.layers_dir / "samples_java" / "jre").rmdir()
    with pytest.raises(ExportError, match="layer 'samples/java:jre' is cache=true but has no contents"):
        situation.export()


def test_a_previous_image_that_is_gone_lets_every_layer_be_added(newest):
    newest.layer("jre", "launch")
    newest.export()
    newest.previous = None
    exported = newest.export()
    assert set(rows(exported).values()) == {(Action.ADD, "the previous image is not available")}


def test_metadata_of_another_image_than_the_previous_one_is_not_believed(newest):
    newest.layer("jre", "launch")
    newest.export()
    newest.previous = newest.base
    exported = newest.export()
    assert rows(exported)["samples/java:jre"] == (Action.ADD, "the previous image lacks it")
    image = newest.images.find(exported.written.names[0])
    assert all(b"".join(image.layer(diff_id)) for diff_id in image.config.diff_ids)


def test_an_app_slice_is_reused_whatever_its_number_was(newest):
    (newest.app_dir / "a.txt").write_text("a")
    one, other = Slice(paths=("a.txt",)), Slice(paths=("main.txt",))
    newest.export(build_metadata=BuildMetadata(slices=(one, other)))
    found = rows(newest.export(build_metadata=BuildMetadata(slices=(other, one))))
    assert [found[f"slice-{number}"][0] for number in (1, 2, 3)] == [Action.REUSE] * 3


def test_a_malformed_layer_toml_fails_naming_the_layer(situation):
    situation.layer("good", "launch")
    situation.file("samples_java/bad.toml", "[types\n")
    situation.file("samples_java/old.toml", "launch = true\n")
    with pytest.raises(
        ExportError, match=r"failed to parse metadata for layers '\[samples/java:bad samples/java:old\]'"
    ) as caught:
        situation.export()
    assert "bad.toml" in caught.value.remedy


def test_files_that_are_no_layers_are_no_layers(newest):
    newest.layer("jre", "launch")
    newest.file("samples_java/launch.toml", "[[processes]]\ntype = 'web'\n")
    newest.file("samples_java/build.toml", "unmet = []\n")
    newest.file("samples_java/store.toml", "[metadata]\nx = 1\n")
    newest.file("samples_java/plain/data")
    newest.file("samples_java/jre.sbom.cdx.json")
    exported = newest.export()
    assert list(exported.metadata.of("samples/java").layers) == ["jre"]


def test_nothing_is_reused_without_metadata_of_the_previous_image(newest):
    newest.layer("jre", "launch")
    newest.export()
    newest.analyzed = LifecycleMetadata()
    assert set(rows(newest.export()).values()) == {(Action.ADD, "new layer")}


def test_a_layer_whose_blob_the_previous_image_has_lost_is_added_again(newest):
    newest.layer("jre", "launch")
    exported = newest.export()
    lost = exported.metadata.of("samples/java").layers["jre"].sha
    image = newest.previous
    descriptor = image.manifest.layers[image.config.diff_ids.index(lost)]
    newest.previous = replace(
        image, blobs={digest: data for digest, data in image.blobs.items() if digest != descriptor.digest}
    )
    again = newest.export()
    found = rows(again)
    assert found.pop("samples/java:jre") == (Action.ADD, "the previous image lacks it")
    assert {action for action, _ in found.values()} == {Action.REUSE}
    assert again.written.image_id == exported.written.image_id
