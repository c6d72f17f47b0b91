"""A rebase as platforms and people start it, on real images."""

import json
from pathlib import Path

import pytest

from parts.skopeo import push_image, skopeo

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def build(lifecycle):
    def run(*arguments, **variables):
        return lifecycle(
            "build", FIXTURES / "apps/plain", "-b", FIXTURES / "buildpacks/hello-processes", *arguments, **variables
        )

    return run


def config_of(source, *options):
    return json.loads(skopeo("inspect", "--config", *options, source).stdout)


def in_registry(name):
    return config_of(f"docker://{name}", "--tls-verify=false")


def new_run_image(server, repository):
    """Push another image under the name of the old one and return its diffIDs."""
    push_image(server, repository, "1", layers=({"etc/base": b"patched\n"},), config={"Env": ["NEW=1"]})
    return in_registry(f"{server.host}/{repository}:1")["rootfs"]["diff_ids"]


@pytest.mark.requirement("PLAT-REB-018")
def test_the_rebaser_moves_manifest_and_configuration_only(build, lifecycle, registry, fault_proxy, tmp_path):
    proxy = fault_proxy(registry.host)
    base = push_image(proxy, "moving/run", "1")
    app = f"{proxy.host}/moving/app:1"
    build("-o", "registry", "-t", app, "--run-image", base.reference)
    before = in_registry(app)
    patched = new_run_image(proxy, "moving/run")
    proxy.log.clear()
    report = tmp_path / "report.toml"
    lifecycle("rebaser", "-report", report, app, CNB_PLATFORM_API="0.15")
    after = in_registry(app)
    own = before["rootfs"]["diff_ids"][3:]
    assert after["rootfs"]["diff_ids"] == [*patched, *own]
    assert after["config"]["Entrypoint"] == before["config"]["Entrypoint"]
    layers = {
        layer["digest"]
        for layer in json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{app}").stdout)["layers"]
    }
    moved = [
        request for request in proxy.log
        if request.method in {"GET", "PUT", "PATCH"} and any(digest in request.path for digest in layers)
    ]  # fmt: skip
    assert moved == []
    digest = skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{app}").stdout.strip()
    assert f'digest = "{digest}"' in report.read_text()
    assert f'tags = ["{app}"]' in report.read_text()


@pytest.fixture
def load(registry, dockerd):
    """Put an image with one file into the daemon."""

    def run(name, contents):
        base = push_image(registry, "to-daemon/run", "1", layers=({"etc/base": contents},))
        skopeo("copy", "--src-tls-verify=false", "--dest-daemon-host", dockerd.environment["DOCKER_HOST"],
               f"docker://{base.reference}", f"docker-daemon:{name}")  # fmt: skip

    return run


@pytest.mark.requirement("PLAT-REB-001")
def test_the_rebaser_works_on_the_daemon(build, lifecycle, dockerd, load, tmp_path):
    load("rebase-daemon/run:1", b"old\n")
    app = "rebase-daemon/app:1"
    build("-o", "daemon", "-t", app, "--run-image", "docker-daemon:rebase-daemon/run:1", **dockerd.environment)
    before = json.loads(dockerd.docker("image", "inspect", app))[0]
    load("rebase-daemon/run:1", b"new\n")
    report = tmp_path / "report.toml"
    lifecycle(
        "rebaser", "-daemon", "-report", report, app, "rebase-daemon/app:2",
        CNB_PLATFORM_API="0.15", **dockerd.environment,
    )  # fmt: skip
    after = json.loads(dockerd.docker("image", "inspect", app))[0]
    base = json.loads(dockerd.docker("image", "inspect", "rebase-daemon/run:1"))[0]["RootFS"]["Layers"]
    assert after["RootFS"]["Layers"] == [*base, *before["RootFS"]["Layers"][len(base) :]]
    assert json.loads(dockerd.docker("image", "inspect", "rebase-daemon/app:2"))[0]["Id"] == after["Id"]
    assert f'image-id = "{after["Id"].removeprefix("sha256:")}"' in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 3, "at least one image argument is required"),
        (("Not A Name",), 3, "Not A Name"),
        (("a.example/app@sha256:" + 64 * "0",), 3, "sha256"),
        (("a.example/app", "b.example/app"), 3, "multiple registries"),
        (("-image", "x", "-run-image", "y", "a.example/app"), 3, "supply only one of -run-image"),
        (("-layers", "/x", "a.example/app"), 2, "-layers"),
    ],
)
@pytest.mark.requirement("PLAT-REB-011", "PLAT-REB-012", "PLAT-REB-013")
def test_wrong_arguments_are_refused(lifecycle, arguments, code, told):
    done = lifecycle("rebaser", *arguments, check=False, CNB_PLATFORM_API="0.15")
    assert done.returncode == code
    assert told in done.stdout + done.stderr


