"""Builds as pack runs them: the creator for builders that are trusted, five phases in containers for others."""

import base64
import json
import shutil

import pytest

from parts.builder_image import FIXTURES
from parts.containers import Call, added_layers, image_in_daemon, image_in_registry, passed, run_phase
from parts.platforms import PackBuild
from parts.skopeo import push_image, skopeo

APIS = ("0.7", "0.10", "0.12", "0.13", "0.15")
GREETING = "A bash script says hello."
CAME_BACK = ("launched: metadata came back", "kept: contents came back", "tools: contents came back")
CACHE_IMAGE = "registry with a cache image"


@pytest.fixture
def pack(images, dockerd, app, repository, request):
    """`pack(name, to=…, api=…, …)` describes a build to the image of that name, which has caches of its own."""

    def describe(name="app", *, to="daemon", server=None, **more):
        settings = {
            "app": app, "api": "0.15", "image": f"{repository}/{name}:1", "run_image": images.run, "to": to,
            "caches": f"{repository.replace('/', '-')}-{name}",
        }  # fmt: skip
        if to != "daemon":
            host = (server or request.getfixturevalue("registry")).host
            settings |= {"to": "registry" if to == CACHE_IMAGE else to, "image": f"{host}/{repository}/{name}:1"}
            settings["run_image"] = more.get("run_image") or request.getfixturevalue("published")[0]
            if to == CACHE_IMAGE:
                settings["cache_image"] = f"{host}/{repository}/{name}-cache:1"
        return PackBuild(daemon=dockerd, images=images, **{**settings, **more})

    return describe


def image_id(build):
    return image_in_daemon(build.daemon, build.image)["Id"] if build.to == "daemon" else image_in_registry(build.image)


def layers_of(build):
    if build.to == "registry":
        build.daemon.docker("pull", build.image)
    return image_in_daemon(build.daemon, build.image)["RootFS"]["Layers"]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("to", ["daemon", "registry", CACHE_IMAGE])
def test_creator_and_five_phases_make_one_image_that_starts_and_is_reused_as_a_whole(pack, start, api, to):
    trusted, untrusted = pack("trusted", to=to, api=api), pack("untrusted", to=to, api=api)
    passed(trusted.trusted())
    passed(untrusted.untrusted())
    first = image_id(trusted)
    assert image_id(untrusted) == first
    assert start(trusted.image).startswith(GREETING)
    assert "env vars:" in start(trusted.image, entrypoint="/cnb/process/sys-info")

    again = passed(trusted.untrusted())
    assert added_layers(again) == []
    assert "Reused 1/1 app layer(s)" in again
    for line in CAME_BACK:
        assert f"\n{line}\n" in again
    assert image_id(trusted) == first


@pytest.mark.parametrize("api", ["0.7", "0.15"])
def test_the_creator_reuses_what_the_creator_made(pack, api):
    build = pack(api=api)
    passed(build.trusted())
    first = image_id(build)
    again = passed(build.trusted())
    assert added_layers(again) == []
    for line in CAME_BACK:
        assert f"\n{line}\n" in again
    assert image_id(build) == first


@pytest.mark.parametrize(("how", "to"), [("trusted", "daemon"), ("untrusted", "daemon"), ("untrusted", "registry")])
def test_a_changed_app_is_the_only_new_layer(pack, start, app, tmp_path, how, to):
    changing = shutil.copytree(app, tmp_path / "app")
    build = pack(to=to, app=changing)
    passed(getattr(build, how)())
    before = layers_of(build)
    (changing / "app.sh").write_text("#!/bin/sh\necho changed\n")
    again = passed(getattr(build, how)())
    assert added_layers(again) == ["Added 1/1 app layer(s)"]
    after = layers_of(build)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1
    assert start(build.image) == "changed\n"


@pytest.mark.parametrize(
    ("how", "api", "ends"),
    [("trusted", "0.15", "creator"), ("untrusted", "0.7", "detector"), ("untrusted", "0.15", "detector")],
)
def test_failing_detection_is_20_and_leaves_the_image_that_was_there(pack, start, how, api, ends):
    build = pack(api=api)
    passed(build.trusted())
    before = image_id(build)
    last = getattr(pack(api=api, app=FIXTURES / "apps" / "plain"), how)()[-1]
    assert (last.phase, last.code) == (ends, 20), last.output
    assert "ERROR: No buildpack groups passed detection." in last.output
    assert image_id(build) == before
    assert start(build.image).startswith(GREETING)


