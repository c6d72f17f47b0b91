"""``lifecycle build`` with the order of a builder: its groups, its image extensions."""

import json
import os
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
APP = FIXTURES / "apps" / "plain"
EXTENSION_TOML = 'api = "0.10"\n[extension]\nid = "my/ext"\nversion = "1"\n'
VERSIONS = {
    "samples/hello-processes": "0.0.1",
    "test/fails-detect": "0.1.0",
    "test/errors-detect": "0.1.0",
    "test/requires-x": "0.1.0",
    "test/provides-x": "0.1.0",
}
FROM_BASE = "ARG base_image\nFROM ${base_image}\n"


class Builder:
    """The directories of a builder, whose order has one buildpack of the fixtures and an extension."""

    def __init__(self, root):
        self.root = root
        for buildpack, version in VERSIONS.items():
            place = root / "buildpacks" / buildpack.replace("/", "_")
            place.mkdir(parents=True)
            (place / version).symlink_to(FIXTURES / "buildpacks" / buildpack.split("/")[1])

    def extension(self, detect, **dockerfiles):
        root = self.root / "extensions" / "my_ext" / "1"
        (root / "bin").mkdir(parents=True)
        (root / "extension.toml").write_text(EXTENSION_TOML)
        lines = [f"cat > $1/{kind}.Dockerfile <<'END'\n{text}\nEND" for kind, text in dockerfiles.items()]
        for name, script in (("detect", detect), ("generate", "\n".join(lines))):
            (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (root / "bin" / name).chmod(0o755)

    def order(self, *groups, extensions=True):
        text = ""
        for group in groups:
            text += "[[order]]\n"
            text += "".join(f'[[order.group]]\nid = "{name}"\nversion = "{VERSIONS[name]}"\n' for name in group)
        if extensions:
            text += '[[order-extensions]]\n[[order-extensions.group]]\nid = "my/ext"\nversion = "1"\n'
        (self.root / "order.toml").write_text(text)

    def arguments(self):
        return (
            "build", APP, "-t", "app", "-o", self.root / "image", "--order", self.root / "order.toml",
            "--buildpacks", self.root / "buildpacks", "--extensions", self.root / "extensions",
        )  # fmt: skip


@pytest.fixture
def builder(tmp_path):
    made = Builder(tmp_path / "builder")
    made.order(["samples/hello-processes"])
    return made


def base_of(layout):
    """Return the config of the only image of a layout."""
    blobs = layout / "blobs"
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    config = json.loads((blobs / manifest.replace(":", "/")).read_text())["config"]["digest"]
    return json.loads((blobs / config.replace(":", "/")).read_text())


def test_an_extension_that_does_not_pass_leaves_the_build_alone(lifecycle, builder):
    builder.extension("exit 100", build=f"{FROM_BASE}RUN true")
    done = lifecycle(*builder.arguments())
    assert "my/ext" not in done.stderr
    assert "==> Built" in done.stderr


def test_dockerfiles_with_nothing_to_apply_let_the_build_go_on(lifecycle, builder):
    builder.extension("exit 0", build=FROM_BASE, run=FROM_BASE)
    done = lifecycle(*builder.arguments())
    assert "my/ext 1 (image extension)" in done.stderr
    assert "==> Built" in done.stderr


def test_a_run_dockerfile_switches_the_run_image(lifecycle, builder, tmp_path):
    lifecycle("build", APP, "-b", FIXTURES / "buildpacks" / "hello-world", "-t", "base", "-o", tmp_path / "base")
    builder.extension("exit 0", run=f"FROM {tmp_path / 'base'}")
    done = lifecycle(*builder.arguments())
    assert f"extensions switched the run image to {tmp_path / 'base'}" in done.stderr
    assert "warning" not in done.stderr
    base = base_of(tmp_path / "base")["rootfs"]["diff_ids"]
    image = base_of(builder.root / "image")
    assert image["rootfs"]["diff_ids"][: len(base)] == base
    label = json.loads(image["config"]["Labels"]["io.buildpacks.lifecycle.metadata"])
    assert label["runImage"]["topLayer"] == base[-1]
    again = lifecycle(*builder.arguments())
    assert again.stdout == done.stdout or not (done.paths_are_of_image and again.paths_are_of_image)


def test_a_build_dockerfile_with_instructions_is_refused_by_name(lifecycle, builder):
    builder.extension("exit 0", build=f"{FROM_BASE}RUN true", run=f"{FROM_BASE}RUN true")
    done = lifecycle(*builder.arguments(), check=False)
    assert done.returncode == 92
    assert "error: extension my/ext wrote a build.Dockerfile with instructions, which would change this" in done.stderr
    assert "a platform that runs the extender" in done.stderr
    assert not (builder.root / "image").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can")
@pytest.mark.parametrize("text", [f"{FROM_BASE}RUN true", "FROM a\nRUN true"])
def test_a_run_dockerfile_with_instructions_needs_root(lifecycle, builder, text):
    builder.extension("exit 0", run=text)
    done = lifecycle(*builder.arguments(), check=False)
    assert done.returncode == 92
    assert "error: extension my/ext wrote a run.Dockerfile with instructions, and only root can" in done.stderr
    assert not (builder.root / "image").exists()


def test_a_run_image_that_an_extension_chose_and_nobody_has_is_an_error(lifecycle, builder):
    builder.extension("exit 0", run="FROM /nowhere/image")
    done = lifecycle(*builder.arguments(), check=False)
    assert done.returncode == 1
    assert "error: /nowhere/image: run image is not there" in done.stderr


def test_a_failed_detection_tells_what_became_of_each_member_of_each_group(lifecycle, builder):
    builder.order(
        ["test/fails-detect", "samples/hello-processes"],
        ["test/requires-x", "samples/hello-processes"],
        ["test/provides-x", "test/errors-detect"],
        extensions=False,
    )
    done = lifecycle(*builder.arguments(), check=False)
    assert done.returncode == 21
    assert done.stderr.split("==> Detecting\n")[1] == (
        "    group 1 of 3\n"
        "      failed   test/fails-detect 0.1.0        nothing here for me\n"
        "      passed   samples/hello-processes 0.0.1\n"
        "    group 2 of 3\n"
        "      missing  test/requires-x 0.1.0          requires x, which none provides\n"
        "      passed   samples/hello-processes 0.0.1\n"
        "    group 3 of 3\n"
        "      passed   test/provides-x 0.1.0\n"
        "      error    test/errors-detect 0.1.0       bin/detect exited with status 1: out of luck\n"
        "    group 2 would pass: add test/provides-x@0.1.0 before test/requires-x@0.1.0: it provides x, which "
        "test/requires-x requires (would build with test/provides-x@0.1.0, test/requires-x@0.1.0, "
        "samples/hello-processes@0.0.1)\n"
        "error: no group of buildpacks passed detection, and one at least failed with an error\n"
        "       what it printed, above, should tell why\n"
    )


def test_a_failed_detection_is_told_when_quiet_too(lifecycle, builder):
    builder.order(["test/provides-x", "test/fails-detect"], extensions=False)
    done = lifecycle(*builder.arguments(), "--quiet", check=False)
    assert done.returncode == 20
    assert done.stderr == (
        "    passed   test/provides-x 0.1.0\n"
        "    failed   test/fails-detect 0.1.0  nothing here for me\n"
        "error: no group of buildpacks fits this app\n"
        "       check that APP is the directory of the app's source, or name a buildpack for it with --buildpack\n"
    )


def test_an_explanation_tells_who_would_build_and_builds_nothing(lifecycle, builder):
    builder.order(["test/fails-detect"], ["test/provides-x", "test/requires-x"], extensions=False)
    done = lifecycle(*builder.arguments(), "--explain")
    assert done.stdout == ""
    assert done.stderr.split("==> Detecting\n")[1] == (
        "    group 1 of 2\n"
        "      failed   test/fails-detect 0.1.0  nothing here for me\n"
        "    group 2 of 2\n"
        "      passed   test/provides-x 0.1.0\n"
        "      passed   test/requires-x 0.1.0\n"
        "==> Would build with\n"
        "    test/provides-x 0.1.0\n"
        "    test/requires-x 0.1.0\n"
        "    x from test/provides-x 0.1.0 (by = requires-x)\n"
    )
    assert lifecycle("run", check=False).returncode != 0


def test_an_explanation_tells_what_order_would_pass(lifecycle, builder):
    builder.order(["test/requires-x", "test/provides-x"], extensions=False)
    done = lifecycle(*builder.arguments(), "--explain", "--json", check=False)
    assert done.returncode == 20
    events = [json.loads(line) for line in done.stdout.splitlines()]
    [suggestion] = [event for event in events if event["event"] == "suggestion"]
    assert suggestion["changes"] == [
        "put test/provides-x@0.1.0 before test/requires-x@0.1.0: it provides x, which test/requires-x requires"
    ]
    assert suggestion["builds"] == ["test/provides-x@0.1.0", "test/requires-x@0.1.0"]
    assert events[-1]["remedy"] == "change the order as told above"


def test_buildpacks_and_an_order_exclude_each_other(lifecycle, tmp_path):
    (tmp_path / "order.toml").write_text("")
    done = lifecycle(
        "build", FIXTURES / "apps/plain", "-b", FIXTURES / "buildpacks/hello-world", "--order", "order.toml",
        check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "--buildpack and --order exclude each other" in done.stderr
