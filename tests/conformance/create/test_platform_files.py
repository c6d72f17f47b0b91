"""The files that phases and platforms give each other.  Spec: platform.md "Data Format"."""

import json
import re
import tomllib

import pytest

from lifecycle.files.os_release import read_distro
from lifecycle.model.api import PLATFORM_APIS

WITH_STACK = ["0.7", "0.11"]
WITH_RUN = ["0.12", "0.15"]
assert {WITH_STACK[0], WITH_RUN[-1]} == {str(PLATFORM_APIS[0]), str(PLATFORM_APIS[-1])}
PLATFORMS = pytest.mark.parametrize("api", [*WITH_STACK, *WITH_RUN])


@pytest.mark.requirement("PLAT-FILE-001")
@PLATFORMS
def test_analyzed_toml_tells_previous_image_layer_metadata_and_run_image(builds, api):
    builds.five(api=api)
    first = tomllib.loads((builds.place.layers / "analyzed.toml").read_text())
    assert first["image"] == {"reference": ""}
    assert first["run-image"]["reference"] == builds.image("run").reference
    builds.start_again()
    assert builds.one("analyzer", builds.name("app"), api=api).code == 0
    again = tomllib.loads((builds.place.layers / "analyzed.toml").read_text())
    assert set(again) == {"image", "metadata", "run-image"}
    previous = builds.image()
    assert again["image"] == {"reference": previous.reference}
    (buildpack,) = again["metadata"]["buildpacks"]
    label = json.loads(previous.config.labels["io.buildpacks.lifecycle.metadata"])
    assert (buildpack["key"], buildpack["version"]) == ("a/b", "1")
    assert buildpack["store"] == {"metadata": {"n": "1"}}
    shas = {name: layer["sha"] for name, layer in label["buildpacks"][0]["layers"].items()}
    assert {name: layer["sha"] for name, layer in buildpack["layers"].items()} == shas


TARGET = """
[run-image]
reference = "reg.example/run@sha256:1"
[run-image.target]
os = "linux"
arch = "arm64"
arch-variant = "v8"
[run-image.target.distro]
name = "some distro"
version = "1.2"
"""


@pytest.mark.requirement("PLAT-DET-024", "PLAT-BLD-015", "PLAT-FILE-003")
@pytest.mark.parametrize("name", ["detector", "builder"])
def test_buildpacks_are_told_the_target_of_analyzed_toml(builds, name):
    dump = 'env | grep ^CNB_TARGET_ | sort | sed "s/^/told /"'
    builds.place.buildpack(detect=f"{dump} >&2; exit 1", build=f"{dump}; exit 1")
    builds.place.write("layers/analyzed.toml", TARGET)
    done = builds.one(name, "-log-level", "debug")
    assert [line.removeprefix("told ") for line in done.output.splitlines() if line.startswith("told ")] == [
        "CNB_TARGET_ARCH=arm64",
        "CNB_TARGET_ARCH_VARIANT=v8",
        "CNB_TARGET_DISTRO_NAME=some distro",
        "CNB_TARGET_DISTRO_VERSION=1.2",
        "CNB_TARGET_OS=linux",
    ]


PLAN = 'printf \'[[provides]]\nname = "d"\n[[requires]]\nname = "d"\n[requires.metadata]\nv = "1"\n\' > "$2"'


@pytest.mark.requirement("PLAT-FILE-009")
@pytest.mark.parametrize("name", ["detector", "builder"])
def test_a_distribution_that_analyzed_toml_does_not_tell_is_that_of_the_build_environment(builds, name):
    host = read_distro()
    if host is None:
        pytest.skip("this host has no /etc/os-release with ID and VERSION_ID")
    dump = 'echo "told $CNB_TARGET_DISTRO_NAME $CNB_TARGET_DISTRO_VERSION"'
    builds.place.buildpack(detect=f"{dump}; exit 1", build=f"{dump}; exit 1")
    builds.place.write("layers/analyzed.toml", TARGET.partition("[run-image.target.distro]")[0])
    done = builds.one(name, "-log-level", "debug")
    assert f"told {host.name} {host.version}" in done.output
    assert "distro" not in (builds.place.layers / "analyzed.toml").read_text()


@pytest.mark.requirement("PLAT-FILE-011", "PLAT-DET-022", "PLAT-DET-023", "PLAT-FILE-023", "PLAT-FILE-024")
@PLATFORMS
def test_the_detector_writes_the_group_that_passed_and_its_plan(builds, api):
    toml = 'api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "1"\nhomepage = "https://a.example"\n'
    builds.place.buildpack(detect=PLAN, toml=toml)
    files = {name: builds.place.layers / "found" / f"{name}.toml" for name in ("group", "plan")}
    assert builds.one("analyzer", builds.name("app"), api=api).code == 0
    done = builds.one("detector", "-group", files["group"], "-plan", files["plan"], api=api)
    assert done.code == 0, done.output
    assert tomllib.loads(files["group"].read_text()) == {
        "group": [{"id": "a/b", "version": "1", "api": "0.10", "homepage": "https://a.example"}]
    }
    providers = [{"id": "a/b", "version": "1"}]
    requires = [{"name": "d", "metadata": {"v": "1"}}]
    assert tomllib.loads(files["plan"].read_text()) == {"entries": [{"providers": providers, "requires": requires}]}


BUILD_IMAGE = '[build-image]\nreference = "reg.example/build@sha256:1"\n'