@pytest.mark.requirement("PLAT-REB-018")
def test_an_unsupported_platform_api_exits_11(lifecycle):
    assert lifecycle("rebaser", "a.example/app", check=False, CNB_PLATFORM_API="0.99").returncode == 11


@pytest.mark.requirement("PLAT-REB-019")
def test_an_image_that_can_not_be_rebased_exits_72_and_stays(build, lifecycle, registry, tmp_path):
    base = push_image(registry, "stays/run", "1")
    other = push_image(registry, "stays/other", "1", layers=({"other": b""},))
    app = f"{registry.host}/stays/app:1"
    build("-o", "registry", "-t", app, "--run-image", base.reference)
    before = in_registry(app)
    report = tmp_path / "report.toml"
    arguments = ("rebaser", "-report", report, "-run-image", other.reference)
    done = lifecycle(*arguments, app, check=False, CNB_PLATFORM_API="0.15")
    assert done.returncode == 72
    assert "failed to rebase: new base image" in done.stdout
    assert "please provide -force to override" in done.stdout
    assert in_registry(app) == before
    assert not report.exists()
    lifecycle(*arguments, "-force", app, CNB_PLATFORM_API="0.15")
    assert in_registry(app) != before


def test_people_rebase_several_apps_and_are_told_which_could_not_be(build, lifecycle, registry):
    base = push_image(registry, "people/run", "1")
    one, missing, other = (f"{registry.host}/people/{name}:1" for name in ("one", "missing", "other"))
    for app in (one, other):
        build("-o", "registry", "-t", app, "--run-image", base.reference)
    patched = new_run_image(registry, "people/run")
    done = lifecycle("rebase", one, missing, other, check=False)
    assert done.returncode == 72
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("rebased")] == [one, other]
    assert f"{missing}: failed to access image to rebase" in done.stderr
    for app in (one, other):
        assert in_registry(app)["rootfs"]["diff_ids"][: len(patched)] == patched


def test_people_rebase_an_image_in_a_layout_and_one_of_their_own(build, lifecycle, registry, tmp_path):
    base = push_image(registry, "layouts/run", "1")
    build("-t", "mine", "--run-image", base.reference)
    build("-t", "app", "-o", "layout", "--run-image", base.reference)
    patched = new_run_image(registry, "layouts/run")
    lifecycle("rebase", "mine", "oci:layout")
    rebased = config_of(f"oci:{tmp_path}/layout:app")
    assert rebased["rootfs"]["diff_ids"][: len(patched)] == patched
    again = lifecycle("rebase", "mine", "oci:layout", "--json")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert [event["app"] for event in events] == ["mine", "oci:layout"]
    assert events[0]["image_id"] == events[1]["image_id"]


def test_of_several_images_in_a_layout_only_the_one_that_is_named_is_rebased(lifecycle, registry, tmp_path):
    base = push_image(registry, "several/run", "1")
    other = push_image(registry, "several/other", "1", layers=({"etc/base": b"other\n"},))
    for name, run in {"one": base, "two": other}.items():
        lifecycle(
            "build", FIXTURES / "apps/plain", "-b", FIXTURES / "buildpacks/hello-processes", "--run-image",
            run.reference, "-o", "layout", "-t", name, "-t", f"{name}:again",
        )  # fmt: skip
    before = config_of(f"oci:{tmp_path}/layout:two")
    patched = new_run_image(registry, "several/run")
    names = "one, one:again, two, two:again"
    refused = lifecycle("rebase", "oci:layout", check=False)
    assert refused.returncode == 72
    assert f"oci:layout: holds several images: {names}" in refused.stderr
    missing = lifecycle("rebase", "oci:layout:three", check=False)
    assert f"oci:layout:three: has no such image: {names}" in missing.stderr
    lifecycle("rebase", "oci:layout:one")
    assert config_of(f"oci:{tmp_path}/layout:one")["rootfs"]["diff_ids"][: len(patched)] == patched
    assert config_of(f"oci:{tmp_path}/layout:two") == before


def test_force_is_named_as_people_write_it(build, lifecycle, registry):
    base = push_image(registry, "forced/run", "1")
    other = push_image(registry, "forced/other", "1")
    app = f"{registry.host}/forced/app:1"
    build("-o", "registry", "-t", app, "--run-image", base.reference)
    done = lifecycle("rebase", app, "--run-image", other.reference, check=False)
    assert "please provide --force to override" in done.stderr
    assert lifecycle("rebase", app, "--run-image", other.reference, "--force").returncode == 0
