"""``lifecycle buildpack`` as people run it, with a real registry."""

import json
import shutil
from pathlib import Path

import pytest

BUILDPACKS = Path(__file__).parents[2] / "buildpacks"


@pytest.fixture
def said(lifecycle):
    """Run the program and return all that it said."""

    def run(*arguments, code=0):
        done = lifecycle(*arguments, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_a_buildpack_is_checked_packaged_inspected_and_built_with(said, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text("web: echo hello\n")
    assert "lib/cnb_buildpack: advice: is a link that leads out" in said("buildpack", "lint", BUILDPACKS / "procfile")
    written = said("buildpack", "package", BUILDPACKS / "procfile")
    (package,) = tmp_path.glob("*.cnb")
    assert package.name in written
    assert "Buildpack API" in said("buildpack", "inspect", package)
    assert "procfile" in said("build", app, "--buildpack", package, "--output", tmp_path / "image", "--tag", "app")


def test_a_package_in_a_registry_is_found_by_its_name(said, registry, tmp_path):
    name = f"{registry.host}/buildpacks/web:1"
    said("buildpack", "package", BUILDPACKS / "web-python", "--output", "registry", "--tag", name)
    found = json.loads(said("buildpack", "inspect", f"docker://{name}", "--json"))
    assert found["id"] == "cnb-lifecycle/web-python"
    assert len({each["layer"] for each in found["modules"]}) == len(found["modules"]) == 3
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text("web: echo hello\n")
    said("build", app, "--buildpack", f"docker://{name}", "--output", tmp_path / "image", "--tag", "app")


def test_faults_are_told_with_exit_code_1(said, tmp_path):
    root = tmp_path / "bad"
    shutil.copytree(BUILDPACKS / "procfile", root)
    (root / "bin" / "build").unlink()
    assert "bin/build: error: is missing" in said("buildpack", "lint", root, code=1)
    assert "neither buildpack.toml nor extension.toml" in said("buildpack", "package", tmp_path, code=1)
    assert not list(tmp_path.glob("*.cnb"))


def test_a_package_never_holds_an_earlier_one(said, tmp_path):
    root = tmp_path / "mine"
    shutil.copytree(BUILDPACKS / "procfile", root)
    first = said("buildpack", "package", root, "--output", root / "mine.cnb")
    assert said("buildpack", "package", root, "--output", root / "mine.cnb") == first
    for place in (root, root / "layout", root / "bin" / "mine.cnb", f"docker-archive:{root}/mine.tar"):
        assert "lies inside the buildpack" in said("buildpack", "package", root, "--output", place, code=3)
