"""What analysis makes of images in a real registry."""

import pytest

from lifecycle.errors import ImageNotFoundError
from lifecycle.model.api import PLATFORM_APIS, PlatformApi, PlatformFeature
from lifecycle.model.lifecycle_metadata import LayerSha, LifecycleMetadata
from lifecycle.oci.gojson import dumps
from lifecycle.phases.analyze import AnalyzeInputs, analyze
from parts.skopeo import push_image

METADATA = LifecycleMetadata(launcher=LayerSha(sha="sha256:" + "1" * 64))
LABEL = "io.buildpacks.lifecycle.metadata"


@pytest.fixture
def inputs(registry, tmp_path):
    def make(api, **more):
        run_image = f"{registry.host}/analyze/run:22"
        return AnalyzeInputs(
            api=PlatformApi(api), image=f"{registry.host}/analyze/app", layers_dir=tmp_path, run_image=run_image, **more
        )

    return make


@pytest.mark.requirement("PLAT-FILE-005", "PLAT-FILE-006")
@pytest.mark.parametrize("api", PLATFORM_APIS, ids=str)
@pytest.mark.parametrize("as_index", [False, True])
def test_images_are_recorded_by_digest(registry, registry_store, inputs, api, as_index):
    run = push_image(registry, "analyze/run", "22", as_index=as_index)
    app = push_image(registry, "analyze/app", config={"Labels": {LABEL: dumps(METADATA.label())}})
    analyzed = analyze(inputs(api), images=registry_store)
    assert analyzed.image.reference == app.by_digest
    assert analyzed.metadata == METADATA
    digest = run.manifest["manifests"][0]["digest"] if as_index else run.digest
    assert analyzed.run_image.reference == f"{registry.host}/analyze/run@{digest}"
    if PlatformFeature.TARGETS in PlatformApi(api):
        assert analyzed.run_image.target.arch == "amd64"


@pytest.mark.requirement("PLAT-ANA-027")
def test_a_repository_that_does_not_exist_is_no_previous_image(registry, registry_store, inputs):
    push_image(registry, "analyze/run", "22")
    given = inputs(
        PLATFORM_APIS[-1], previous_image=f"{registry.host}/nobody/none", cache_image=f"{registry.host}/nobody/cache"
    )
    assert not analyze(given, images=registry_store, cache_images=registry_store).image.reference


def test_a_run_image_for_other_platforms_is_not_there_and_the_log_says_why(registry, registry_store, inputs, caplog):
    run = push_image(registry, "analyze/run", "22", platforms=["linux/s390x"], as_index=True)
    with pytest.raises(ImageNotFoundError):
        analyze(inputs(PLATFORM_APIS[-1]), images=registry_store)
    assert f'Image "{run.reference}" has no variant for linux/amd64' in caplog.messages
