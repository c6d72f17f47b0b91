"""``lifecycle buildpack`` as people run it, with a real registry."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUILDPACKS = Path(__file__).parents[2] / "buildpacks"


@pytest.fixture
def lifecycle(tmp_path):
    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "lifecycle", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_a_buildpack_is_checked_packaged_inspected_and_built_with(lifecycle, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text("web: echo hello\n")
    assert "nothing to say" in lifecycle("buildpack", "lint", BUILDPACKS / "procfile")
    written = lifecycle("buildpack", "package", BUILDPACKS / "procfile")
    (package,) = tmp_path.glob("*.cnb")
    assert package.name in written
    assert "Buildpack API" in lifecycle("buildpack", "inspect", package)
    assert "procfile" in lifecycle("build", app, "--buildpack", package, "--output", tmp_path / "image", "--tag", "app")


def test_a_package_in_a_registry_is_found_by_its_name(lifecycle, registry, tmp_path):
    name = f"{registry.host}/buildpacks/web:1"
    lifecycle("buildpack", "package", BUILDPACKS / "web-python", "--output", "registry", "--tag", name)
    found = json.loads(lifecycle("buildpack", "inspect", f"docker://{name}", "--json"))
    assert found["id"] == "cnb-lifecycle/web-python"
    assert len({each["layer"] for each in found["modules"]}) == len(found["modules"]) == 3
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text("web: echo hello\n")
    lifecycle("build", app, "--buildpack", f"docker://{name}", "--output", tmp_path / "image", "--tag", "app")


def test_faults_are_told_with_exit_code_1(lifecycle, tmp_path):
    root = tmp_path / "bad"
    shutil.copytree(BUILDPACKS / "procfile", root)
    (root / "bin" / "build").unlink()
    assert "bin/build: error: is missing" in lifecycle("buildpack", "lint", root, code=1)
    assert "neither buildpack.toml nor extension.toml" in lifecycle("buildpack", "package", tmp_path, code=1)
    assert not list(tmp_path.glob("*.cnb"))
