"""Which run image a build uses, and what analyzed.toml says of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError, ImageError, ImageNotFoundError, InvalidInputError
from lifecycle.model.analyzed import Analyzed, RunImageChoice
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.run import Run, RunImage, Stack
from lifecycle.model.target import Distro, TargetData
from lifecycle.oci.config import ImageConfig
from lifecycle.oci.reference import parse_reference
from lifecycle.phases.analyze import AnalyzeInputs, analyze
from lifecycle.phases.restore_run_image import identify_run_image, must_be_identified, with_readable_run_image
from lifecycle.rules.run_image import by_preference, listed, target_data
from lifecycle.testing.images import MemoryImages

WITH_STACK = [str(api) for api in PLATFORM_APIS if api.minor < 12]
WITH_RUN = [str(api) for api in PLATFORM_APIS if api.minor >= 12]
EVERY = WITH_STACK + WITH_RUN
NEWEST = PlatformApi.parse(WITH_RUN[-1])

OFFERED = RunImage(image="one.example/run", mirrors=("two.example/run", "three.example/run"))


@pytest.fixture
def images():
    return MemoryImages()


@pytest.fixture
def offer(tmp_path):
    """Return inputs that offer the run image in the file of that Platform API."""

    def inputs(api, *, app="reg.example/app", offered=OFFERED, **more):
        with_stack = api in WITH_STACK
        return AnalyzeInputs(
            api=PlatformApi.parse(api),
            image=app,
            layers_dir=tmp_path / "layers",
            **({"stack": Stack(run_image=offered)} if with_stack else {"run": Run(images=(offered,))}),
            **more,
        )

    return inputs


@pytest.mark.requirement("PLAT-ANA-031", "PLAT-ANA-014", "PLAT-FILE-008")
@pytest.mark.parametrize("api", EVERY)
def test_the_run_image_of_the_platform_is_taken(images, offer, api):
    images.put(OFFERED.image)
    given_image = images.put("reg.example/mine:1", architecture="arm64", variant="v8")
    chosen = analyze(offer(api, run_image="reg.example/mine:1"), images=images).run_image
    assert chosen.reference == given_image.reference
    if api in WITH_STACK:
        assert (chosen.image, chosen.target) == ("", None)
    else:
        assert chosen.image == "reg.example/mine:1"
        assert chosen.target == TargetData(os="linux", arch="arm64", arch_variant="v8")


@pytest.mark.requirement("PLAT-ANA-025", "PLAT-ANA-026", "PLAT-RUN-001", "PLAT-RUN-004")
@pytest.mark.parametrize("api", EVERY)
@pytest.mark.parametrize("registry", ["one.example", "two.example", "three.example"])
def test_the_image_in_the_registry_of_the_app_is_preferred(images, offer, api, registry):
    for name in OFFERED.names():
        images.put(name, author=name)
    chosen = analyze(offer(api, app=f"{registry}/app"), images=images).run_image
    assert chosen.reference == images.find(f"{registry}/run").reference


@pytest.mark.requirement("PLAT-RUN-001", "PLAT-RUN-002", "PLAT-RUN-004")
@pytest.mark.parametrize("api", EVERY)
@pytest.mark.parametrize(
    ("app", "readable", "expected"),
    [
        ("other.example/app", ["one.example/run", "two.example/run"], "one.example/run"),
        ("other.example/app", ["two.example/run", "three.example/run"], "two.example/run"),
        ("three.example/app", ["one.example/run", "two.example/run"], "one.example/run"),
        ("three.example/app", ["two.example/run", "three.example/run"], "three.example/run"),
    ],
)
def test_only_readable_images_count(images, offer, api, app, readable, expected):
    for name in readable:
        images.put(name, author=name)
    chosen = analyze(offer(api, app=app), images=images).run_image
    assert chosen.reference == images.find(expected).reference
    assert chosen.image == (expected if api in WITH_RUN else "")


@pytest.mark.requirement("PLAT-ANA-029")
@pytest.mark.parametrize("api", EVERY)
def test_without_a_readable_run_image_analysis_fails(images, offer, api):
    with pytest.raises(ImageError, match=r"failed to find accessible run image; make one of one.example/run, "):
        analyze(offer(api), images=images)
    with pytest.raises(ImageNotFoundError, match=r"run image 'reg.example/mine' is not there"):
        analyze(offer(api, run_image="reg.example/mine"), images=images)


@pytest.mark.requirement("PLAT-ANA-025", "PLAT-ANA-026")
@pytest.mark.parametrize(
    ("api", "message"),
    [
        *((api, "missing run image metadata") for api in WITH_STACK),
        *((api, "-run-image is required when there is no run metadata available") for api in WITH_RUN),
    ],
)
def test_without_any_run_image_named_analysis_fails(images, offer, api, message):
    with pytest.raises(InvalidInputError, match=message):
        analyze(offer(api, offered=RunImage()), images=images)


names = st.lists(
    st.builds(
        "{}/{}".format,
        st.sampled_from(["a.io", "b.io:5000", "localhost"]),
        st.sampled_from(["x1", "y1", "z1"]),
    ),
    min_size=1,
    unique=True,
)


@pytest.mark.requirement("PLAT-RUN-001", "PLAT-RUN-002")
@given(offered=names, app=st.sampled_from(["a.io/app", "b.io:5000/app", "c.io/app", "not an image!"]))
def test_preference_reorders_the_names_by_registry_only(offered, app):
    preferred = by_preference(RunImage(image=offered[0], mirrors=tuple(offered[1:])), app_image=app)
    assert sorted(preferred) == sorted(offered)
    registry = None if app == "not an image!" else parse_reference(app).registry
    near = [parse_reference(name).registry == registry for name in preferred]
    assert near == sorted(near, reverse=True)
    assert [name for name in offered if not name.startswith(f"{registry}/")] == list(preferred[sum(near) :])


@pytest.mark.requirement("PLAT-RUN-003")
def test_an_entry_of_run_toml_is_found_by_any_of_its_names():
    run = Run(
        images=(
            RunImage(image="a/b"),
            RunImage(image="c/d", mirrors=("docker.io/e/f:latest",)),
            RunImage(image="e/f"),
        )
    )
    assert listed(run, "index.docker.io/e/f") == run.images[1]
    assert listed(run, "e/f@sha256:" + "0" * 64) == run.images[1]
    assert listed(run, "g/h") is None


# Target data


def config(*, os="linux", architecture="amd64", variant="", **labels):
    named = {name.replace("_", "."): value for name, value in labels.items()}
    return ImageConfig(architecture=architecture, os=os, variant=variant, diff_ids=(), run={"Labels": named})


@pytest.mark.requirement("PLAT-TGT-001", "PLAT-FILE-003")
def test_target_data_comes_from_configuration_and_labels():
    labels = {"io_buildpacks_base_distro_name": "ubuntu", "io_buildpacks_base_distro_version": "24.04"}
    assert target_data(config(architecture="arm", variant="v7", **labels), where="") == TargetData(
        os="linux", arch="arm", arch_variant="v7", distro=Distro(name="ubuntu", version="24.04")
    )
    assert target_data(config(io_buildpacks_base_id="x"), where="").id == "x"
    only_name = target_data(config(io_buildpacks_base_distro_name="alpine"), where="")
    assert only_name.distro == Distro(name="alpine", version="")


@pytest.mark.requirement("PLAT-FILE-009")
def test_a_missing_distribution_is_left_to_os_release():
    assert target_data(config(), where="").distro is None


@pytest.mark.requirement("PLAT-FILE-010")
def test_an_image_of_the_stack_bionic_is_ubuntu_18_04():
    bionic = {"io_buildpacks_stack_id": "io.buildpacks.stacks.bionic"}
    assert target_data(config(os="", architecture="", **bionic), where="") == TargetData(
        os="linux", arch="amd64", distro=Distro(name="ubuntu", version="18.04")
    )
    labelled = target_data(config(io_buildpacks_base_distro_name="other", **bionic), where="")
    assert labelled.distro == Distro(name="other", version="")


def test_an_image_without_an_os_is_corrupt():
    with pytest.raises(CorruptImageError, match="failed to find OS in run image config"):
        target_data(config(os=""), where="run image x")


# The restorer looks again


EXTENDED = Group(group_extensions=(GroupElement(id="ext", version="1", api="0.10"),))


def switched(image="two.example/run"):
    return Analyzed(run_image=RunImageChoice(reference=image, image=image))


@pytest.mark.requirement("PLAT-RES-028", "PLAT-RES-029", "PLAT-RES-030")
@pytest.mark.parametrize("api", WITH_RUN)
def test_the_restorer_identifies_a_run_image_that_an_extension_chose(images, api):
    image = images.put("two.example/run", architecture="arm64")
    assert must_be_identified(switched(), EXTENDED, api=PlatformApi.parse(api))
    found = identify_run_image(switched(), api=PlatformApi.parse(api), images=images)
    assert found.run_image == RunImageChoice(
        reference=image.reference, image="two.example/run", target=TargetData(os="linux", arch="arm64")
    )


@pytest.mark.requirement("PLAT-RES-029")
def test_the_restorer_takes_a_mirror_of_run_toml_where_the_image_can_not_be_read(images):
    images.put("three.example/run")
    run = Run(images=(OFFERED,))
    found = with_readable_run_image(switched(), run=run, images=images)
    assert found.run_image == RunImageChoice(reference="three.example/run", image="three.example/run")
    with pytest.raises(ImageError, match=r"selected run image 'two.example/run' is not accessible"):
        with_readable_run_image(switched(), run=run, images=MemoryImages())


def test_the_restorer_leaves_a_readable_run_image_and_one_that_run_toml_does_not_list(images):
    images.put("two.example/run")
    run = Run(images=(OFFERED,))
    assert with_readable_run_image(switched(), run=run, images=images) == switched()
    assert with_readable_run_image(switched("other.example/run"), run=run, images=images) == switched(
        "other.example/run"
    )


def test_the_restorer_does_not_look_at_a_run_image_that_is_identified():
    known = Analyzed(
        run_image=RunImageChoice(reference="x@sha256:1", image="x", target=TargetData(os="linux", arch="amd64"))
    )
    assert not must_be_identified(known, EXTENDED, api=NEWEST)
    assert not must_be_identified(switched(), Group(), api=NEWEST)
    assert not must_be_identified(Analyzed(), EXTENDED, api=NEWEST)
    extended = known.model_copy(update={"run_image": known.run_image.model_copy(update={"extend": True})})
    assert must_be_identified(extended, EXTENDED, api=NEWEST)


def test_a_run_image_that_is_not_there_can_not_be_identified(images):
    with pytest.raises(ImageNotFoundError, match="run image 'gone' is not there"):
        identify_run_image(switched("gone"), api=PlatformApi.parse("0.13"), images=images)