@pytest.mark.requirement("PLAT-FILE-002")
@pytest.mark.parametrize("api", ["0.10", "0.12", "0.15"])
def test_analyzed_toml_keeps_the_build_image_that_it_tells(builds, api):
    builds.five(api=api)
    analyzed = builds.place.layers / "analyzed.toml"
    builds.place.write("layers/analyzed.toml", BUILD_IMAGE + analyzed.read_text())
    for phase, images in (("restorer", ()), ("builder", ()), ("exporter", (builds.name("app"),))):
        done = builds.one(phase, *images, api=api)
        assert done.code == 0, done.output
    found = tomllib.loads(analyzed.read_text())
    assert found["build-image"] == {"reference": "reg.example/build@sha256:1"}


@pytest.mark.requirement("PLAT-FILE-026")
@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", {}),
        ('[source]\ntype = "git"\n', {"source": {"type": "git"}}),
        ('[source.metadata]\nurl = "u"\n', {"source": {"metadata": {"url": "u"}}}),
        (
            '[source]\ntype = "any"\n[source.version]\nn = [1, 2.5]\n[source.version.t]\nb = true\n[source.metadata]\nu = "<é>"\n',
            {"source": {"type": "any", "version": {"n": [1, 2.5], "t": {"b": True}}, "metadata": {"u": "<é>"}}},
        ),
    ],
)
def test_every_value_of_project_metadata_toml_is_optional_and_arrives_in_the_label(builds, text, label):
    builds.place.write("project.toml", text)
    assert builds.create().code == 0
    assert json.loads(builds.image().config.labels["io.buildpacks.project.metadata"]) == label


@pytest.mark.requirement("PLAT-FILE-031")
@pytest.mark.parametrize("api", WITH_RUN)
def test_run_toml_names_images_and_their_mirrors(builds, api):
    run, other = builds.name("run"), builds.name("nothing")
    builds.place.write(
        "run.toml",
        f'[[images]]\nimage = "{other}"\nmirrors = ["{run}", "reg.example/more:1"]\n[[images]]\nimage = "{other}2"\n',
    )
    builds.five(api=api)
    label = json.loads(builds.image().config.labels["io.buildpacks.lifecycle.metadata"])
    assert label["runImage"]["reference"] == builds.image("run").reference
    assert label["runImage"]["image"] == other
    assert label["runImage"]["mirrors"] == [run, "reg.example/more:1"]


@pytest.mark.requirement("PLAT-FILE-032")
@pytest.mark.parametrize("api", WITH_RUN)
def test_mirrors_without_image_are_refused_in_run_toml(builds, api):
    builds.place.write("run.toml", f'[[images]]\nmirrors = ["{builds.name("run")}"]\n')
    done = builds.one("analyzer", builds.name("app"), api=api)
    assert done.code != 0
    assert re.search(r"run\.toml: .*mirrors without image", done.errors[-1])


@pytest.mark.requirement("PLAT-FILE-033")
@pytest.mark.parametrize("api", WITH_STACK)
def test_stack_toml_names_the_run_image_and_its_mirrors(builds, api):
    run = builds.name("run")
    builds.place.write("stack.toml", f'[run-image]\nimage = "reg.example/none"\nmirrors = ["{run}"]\n')
    builds.five(api=api)
    label = json.loads(builds.image().config.labels["io.buildpacks.lifecycle.metadata"])
    assert label["runImage"]["reference"] == builds.image("run").reference
    assert label["stack"] == {"runImage": {"image": "reg.example/none", "mirrors": [run]}}
    builds.place.write("stack.toml", f'[run-image]\nmirrors = ["{run}"]\n')
    done = builds.one("analyzer", builds.name("app"), api=api)
    assert done.code != 0
    assert re.search(r"stack\.toml: .*mirrors without image", done.errors[-1])


EXTENSION = 'api = "0.10"\n[extension]\nid = "x"\nversion = "1"\n'
ORDER = (
    '[[order]]\n[[order.group]]\nid = "a/b"\nversion = "1"\n'
    '[[order-extensions]]\n[[order-extensions.group]]\nid = "x"\nversion = "1"\n'
)
FEATURE = "Platform requested experimental feature 'Dockerfiles'"


@pytest.mark.requirement("PLAT-EXPERIMENTAL-005", "PLAT-DIR-002")
@pytest.mark.parametrize("api", ["0.10", "0.12", "0.13"])
@pytest.mark.parametrize("mode", ["", "error", "warn", "silent"])
def test_image_extensions_are_experimental_up_to_platform_api_0_12(builds, api, mode):
    builds.place.write("extensions/x/1/extension.toml", EXTENSION)
    builds.place.write("extensions/x/1/bin/generate", "#!/bin/sh\necho generating\n")
    builds.place.write("layers/order.toml", ORDER)
    assert builds.one("analyzer", builds.name("app"), api=api).code == 0
    extensions = ("-extensions", builds.place.root / "extensions")
    done = builds.one("detector", *extensions, api=api, CNB_EXPERIMENTAL_MODE=mode)
    experimental = api != "0.13"
    refused = experimental and mode in {"", "error"}
    assert (done.code != 0) is refused, done.output
    assert (f"ERROR: {FEATURE}" in done.output) is refused
    assert (f"Warning: {FEATURE}" in done.output) is (experimental and mode == "warn")
    assert ("generating" in done.output) is not refused
