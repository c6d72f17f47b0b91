"""The sample app with this project's buildpacks and the configured package index, up to an HTTP answer."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import tomllib
import urllib.error
import urllib.request

import pytest

from lifecycle.model.descriptor import BuildpackDescriptor
from lifecycle.model.project_descriptor import ProjectDescriptor


@pytest.fixture
def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def answer(url):
    """Return the body, once somebody listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.read().decode()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_the_built_sample_app_answers(workspace, ours, free_port):
    sample = ours / "samples" / "web-python"
    shutil.copytree(sample, workspace.app, dirs_exist_ok=True)
    project = ProjectDescriptor.model_validate(tomllib.loads((sample / "project.toml").read_text()))
    workspace.env = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    workspace.env |= {entry.name: entry.value for entry in project.io.buildpacks.build.env}
    for name in ("python-pip", "procfile"):
        assert workspace.detect(ours / name).returncode == 0
        built = workspace.build(ours / name)
        assert built.returncode == 0, built.stdout + built.stderr

    launch = tomllib.loads((workspace.layers / "launch.toml").read_text())
    commands = {process["type"]: process["command"] for process in launch["processes"]}
    env = {
        "PATH": workspace.path,
        "PORT": str(free_port),
        "HOST": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": (workspace.layers / "packages/env/PYTHONPATH.prepend").read_text(),
    }
    hello = subprocess.check_output(commands["hello"], cwd=workspace.app, env=env, text=True)
    assert hello == "Hello from bottle 0.13.4\n"
    # The shell may or may not become the app; its own process group ends both.
    with subprocess.Popen(
        commands["web"],
        cwd=workspace.app,
        env=env,
        process_group=0,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as web:
        try:
            assert "<h1>Hello, builder!</h1>" in answer(f"http://127.0.0.1:{free_port}/builder")
        finally:
            os.killpg(web.pid, 15)


def test_the_composite_buildpack_names_our_buildpacks_as_they_are(ours):
    descriptors = {
        path.name: BuildpackDescriptor.model_validate(tomllib.loads((path / "buildpack.toml").read_text()))
        for path in ours.iterdir()
        if (path / "buildpack.toml").exists()
    }
    assert set(descriptors) >= {"procfile", "python-pip", "web-python"}
    [group] = descriptors["web-python"].order
    assert [(element.id, element.version, element.optional) for element in group.group] == [
        (descriptors[name].buildpack.id, descriptors[name].buildpack.version, optional)
        for name, optional in (("python-pip", True), ("procfile", False))
    ]
