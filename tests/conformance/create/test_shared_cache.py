"""The creator with `-cache-repo`: builders in containers of their own, one after the other, end with one image."""

import json

import pytest

BUILD = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p made
head -c 300 /dev/urandom > made/random
printf '[types]\nlaunch = true\nbuild = true\n' > made.toml
printf '[[processes]]\ntype = "web"\ncommand = ["true"]\ndefault = true\n' > launch.toml
"""


@pytest.fixture
def repository(request, builds):
    if request.param == "directory":
        return builds.place.root / "shared"
    return f"{builds.repository}/shared"


def report(builds):
    return json.loads((builds.place.root / "report.json").read_text())["cache"]["settled"]


@pytest.mark.parametrize("api", ["0.7", "0.12", "0.15"])
@pytest.mark.parametrize("repository", ["directory", "registry"], indirect=True)
def test_two_builders_end_with_one_image(builds, repository, api):
    builds.place.buildpack(build=BUILD)
    builds.place.write("report.json", "")
    images, uploaded = [], []
    for name, outcome in (("one", "won"), ("other", "adopted")):
        more = ("-cache-repo", repository, "-cache-report", builds.place.root / "report.json")
        done = builds.create(*more, api=api, name=name)
        assert done.code == 0, done.output
        (row,) = report(builds)
        assert row["outcome"] == outcome, done.output
        assert f"Step in {repository}: SHARED a/b: " in done.output
        assert row["record"][:19] in done.output
        totals = json.loads((builds.place.root / "report.json").read_text())["cache"]["totals"]
        assert totals["seconds-sharing"] == row["seconds"] > 0
        uploaded.append(totals["bytes-uploaded"])
        images.append(builds.image(name).reference.rpartition("@")[2])
        builds.start_again(cache=False)
    assert images[0] == images[1]
    assert uploaded[0] > 300
    assert row["differing"] == ["made/random"]


def test_without_the_flag_two_builders_end_with_two_images(builds):
    builds.place.buildpack(build=BUILD)
    images = []
    for name in ("one", "other"):
        assert builds.create(name=name).code == 0
        images.append(builds.image(name).reference.rpartition("@")[2])
        builds.start_again(cache=False)
    assert images[0] != images[1]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("reg/app,sync=lock", "lacks url"),
        ("reg/app,ignore-error=perhaps", "is not a boolean"),
        ("type=registry,ref=reg/app", "has the type 'registry'"),
        ("Not A Reference", "is not a valid image reference"),
        ("ref=,", "is not key=value"),
    ],
)
def test_a_value_that_makes_no_sense_is_told(builds, value, problem):
    done = builds.create("-cache-repo", value)
    assert done.code
    assert problem in done.errors[0]


def test_a_registry_out_of_reach_costs_nothing_but_the_sharing(builds):
    builds.place.buildpack(build=BUILD)
    done = builds.create("-cache-repo", "127.0.0.1:1/nobody/here")
    assert done.code == 0
    assert "stay" in done.output or "NOT SHARED a/b" in done.output


KEEPS = r"""
cd "$CNB_LAYERS_DIR"
if [ -e big.toml ] && [ ! -e big ]; then echo "big is reused"; else mkdir -p big; head -c 99 /dev/urandom > big/r; fi
printf '[types]\nlaunch = true\n[metadata]\nversion = "1"\n' > big.toml
"""


@pytest.mark.parametrize("repository", ["directory", "registry"], indirect=True)
def test_the_five_phases_take_layers_from_a_shared_cache_as_from_any_other(builds, repository):
    builds.place.buildpack(build=KEEPS)
    done = builds.create("-cache-repo", repository, name="one")
    assert done.code == 0, done.output
    builds.start_again(cache=False)
    source = ("-cache-from", f"type=distributed,ref={repository}")
    output = ""
    for phase in ("analyzer", "detector", "restorer", "builder", "exporter"):
        images = [builds.name("other")] if phase in {"analyzer", "exporter"} else []
        done = builds.one(phase, *(source if phase == "restorer" else ()), *images)
        assert done.code == 0, done.output
        output += done.output
    assert "big is reused" in output
    one, other = (builds.image(name) for name in ("one", "other"))
    assert set(one.config.diff_ids) == set(other.config.diff_ids)
