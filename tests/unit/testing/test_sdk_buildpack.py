"""A buildpack on the SDK, written as two functions in a test, through all phases in this process."""

from __future__ import annotations

import cnb_buildpack as bp


def detect(context: bp.DetectContext) -> bp.Detected:
    return context.pass_() if (context.app_dir / "greeting.txt").is_file() else context.fail("no greeting.txt")


def build(context: bp.BuildContext) -> None:
    key = {"greeting": bp.tree_digest(context.app_dir / "greeting.txt")}
    layer = context.cached_layer("greeting", types=bp.LAUNCH, key=key, restored=bp.keep_if_same)
    if not layer.restored:
        (layer.path / "text").write_text((context.app_dir / "greeting.txt").read_text().upper())
    layer.env.override("GREETING", "set", scope=bp.LAUNCH)
    context.launch.process("greet", ["cat", layer.path / "text"], default=True)


def test_functions_go_through_detection_build_reuse_and_launch(cnb, made):
    buildpack = cnb.buildpack(made(api="0.12"), main=lambda: bp.main(detect=detect, build=build))
    assert cnb.detect(buildpack).exit_code == 100
    first = cnb.build(buildpack, files={"greeting.txt": "hello"})
    assert first.layers["greeting"].types == {"launch", "cache"}
    again = first.rebuild()
    assert again.restored == {"greeting": "contents"}
    image = again.export()
    assert "test/made:greeting" in image.reused
    assert image.launch().log == "HELLO"
    assert image.launch_env()["GREETING"] == "set"
    changed = again.rebuild(files={"greeting.txt": "good night"})
    assert changed.layers["greeting"].read("text") == "GOOD NIGHT"