def rebase(daemon, image, arguments, *, api, **environment):
    to_daemon = "-daemon" in arguments
    access = {} if to_daemon else {"CNB_REGISTRY_AUTH": "{}"}
    return run_phase(
        daemon,
        Call(
            "rebaser", image, arguments, user="root", environment={"CNB_PLATFORM_API": api, **access, **environment},
            mounts=[f"{daemon.socket}:/var/run/docker.sock"] if to_daemon else [],
        ),
    )  # fmt: skip


@pytest.mark.parametrize("inside", ["builder", "lifecycle"])
@pytest.mark.parametrize(
    ("api", "to", "more"), [("0.7", "daemon", []), ("0.15", "daemon", ["-force"]), ("0.15", "registry", ["-force"])]
)
def test_the_rebaser_moves_an_app_to_a_patched_run_image(pack, images, request, dockerd, start, api, to, more, inside):
    build = pack(to=to, api=api)
    passed(build.trusted())
    patched = images.patched_run if to == "daemon" else request.getfixturevalue("published")[1]
    flags = [*(["-daemon"] if to == "daemon" else []), *more, "-run-image", patched]
    passed([rebase(dockerd, getattr(images, inside), [*flags, build.image], api=api)])
    below = image_in_daemon(dockerd, images.patched_run)["RootFS"]["Layers"]
    assert layers_of(build)[: len(below)] == below
    assert start(build.image, "cat", "/etc/patched", entrypoint="launcher") == "yes\n"
    assert start(build.image).startswith(GREETING)


def test_a_rebase_whose_report_can_not_be_written_changes_no_image(pack, images, dockerd):
    build = pack()
    passed(build.trusted())
    before = image_id(build)
    arguments = ["-daemon", "-run-image", images.patched_run, "-report", "/root/report.toml", build.image]
    ended = rebase(dockerd, images.builder, arguments, api="0.15")
    assert ended.code != 0
    assert "ERROR: user 1000:1000 can't write to /root " in ended.output
    assert image_id(build) == before


@pytest.mark.parametrize(("how", "api"), [("trusted", "0.15"), ("untrusted", "0.7"), ("untrusted", "0.15")])
def test_credentials_of_the_platform_outlive_root_and_stay_away_from_buildpacks(
    pack, token_registry, repository, how, api
):
    labels = {"io.buildpacks.stack.id": "test.stacks.bookworm", "io.buildpacks.base.distro.name": "debian"}
    base = push_image(token_registry, f"{repository}/run", "1", config={"User": "1000:1000", "Labels": labels})
    secret = base64.b64encode(f"{token_registry.username}:{token_registry.password}".encode()).decode()
    build = pack(
        to=CACHE_IMAGE, api=api, server=token_registry, run_image=base.reference,
        registry_auth=json.dumps({token_registry.host: f"Basic {secret}"}),
    )  # fmt: skip
    logs = [passed(getattr(build, how)()) for _ in range(2)]
    assert not [log for log in logs if secret in log or "CNB_REGISTRY_AUTH" in log]
    assert added_layers(logs[1]) == []


@pytest.mark.parametrize("api", ["0.12", "0.13", "0.15"])
def test_creator_and_five_phases_write_the_same_layout(pack, start, dockerd, images, repository, tmp_path, api):
    daemon = ("--src-daemon-host", dockerd.environment["DOCKER_HOST"])
    skopeo("copy", *daemon, f"docker-daemon:{images.run}", f"oci:{tmp_path}/run")
    ids = []
    for how in ("trusted", "untrusted"):
        built = tmp_path / how
        built.mkdir()
        shutil.chown(built, *images.user)
        inside = "/layout-repo/index.docker.io/library"
        mounts = (f"{tmp_path}/run:{inside}/run/latest", f"{built}:{inside}/app/latest:rw")
        build = pack(how, to="layout", api=api, image="app", run_image="run", layout_mounts=mounts)
        passed(getattr(build, how)())
        name = f"{repository}/{how}:1"
        skopeo(
            "copy", "--dest-daemon-host", dockerd.environment["DOCKER_HOST"], f"oci:{built}", f"docker-daemon:{name}"
        )
        ids.append(image_in_daemon(dockerd, name)["Id"])
        assert start(name).startswith(GREETING)
    assert ids[0] == ids[1]
