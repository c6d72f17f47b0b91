"""Previous images in a daemon, by name and by id.  Spec: platform.md "analyzer" (``-daemon``, ``-previous-image``)."""

import itertools
import os
from dataclasses import replace

import pytest

from lifecycle.images.daemon.store import DaemonStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.model.lifecycle_metadata import LayerSha, LifecycleMetadata
from lifecycle.oci.gojson import dumps

_NUMBERS = itertools.count()
METADATA = LifecycleMetadata(launcher=LayerSha(sha="sha256:" + "1" * 64))


class Layer:
    def chunks(self):
        yield bytes(1024)


@pytest.fixture
def analyze(place, dockerd, tmp_path):
    """Return the id and the name of a previous image, and a function that analyzes it by a name."""
    name = f"analyze-{os.getpid()}-{next(_NUMBERS)}"
    store = DaemonStore(dockerd.client)
    blob = write_blob(Layer(), tmp_path)
    config = replace(scratch_image(architecture="amd64").config, diff_ids=(blob.diff_id,))
    store.write(NewImage(None, (blob,), config), [f"{name}/run"])
    labels = {"io.buildpacks.lifecycle.metadata": dumps(METADATA.label())}
    config = replace(config, author=name, run={"Labels": labels})
    image_id = store.write(NewImage(None, (blob,), config), [f"{name}/previous"]).image_id

    def run(previous, *, api="0.15"):
        arguments = ("-daemon", "-run-image", f"{name}/run", "-previous-image", previous, f"{name}/app")
        done = place.run_as_it_is("analyzer", *arguments, api=api, as_root=True, **dockerd.environment)
        path = place.layers / "analyzed.toml"
        return done, path.read_text() if path.exists() else ""

    return image_id.removeprefix("sha256:"), f"{name}/previous", run


@pytest.mark.requirement("PLAT-ANA-003", "PLAT-ANA-012", "PLAT-ANA-023", "PLAT-FILE-005")
@pytest.mark.parametrize("api", ["0.7", "0.12", "0.15"])
@pytest.mark.parametrize("kind", ["name", "id", "long id", "short id"])
def test_the_previous_image_is_found_by_name_and_by_id(analyze, api, kind):
    image_id, name, run = analyze
    names = {"name": name, "id": image_id, "long id": f"sha256:{image_id}", "short id": image_id[:12]}
    done, analyzed = run(names[kind], api=api)
    assert done.code == 0, done.output
    assert f'[image]\n  reference = "{image_id}"\n' in analyzed
    assert METADATA.launcher.sha in analyzed


@pytest.mark.requirement("PLAT-ANA-023")
@pytest.mark.parametrize("previous", ["Not A Name", "UPPER", "a//b", "sha256:"])
def test_what_is_neither_is_an_error(analyze, previous):
    _, _, run = analyze
    done, analyzed = run(previous)
    assert done.code == 3
    assert previous in done.errors[0]
    assert analyzed == ""
