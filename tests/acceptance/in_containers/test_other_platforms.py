"""Builds as Spring Boot, kpack and Tekton run them, as one user, as any user, and where nothing can be written."""

import base64
import json
import tomllib
from dataclasses import replace

import pytest

from lifecycle.oci.digest import digest_of
from parts.containers import Call, added_layers, image_in_daemon, passed, run_phase
from parts.platforms import KpackBuild, SpringBootBuild, TektonBuild
from parts.skopeo import push_image, raw_manifest

GREETING = "A bash script says hello."
SOMEBODY = (123456, 0)
"""A user that no image knows, with the group that OpenShift gives to all of them."""


def test_spring_boot_builds_one_image_with_the_creator_and_with_five_phases(dockerd, images, app, start, repository):
    names = {how: f"{repository}/spring-{how}:1" for how in ("trusted", "untrusted")}
    builds = {
        how: SpringBootBuild(
            daemon=dockerd, images=images, app=app, image=name, caches=f"{repository.replace('/', '-')}-{how}"
        )
        for how, name in names.items()
    }
    passed(builds["trusted"].trusted())
    first = image_in_daemon(dockerd, names["trusted"])
    assert first["Created"] == "2023-11-14T22:13:20Z"
    assert start(names["trusted"]).startswith(GREETING)

    clean = passed(builds["trusted"].trusted(skip_restore=True))
    assert "\nkept: made\n" in clean
    assert image_in_daemon(dockerd, names["trusted"])["Id"] == first["Id"]

    passed(builds["untrusted"].untrusted())
    assert image_in_daemon(dockerd, names["untrusted"])["Id"] == first["Id"]
    again = passed(builds["untrusted"].untrusted())
    assert "\nkept: contents came back\n" in again
    assert added_layers(again) == []


@pytest.mark.parametrize("cached", ["volume", "image"])
def test_kpack_builds_as_the_user_of_the_builder(dockerd, images, app, token_registry, repository, tmp_path, cached):
    labels = {"io.buildpacks.stack.id": "test.stacks.bookworm", "io.buildpacks.base.distro.name": "debian"}
    base = push_image(token_registry, f"{repository}/run", "1", config={"User": "1000:1000", "Labels": labels})
    secret = base64.b64encode(f"{token_registry.username}:{token_registry.password}".encode()).decode()
    names = [f"{token_registry.host}/{repository}/app:{tag}" for tag in ("1", "b1.20260101")]
    build = KpackBuild(
        daemon=dockerd, images=images, directory=tmp_path, app=app, api="0.9", image=names[0], tags=(names[1],),
        run_image=base.reference, user=images.user,
        cache_image=f"{token_registry.host}/{repository}/cache" if cached == "image" else "",
        docker_config=json.dumps({"auths": {token_registry.host: {"auth": secret}}}),
    )  # fmt: skip
    passed(build.run())
    report = tomllib.loads((tmp_path / "report" / "report.toml").read_text())["image"]
    assert report["tags"] == names
    assert raw_manifest(token_registry, f"{repository}/app@{report['digest']}") == raw_manifest(
        token_registry, f"{repository}/app:b1.20260101"
    )

    last = {"last_image": f"{token_registry.host}/{repository}/app@{report['digest']}"}
    if cached == "image":
        cache = digest_of(raw_manifest(token_registry, f"{repository}/cache"))
        last["last_cache_image"] = f"{build.cache_image}@{cache}"
    again = passed(replace(build, **last).run())
    assert added_layers(again) == []
    assert "\nkept: contents came back\n" in again
    assert tomllib.loads((tmp_path / "report" / "report.toml").read_text())["image"]["digest"] == report["digest"]


@pytest.fixture
def tekton(dockerd, images, app, registry, published, repository, tmp_path):
    builder = push_image(registry, f"{repository}/builder", "1", config={"User": "1000:1000"})
    return TektonBuild(
        daemon=dockerd, images=images, builder=builder.reference, directory=tmp_path, app=app,
        image=f"{registry.host}/{repository}/tekton:1", run_image=published[0],
    )  # fmt: skip


def test_tekton_builds_in_steps_where_what_is_not_said_is_an_empty_value(tekton, start):
    passed(tekton.phases())
    report = tomllib.loads((tekton.directory / "layers" / "report.toml").read_text())["image"]
    assert start(tekton.image).startswith(GREETING)
    again = passed(tekton.phases())
    assert added_layers(again) == []
    assert "\nkept: contents came back\n" in again
    assert tomllib.loads((tekton.directory / "layers" / "report.toml").read_text())["image"] == report


def test_tekton_builds_with_the_creator_and_no_cache(tekton, start):
    passed(tekton.creator())
    assert start(tekton.image).startswith(GREETING)
    assert added_layers(passed(tekton.creator())) == []


@pytest.fixture
def any_user(dockerd, images, app, registry, published, repository, tmp_path):
    """`any_user(*options)` describes a build as a user whom no image knows, on volumes of its group."""

    def describe(*options, name="app", api="0.15"):
        return KpackBuild(
            daemon=dockerd, images=images, directory=tmp_path / name, app=app, api=api,
            image=f"{registry.host}/{repository}/{name}:1", run_image=published[0], user=SOMEBODY, options=options,
        )  # fmt: skip

    return describe


@pytest.mark.parametrize("api", ["0.7", "0.15"])
def test_a_user_whom_no_image_knows_builds_on_volumes_of_its_group(any_user, start, api):
    build = any_user(api=api)
    passed(build.run())
    assert start(build.image, user="123456:0").startswith(GREETING)
    assert start(build.image).startswith(GREETING)
    again = passed(build.run())
    assert added_layers(again) == []
    assert "\nkept: contents came back\n" in again


@pytest.mark.parametrize("options", [("--tmpfs=/tmp:exec",), ("--tmpfs=/tmp",), ()], ids=["exec", "noexec", "no /tmp"])
def test_a_root_file_system_that_is_read_only_is_enough(any_user, start, options):
    build = any_user("--read-only", *options)
    passed(build.run())
    assert start(build.image).startswith(GREETING)


def test_a_tmp_without_room_for_the_layers_is_told(any_user):
    last = any_user("--read-only", "--tmpfs=/tmp:size=64k").run()[-1]
    assert last.phase == "exporter"
    (error,) = [line for line in last.output.splitlines() if line.startswith("ERROR: ")]
    assert "a layer can't be written: No space left on device" in error
    assert "/tmp/" in error


@pytest.mark.parametrize(("mount", "code"), [("/tmp:exec", 0), ("/tmp", 1)])
def test_where_memory_can_not_be_run_a_directory_without_noexec_is_asked_for(dockerd, images, mount, code):
    options = ["--read-only", f"--tmpfs={mount}"]
    environment = {"CNB_LIFECYCLE_TMPDIR": "/tmp", "CNB_PLATFORM_API": "0.15"}
    ended = run_phase(dockerd, Call("detector", images.builder, ["-version"], environment=environment, options=options))
    assert ended.code == code, ended.output
    if code:
        assert "mount a directory without noexec and with 32 MB and name it in CNB_LIFECYCLE_TMPDIR" in ended.output
