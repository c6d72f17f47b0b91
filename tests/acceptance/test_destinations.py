"""One build to every place where users keep images, on run images from every place."""

import json
import re
from pathlib import Path

import pytest

from parts.debian import debian_run_image
from parts.skopeo import push_image, skopeo

FIXTURES = Path(__file__).parents[1] / "fixtures"
DESTINATIONS = ("registry", "daemon", "layout", "image.tar", "docker-archive:image-of-docker.tar")


@pytest.fixture
def build(lifecycle, tmp_path):
    def run(output, *arguments, tag, **variables):
        return lifecycle(
            "build", FIXTURES / "apps/plain", "-b", FIXTURES / "buildpacks/hello-processes",
            "-o", output, "-t", tag, "--process", "sys-info", *arguments, **variables,
        )  # fmt: skip

    return run


def image_id(done):
    return re.search(r"^image id  (sha256:[0-9a-f]{64})$", done.stdout, re.MULTILINE)[1]


def config_digest(*source):
    return json.loads(skopeo("inspect", "--raw", *source).stdout)["config"]["digest"]


def test_every_destination_gets_the_same_image(build, registry, dockerd, tmp_path):
    base = push_image(registry, "everywhere/run", "1", config={"Env": ["PATH=/bin"], "User": "1000"})
    tag = f"{registry.host}/everywhere/app:1"
    built = {
        output: image_id(build(output, "--run-image", base.reference, tag=tag, **dockerd.environment))
        for output in DESTINATIONS
    }
    (expected,) = set(built.values())
    assert config_digest("--tls-verify=false", f"docker://{tag}") == expected
    assert config_digest(f"oci:{tmp_path}/layout:{tag}") == expected
    assert config_digest(f"oci-archive:{tmp_path}/image.tar") == expected
    assert json.loads(dockerd.docker("image", "inspect", tag))[0]["Id"] == expected
    inside = json.loads(skopeo("inspect", "--raw", f"docker-archive:{tmp_path}/image-of-docker.tar").stdout)
    assert inside["config"]["digest"] == expected


@pytest.mark.parametrize("output", DESTINATIONS)
def test_the_second_build_reuses_every_layer_wherever_the_image_is(build, registry, dockerd, output):
    base = push_image(registry, "again/run", "1")
    tag = f"{registry.host}/again/{re.sub('[^a-z]', '', output)}:1"
    first, second = (build(output, "--run-image", base.reference, tag=tag, **dockerd.environment) for _ in range(2))
    assert "every layer was reused" in second.stderr
    assert image_id(first) == image_id(second)


@pytest.mark.parametrize("transport", ["docker://", "docker-daemon:", "oci:", "oci-archive:", "docker-archive:"])
def test_the_run_image_may_come_from_anywhere(build, registry, dockerd, tmp_path, transport):
    name = "anywhere/run:1"
    base = push_image(registry, "anywhere/run", "1", config={"Env": ["FROM=base"]})
    where = {"docker://": base.reference, "docker-daemon:": name}.get(transport, str(tmp_path / "base"))
    if transport == "docker-daemon:":
        skopeo("copy", "--src-tls-verify=false", "--dest-daemon-host", dockerd.environment["DOCKER_HOST"],
               f"docker://{base.reference}", f"docker-daemon:{name}")  # fmt: skip
    elif transport != "docker://":
        named = {"docker-archive:": f":{name}", "oci:": ":run"}.get(transport, "")
        skopeo("copy", "--src-tls-verify=false", f"docker://{base.reference}", f"{transport}{where}{named}")
    done = build("image", "--run-image", f"{transport}{where}", tag="app", **dockerd.environment)
    assert "==> Built" in done.stderr
    config = json.loads(skopeo("inspect", "--config", f"oci:{tmp_path}/image:app").stdout)
    assert "FROM=base" in config["config"]["Env"]
    base_config = json.loads(skopeo("inspect", "--tls-verify=false", "--config", f"docker://{base.reference}").stdout)
    below = base_config["rootfs"]["diff_ids"]
    assert config["rootfs"]["diff_ids"][: len(below)] == below


def test_several_tags_are_one_push(build, registry):
    tags = [f"{registry.host}/tags/{name}" for name in ("app:1", "app:2", "other:1")]
    build("registry", "-t", tags[1], "-t", tags[2], tag=tags[0])
    one, *others = (skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{tag}").stdout for tag in tags)
    assert others == [one, one]


def test_a_cache_image_serves_a_builder_with_an_empty_disk(lifecycle, registry, tmp_path):
    arguments = (
        "build", FIXTURES / "apps/plain", "-b", FIXTURES / "buildpacks/layers-all", "-o", "registry",
        "-t", f"{registry.host}/cached/app:1", "--cache-image", f"{registry.host}/cached/cache:1",
    )  # fmt: skip
    lifecycle(*arguments, home="one")
    again = lifecycle(*arguments, home="other")
    assert re.search(r"^ +contents +test/layers-all:cache-launch: ", again.stderr, re.MULTILINE)


def test_a_registry_needs_a_name_to_push_to(lifecycle):
    done = lifecycle(
        "build", FIXTURES / "apps/plain", "-b", FIXTURES / "buildpacks/hello-world", "-o", "registry", check=False
    )
    assert done.returncode == 3
    assert "--tag registry/repository:tag" in done.stderr


def test_an_app_on_debian_runs_under_docker(build, registry, dockerd, tmp_path_factory):
    layout = debian_run_image(tmp_path_factory)
    base = f"{registry.host}/debian/run:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:run", f"docker://{base}")
    tag = "on-debian/app:1"
    build("daemon", "--run-image", base, tag=tag, **dockerd.environment)
    said = dockerd.docker("run", "--rm", "--network=none", tag)
    assert "env vars:" in said
    assert 'declare -x PATH="/usr/local/sbin:' in said
    assert "CNB_LAYERS_DIR" not in said
    told = dockerd.docker("run", "--rm", "--network=none", "--entrypoint=launcher", tag, "cat", "/etc/debian_version")
    assert told.startswith("12.")
