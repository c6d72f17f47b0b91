"""What an app image records of its run image."""

import pytest

from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.run import Run, RunImage, Stack
from lifecycle.rules.run_image_metadata import EMPTY_LAYOUT_IMAGE, run_image_label, run_image_names

APIS = [PlatformApi(version) for version in PLATFORM_APIS]
FIRST = RunImage(image="docker.io/library/first", mirrors=("gcr.io/first",))
SECOND = RunImage(image="gcr.io/second:1", mirrors=("quay.io/second:1",))
STACK = Stack(run_image=RunImage(image="stack/run", mirrors=("gcr.io/stack/run",)))
RUN = Run(images=(FIRST, SECOND))


@pytest.mark.parametrize("api", APIS, ids=str)
def test_names_come_from_stack_toml_or_from_platform_api_0_12_on_from_run_toml(api):
    names = run_image_names(api, chosen="gcr.io/second:1", run=RUN, stack=STACK, extended=False)
    assert names == (SECOND if api in APIS[5:] else STACK.run_image)


@pytest.mark.requirement("PLAT-RUN-003", "PLAT-LABEL-019")
@pytest.mark.parametrize(
    ("chosen", "extended", "expected"),
    [
        ("quay.io/second:1", False, SECOND),
        (f"gcr.io/second:1@sha256:{'0' * 64}", False, SECOND),
        ("first", False, FIRST),
        ("index.docker.io/library/first:latest", True, FIRST),
        ("gcr.io/switched", True, RunImage(image="gcr.io/switched")),
        ("gcr.io/switched", False, FIRST),
        ("", False, FIRST),
    ],
)
def test_the_entry_of_the_chosen_run_image_counts(chosen, extended, expected):
    assert run_image_names(APIS[-1], chosen=chosen, run=RUN, stack=Stack(), extended=extended) == expected


def test_nothing_is_known_without_entries_in_run_toml():
    assert run_image_names(APIS[-1], chosen="x", run=Run(), stack=STACK, extended=True) == RunImage()


@pytest.mark.parametrize("api", APIS, ids=str)
def test_the_label_names_the_run_image_from_platform_api_0_12(api):
    label = run_image_label(api, SECOND, top_layer="sha256:1", reference="r@sha256:2").label()
    expected = {"topLayer": "sha256:1", "reference": "r@sha256:2"}
    if api in APIS[5:]:
        expected |= {"image": "gcr.io/second:1", "mirrors": ["quay.io/second:1"]}
    assert dict(label) == expected


@pytest.mark.parametrize("api", APIS, ids=str)
def test_of_a_run_image_in_a_layout_the_label_has_the_path_and_the_digest_of_an_empty_image(api):
    reference = f"/layout/index.docker.io/library/run/latest@sha256:{'1' * 64}"
    label = run_image_label(api, SECOND, top_layer="sha256:1", reference=reference)
    assert label.reference == f"/layout/index.docker.io/library/run/latest@{EMPTY_LAYOUT_IMAGE}"
    assert EMPTY_LAYOUT_IMAGE == "sha256:9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0"
