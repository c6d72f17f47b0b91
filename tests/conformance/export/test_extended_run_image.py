"""An app image on a run image that extensions extended."""

from dataclasses import replace

import pytest

from lifecycle.errors import ExportError
from lifecycle.model.analyzed import Analyzed, RunImageChoice
from lifecycle.model.api import PlatformFeature
from lifecycle.oci.config import HistoryEntry
from lifecycle.phases.extended_run_image import extended_layout
from lifecycle.rules.export_plan import Action, LayerKind
from lifecycle.testing.images import MemoryImage


@pytest.fixture
def extend(tar_of):
    """Make the extended run image of a situation: its base without blobs, and one layer more."""

    def made(situation) -> MemoryImage:
        base = situation.base
        whole = situation.images.put(
            "extended",
            layers=[*(base.blobs[each.digest] for each in base.manifest.layers), tar_of(curl=b"curl")],
            history=(
                *base.config.history,
                HistoryEntry(created_by="ENV A=b", empty_layer=True),
                HistoryEntry(created_by="Layer: 'RUN apk add curl', Created by extension: curl", comment="c"),
            ),
            run={"Env": ["PATH=/opt/bin"], "User": "1001", "Labels": {"io.buildpacks.rebasable": "true"}},
        )
        above = {each.digest: whole.blobs[each.digest] for each in whole.manifest.layers[2:]}
        return replace(whole, blobs=above)

    return made


def analyzed(situation):
    choice = RunImageChoice(reference=situation.base.reference, image="registry.example/run:1", extend=True)
    return Analyzed(run_image=choice)


@pytest.mark.requirement("PLAT-EXP-035")
def test_the_image_has_the_new_layers_of_the_extended_run_image_and_its_configuration(situation, extend):
    situation.layer("jre", "launch")
    exported = situation.export(extended=extend(situation), analyzed=analyzed(situation))
    image = situation.images.find(exported.written.names[0])
    first = exported.verdicts[0]
    if PlatformFeature.RUN_IMAGE_EXTENSION not in situation.api:
        assert first.kind is LayerKind.BUILDPACK
        assert image.config.run["User"] == "1000:1000"
        return
    assert (first.id, first.kind) == ("from extensions:extended-layer-2", LayerKind.EXTENSION)
    assert first.action is Action.ADD
    assert image.config.diff_ids[:3] == (*situation.base.config.diff_ids, first.diff_id)
    assert [each.kind for each in exported.verdicts].count(LayerKind.EXTENSION) == 1
    assert image.config.history[2] == HistoryEntry(
        "1980-01-01T00:00:01Z", "Layer: 'RUN apk add curl', Created by extension: curl", comment="c"
    )
    assert image.config.run["User"] == "1001"
    assert image.config.env[0] == "PATH=/cnb/process:/cnb/lifecycle:/opt/bin"
    assert image.config.labels["io.buildpacks.rebasable"] == "true"
    assert exported.metadata.runImage.topLayer == situation.base.config.diff_ids[-1]


@pytest.mark.requirement("PLAT-EXP-035")
def test_the_configuration_stays_that_of_the_run_image_unless_analysis_says_extended(newest, extend):
    exported = newest.export(extended=extend(newest))
    assert newest.images.find(exported.written.names[0]).config.run["User"] == "1000:1000"


def test_a_run_image_that_should_have_been_extended_but_was_not_fails(newest):
    with pytest.raises(ExportError, match="there is no extended image"):
        newest.export(analyzed=analyzed(newest))


def test_the_extended_run_image_is_the_only_entry_of_its_directory(tmp_path):
    assert extended_layout(tmp_path) is None
    (tmp_path / "run" / "sha256:1").mkdir(parents=True)
    assert extended_layout(tmp_path) == tmp_path / "run" / "sha256:1"
    (tmp_path / "run" / "sha256:2").mkdir()
    with pytest.raises(ExportError, match="holds 2 entries"):
        extended_layout(tmp_path)
