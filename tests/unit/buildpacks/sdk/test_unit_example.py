"""How a buildpack on the SDK is tested without a file on disk: pyfakefs, and its two functions."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import cnb_buildpack as bp

ROOT, APP, LAYERS = Path("/cnb/buildpacks/greet/1"), Path("/workspace"), Path("/layers/greet")


def detect(context: bp.DetectContext) -> bp.Detected:
    return context.pass_() if (context.app_dir / "greeting.txt").is_file() else context.fail("no greeting.txt")


def build(context: bp.BuildContext) -> None:
    key = {"greeting": bp.tree_digest(context.app_dir / "greeting.txt")}
    layer = context.cached_layer("greeting", types=bp.LAUNCH, key=key, restored=bp.keep_if_same)
    if not layer.restored:
        (layer.path / "text").write_text((context.app_dir / "greeting.txt").read_text().upper())
    layer.env.override("GREETING", layer.path / "text")
    context.launch.process("greet", ["cat", str(layer.path / "text")], default=True)


@pytest.fixture
def container(fs):
    fs.create_file(ROOT / "buildpack.toml", contents='api = "0.12"\n[buildpack]\nid = "test/greet"\nversion = "1"\n')
    fs.create_file(APP / "greeting.txt", contents="hello")
    fs.create_dir(LAYERS)
    return fs


def build_context():
    return bp.BuildContext.at(root=ROOT, app_dir=APP, layers_dir=LAYERS)


@pytest.mark.usefixtures("container")
def test_an_app_with_a_greeting_passes():
    context = bp.DetectContext.at(root=ROOT, app_dir=APP)
    assert detect(context).passed
    (APP / "greeting.txt").unlink()
    assert detect(context).reason == "no greeting.txt"


@pytest.mark.usefixtures("container")
def test_the_second_build_reuses_the_layer_until_the_greeting_changes():
    for greeting, cause in (
        ("hello", "none from an earlier build"),
        ("hello", "same greeting as in the last build"),
        ("good night", "greeting changed"),
    ):
        (APP / "greeting.txt").write_text(greeting)
        context = build_context()
        build(context)
        context.finish()
        assert context.layers.used["greeting"].cause == cause
        assert (LAYERS / "greeting/text").read_text() == greeting.upper()
    assert tomllib.loads((LAYERS / "launch.toml").read_text())["processes"][0]["type"] == "greet"
