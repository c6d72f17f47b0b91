"""Images in a Docker daemon have the reference's ids, which are recorded in daemon.toml."""

import fcntl
import io
import json
import os
import tarfile
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from parity.building import Build, Place, calls
from parity.case import Tree
from parity.cases import CASES
from parity.comparison import builds_differ
from parity.images import AppImage, digest, tar
from parity.runner import OURS, make_directories, reference
from parts.shared_process import run_directory

NAMES = {"run": "parity/run", "mirror": "mirror.example/run", "app": "parity/app"}
INPUTS = [("plain", "0.7"), ("base-history", "0.15"), ("sboms", "0.12"), ("reuse-changed-app", "0.15")]
RECORDED = tomllib.loads(Path(__file__).with_name("daemon.toml").read_text(encoding="utf-8"))
USES_DAEMON = {"analyzer", "exporter", "creator"}


@pytest.fixture
def daemon(dockerd, tmp_path_factory):
    """The daemon that all workers share, for one test at a time: image ids tell the names of images."""
    with (run_directory(tmp_path_factory, "dockerd") / "parity.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield dockerd


def archive(image):
    """The run image as ``docker save`` writes it."""
    tars = [tar(*names) for names in image.layers]
    _, blobs = image.blobs()
    config = next(data for data in blobs.values() if b'"diff_ids"' in data)
    layers = [f"{digest(each)[7:]}.tar" for each in tars]
    manifest = [{"Config": f"{digest(config)[7:]}.json", "RepoTags": [f"{NAMES['run']}:latest"], "Layers": layers}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as written:
        files = {manifest[0]["Config"]: config, **dict(zip(layers, tars, strict=True))}
        for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            written.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def app_in(daemon):
    found = daemon.client.inspect(NAMES["app"])
    if found is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(daemon.client.save(NAMES["app"])))) as saved:
        manifest = saved.extractfile("manifest.json").read()
        config = saved.extractfile(json.loads(manifest)[0]["Config"]).read()
    assert found["Id"] == digest(config)
    return AppImage(manifest, config)


def built(case, api, root, lifecycle, daemon, *, creator=False, launch_cache=True):
    """Build as platforms do with a daemon: root starts the phases that reach it, and layers are kept for reuse."""
    daemon.client.load(iter([archive(case.run_image)]))
    make_directories(root)
    case.put(root, NAMES)
    Tree(root).directory("cache/launch")
    todo = []
    for call in calls(replace(case, as_root=True), api, Place.REGISTRY, creator=creator):
        uses = call.phase in USES_DAEMON or (
            call.phase == "restorer" and api not in {"0.7", "0.8", "0.9", "0.10", "0.11"}
        )
        arguments = [NAMES["app"] if each == Place.REGISTRY.names["app"] else each for each in call.arguments]
        kept = launch_cache and call.phase in {"exporter", "creator"}
        more = ("-daemon",) * uses + ("-launch-cache", "/cache/launch") * kept
        todo.append(replace(call, arguments=(*more, *arguments), env={**call.env, **daemon.environment}))
    builds = []
    try:
        for number in range(1 if case.change is None else 2):
            if number:
                case.change(Tree(root / "workspace"))
            builds.append(Build(todo, lifecycle.run(root, todo), app_in(daemon)))
    finally:
        for name in (NAMES["app"], NAMES["run"]):
            if daemon.client.inspect(name) is not None:
                daemon.client.untag(f"{name}:latest")
    return builds


@pytest.mark.parametrize(("name", "api"), INPUTS)
def test_images_in_a_daemon_have_the_reference_s_ids(name, api, daemon, new_root):
    case = next(case for case in CASES if case.name == name)
    if case.needs_root and os.getuid():
        pytest.skip("only root can make the files of this input")
    ours = built(case, api, new_root(), OURS, daemon)
    assert ours[-1].failed is None
    if reference() is not None:
        assert builds_differ(built(case, api, new_root(), reference(), daemon), ours) == []
    assert ours[-1].app.image_id == f"sha256:{RECORDED[name][api]}"
    if api == "0.15":
        created = built(case, api, new_root(), OURS, daemon, creator=True)
        assert created[-1].app is not None, created[-1].failed
        assert created[-1].app.config == ours[-1].app.config


def test_layers_of_the_last_image_are_reused_without_a_launch_cache(daemon, new_root):
    case = next(case for case in CASES if case.name == "reuse-changed-app")
    builds = built(case, "0.15", new_root(), OURS, daemon, launch_cache=False)
    assert builds[-1].failed is None
    assert "Reusing layer 'parity/one:same'" in builds[-1].log("exporter")
    assert builds[-1].app.image_id == f"sha256:{RECORDED['reuse-changed-app']['0.15']}"
