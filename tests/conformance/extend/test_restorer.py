"""What the restorer prepares for the extender.  Spec: platform.md "restorer" (outputs)."""

import tomllib

import pytest

from lifecycle.images.sparse_layout import find_base
from parts.skopeo import push_image

RUN = {
    "User": "1000:1000",
    "Labels": {"io.buildpacks.base.distro.name": "test", "io.buildpacks.base.distro.version": "1"},
}
USER = ("-uid", "1000", "-gid", "1000")


@pytest.fixture(scope="module")
def pushed(registry):
    """A build image in OCI's form, and a run image in Docker's."""
    return (
        push_image(registry, "restored/build", config={"User": "1000:1000"}),
        push_image(registry, "restored/run", form="v2s2", config=RUN),
    )


def restore(situation, *arguments, run_image, **variables):
    (situation.container.layers / "analyzed.toml").write_text(run_image)
    # For another user the daemon is opened at once.
    user = () if "-daemon" in arguments else USER
    done = situation.container.phase("restorer", *user, *arguments, api=situation.api, **variables)
    assert done.code == 0, done.output
    return tomllib.loads((situation.container.layers / "analyzed.toml").read_text())


@pytest.mark.requirement("PLAT-RES-025", "PLAT-RES-026", "PLAT-RES-027", "PLAT-RES-009")
@pytest.mark.parametrize("api", ["0.10", "0.11", "0.12", "0.15"])
def test_the_build_image_is_recorded_by_digest_and_kept_without_layers(situation, pushed, api):
    build, run = pushed
    situation.api = api
    situation.extensions("ENV a=b\n", kind="build")
    analyzed = restore(
        situation, "-build-image", build.reference, run_image=f'[run-image]\nreference = "{run.by_digest}"\n'
    )
    assert analyzed["build-image"]["reference"] == build.by_digest
    kept = find_base(situation.container.kaniko / "cache" / "base", build.by_digest)
    assert kept.config.run["User"] == "1000:1000"
    assert not any(kept.has_blob(each) for each in kept.manifest.layers)


@pytest.mark.requirement("PLAT-RES-031", "PLAT-RES-009")
@pytest.mark.parametrize(
    ("api", "daemon"), [("0.12", False), ("0.13", False), ("0.15", False), ("0.12", True), ("0.13", True)]
)
def test_a_run_image_to_extend_is_identified_and_kept(situation, pushed, api, daemon):
    _, run = pushed
    situation.api = api
    situation.extensions("ENV a=b\n")
    name = run.reference
    analyzed = restore(
        situation,
        *(["-daemon"] if daemon else []),
        run_image=f'[run-image]\nreference = "sha256:of-a-daemon"\nimage = "{name}"\nextend = true\n',
        **({"DOCKER_HOST": f"unix://{situation.container.root}/no.sock"} if daemon else {}),
    )
    assert analyzed["run-image"]["reference"] == run.by_digest
    assert analyzed["run-image"]["target"]["distro"] == {"name": "test", "version": "1"}
    kept = find_base(situation.container.kaniko / "cache" / "base", run.by_digest)
    assert kept.config.labels["io.buildpacks.base.distro.name"] == "test"


@pytest.mark.requirement("PLAT-RES-031")
def test_a_run_image_that_is_not_extended_is_not_kept(situation, pushed):
    _, run = pushed
    situation.extensions("ENV a=b\n", kind="build")
    (situation.container.kaniko / "cache").rename(situation.container.kaniko / "away")
    restore(situation, run_image=f'[run-image]\nreference = "{run.by_digest}"\nimage = "{run.reference}"\n')
    assert not (situation.container.kaniko / "cache").exists()


@pytest.mark.parametrize("api", ["0.10", "0.11"])
def test_the_id_of_a_run_image_in_a_daemon_is_left_alone_where_only_the_build_image_is_extended(situation, pushed, api):
    build, _ = pushed
    situation.api = api
    situation.extensions("ENV a=b\n", kind="build")
    image_id = "857c25007d617dbfb4c3ffb30b1c4fad8cb82e2f7ce8c36e04749b741b90838b"
    analyzed = restore(situation, "-build-image", build.reference, run_image=f'[run-image]\nreference = "{image_id}"\n')
    assert analyzed["run-image"] == {"reference": image_id}


@pytest.mark.parametrize("api", ["0.10", "0.11"])
def test_a_run_image_that_an_extension_chose_is_identified_without_target_data(situation, pushed, api):
    _, run = pushed
    situation.api = api
    situation.extensions("")
    chosen = f'[run-image]\nreference = "{run.reference}"\nimage = "{run.reference}"\n'
    analyzed = restore(situation, run_image=chosen)
    assert analyzed["run-image"] == {"reference": run.by_digest, "image": run.reference}


def test_a_build_image_that_is_not_there_is_told(situation, registry):
    situation.extensions("ENV a=b\n", kind="build")
    done = situation.container.phase("restorer", *USER, "-build-image", f"{registry.host}/restored/none:1")
    assert (done.code, "build image" in done.output) == (1, True)
    assert "is not there" in done.output
