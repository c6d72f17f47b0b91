"""The creator is the five phases in one process.  Spec: platform.md "creator"."""

import json

import pytest

from lifecycle import __version__
from lifecycle.model.api import PLATFORM_APIS

PLATFORMS = pytest.mark.parametrize("api", [str(api) for api in PLATFORM_APIS])


@pytest.mark.requirement("PLAT-CRE-001", "PLAT-CRE-015", "PLAT-API-006", "PLAT-REPRO-002")
@PLATFORMS
def test_the_creator_makes_what_the_five_phases_make_one_by_one(builds, found, api):
    left, seen = [], []
    for build in range(2):
        builds.start_again()
        seen.append(found(builds.five(api=api, name="app-of-five")[3]))
        left.append((builds.image("app-of-five"), builds.files()))
        assert build == 0 or "kept/data" in seen[-1]
    builds.start_again(cache=False)
    for (image, files), saw in zip(left, seen, strict=True):
        builds.start_again()
        done = builds.create(api=api, name="app-of-creator")
        assert done.code == 0, done.output
        created = builds.image("app-of-creator")
        assert created.config.dumps() == image.config.dumps()
        assert created.stored.data == image.stored.data
        assert builds.files() == files
        assert found(done) == saw
    assert left[0][0].config.dumps() != left[1][0].config.dumps()


@pytest.mark.requirement("PLAT-CRE-008", "PLAT-CRE-010", "PLAT-CRE-011", "PLAT-CRE-012")
@PLATFORMS
def test_with_skip_restore_a_buildpack_finds_its_store_at_most(builds, found, api):
    minor = int(api.partition(".")[2])
    assert builds.create(api=api).code == 0
    builds.start_again()
    skipped = builds.create("-skip-restore", api=api)
    assert found(skipped) == ({"store.toml"} if minor >= 10 else set())
    assert not (builds.place.layers / "sbom/cache/a_b/run").exists()
    assert skipped.code == 0, skipped.output
    builds.start_again()
    restored = found(builds.create(api=api))
    assert restored >= {"store.toml", "kept.toml", "kept/data", "both.toml", "both/data", "run.toml"}
    assert ("run.sbom.cdx.json" in restored) is (minor >= 8)
    assert "run/data" not in restored


@pytest.mark.requirement("PLAT-CRE-009", "PLAT-CRE-013")
def test_every_tag_is_one_more_name_of_the_image(builds):
    tags = [builds.name("app:2"), builds.name("other:3")]
    done = builds.create("-tag", tags[0], "-tag", tags[1])
    assert done.code == 0, done.output
    manifests = [builds.image(name).manifest for name in ("app", "app:2", "other:3")]
    assert manifests[0] == manifests[1] == manifests[2]
    report = (builds.place.layers / "report.toml").read_text()
    assert all(name in report for name in (builds.name("app"), *tags))


EXTENSION = 'api = "0.10"\n[extension]\nid = "x"\nversion = "1"\n'
ORDER = (
    '[[order]]\n[[order.group]]\nid = "a/b"\nversion = "1"\n'
    '[[order-extensions]]\n[[order-extensions.group]]\nid = "x"\nversion = "1"\n'
)


@pytest.mark.requirement("PLAT-CRE-014")
@pytest.mark.parametrize("api", ["0.12", "0.13", "0.15"])
def test_a_group_with_extensions_is_refused_before_they_generate_anything(builds, api):
    builds.place.write("extensions/x/1/extension.toml", EXTENSION)
    builds.place.write("extensions/x/1/bin/generate", "#!/bin/sh\necho generating\n")
    builds.place.write("layers/order.toml", ORDER)
    extensions = {"CNB_EXTENSIONS_DIR": str(builds.place.root / "extensions"), "CNB_EXPERIMENTAL_MODE": "silent"}
    done = builds.create(api=api, **extensions)
    assert done.code == 22, done.output
    assert "detected order contains extensions which is not supported by the creator" in done.errors[-1]
    assert "generating" not in done.output
    assert builds.image() is None


@pytest.mark.requirement("PLAT-CRE-015")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"api": "0.99"}, 11),
        ({"toml": 'api = "9.9"\n[buildpack]\nid = "a/b"\nversion = "1"\n'}, 12),
        ({"detect": "exit 100"}, 20),
        ({"detect": "exit 1"}, 21),
        ({"run_image": "/nothing"}, 32),
        ({"cache": "[["}, 42),
        ({"build": "exit 1"}, 51),
        ({"build": 'echo "[[" > "$CNB_LAYERS_DIR/launch.toml"'}, 52),
        ({"arguments": ("-process-type", "no-such")}, 62),
    ],
)
def test_the_exit_code_of_the_creator_is_that_of_the_phase_that_failed(builds, change, code):
    scripts = {key: value for key, value in change.items() if key in {"detect", "build", "toml"}}
    if scripts:
        builds.place.buildpack(**scripts)
    if "cache" in change:
        # A file in the place of a directory that the restorer has to make.
        assert builds.create().code == 0
        builds.start_again()
        builds.place.write("layers/a_b", "")
    arguments = list(change.get("arguments", ()))
    if "run_image" in change:
        arguments += ["-run-image", builds.repository + change["run_image"]]
    done = builds.create(*arguments, api=change.get("api", "0.15"))
    assert done.code == code, done.output
    assert len(done.errors) >= 1
    assert (builds.image() is None) is ("cache" not in change)


@pytest.mark.requirement("PLAT-CRE-015", "PLAT-EXP-064")
@pytest.mark.parametrize("by_creator", [False, True], ids=["five", "creator"])
def test_the_report_describes_the_image_in_the_registry(builds, by_creator):
    _ = builds.create() if by_creator else builds.five()
    image = builds.image()
    digest = image.reference.rpartition("@")[2]
    assert (builds.place.layers / "report.toml").read_text() == (
        f'[image]\n  tags = ["{builds.name("app")}"]\n  digest = "{digest}"\n'
        f"  manifest-size = {len(image.stored.data)}\n"
    )


@pytest.mark.requirement("PLAT-EXP-031", "PLAT-RES-016")
@pytest.mark.parametrize("name", ["restorer", "exporter"])
def test_exit_codes_of_restorer_and_exporter(builds, name):
    images = [builds.name("app")] if name == "exporter" else []
    builds.five()
    assert builds.one(name, *images).code == 0
    assert builds.one(name, *images, api="0.99").code == 11
    assert builds.one(name, "-no-such-flag", *images).code == 2
    builds.place.write("layers/group.toml", '[[group]]\nid = "a/b"\nversion = "1"\napi = "9.9"\n')
    assert builds.one(name, *images).code == 12


@pytest.mark.requirement("PLAT-EXP-030", "PLAT-EXP-034")
@PLATFORMS
def test_the_exporter_takes_the_run_image_of_analyzed_toml(builds, api):
    builds.five(api=api)
    run, other = builds.image("run"), builds.image("app")
    analyzed = builds.place.layers / "analyzed.toml"
    builds.place.write("layers/analyzed.toml", analyzed.read_text().replace(run.reference, other.reference))
    done = builds.one("exporter", builds.name("based"), api=api, CNB_RUN_IMAGE=builds.name("run"))
    assert done.code == 0, done.output
    based = builds.image("based")
    assert based.config.diff_ids[: len(other.config.diff_ids)] == other.config.diff_ids
    for flag in ("-run-image", "-image"):
        refused = builds.one("exporter", flag, builds.name("run"), builds.name("app"), api=api)
        assert refused.code == 3
        assert f"{flag} is unsupported" in refused.errors[0]


@pytest.mark.requirement("PLAT-API-002", "PLAT-LABEL-004")
@PLATFORMS
def test_each_platform_api_shows_in_what_a_build_leaves(builds, api):
    minor = int(api.partition(".")[2])
    builds.five(api=api, SOURCE_DATE_EPOCH="1577836800", CNB_EXEC_ENV="test")
    image = builds.image()
    labels = image.config.labels
    lifecycle = json.loads(labels["io.buildpacks.lifecycle.metadata"])
    build = json.loads(labels["io.buildpacks.build.metadata"])
    analyzed = (builds.place.layers / "analyzed.toml").read_text()
    report = (builds.place.layers / "report.toml").read_text()
    assert build["launcher"]["version"] == __version__
    (process,) = build["processes"]
    shown = {
        "sbom layer": "sbom" in lifecycle,
        "bom in label": "bom" in build,
        "build bom in report": "built" in report,
        "legacy bom file": (builds.place.layers / "sbom/launch/sbom.legacy.json").exists(),
        "time chosen": image.config.created != "1980-01-01T00:00:01Z",
        "command is a list": isinstance(process["command"], list),
        "history": "Layer: 'run'" in str(image.config.history),
        "run image by name in label": "image" in lifecycle["runImage"],
        "target in analyzed.toml": "[run-image.target]" in analyzed,
        "execution environment in label": labels.get("io.buildpacks.exec-env") == "test",
        "platform api in environment": f"CNB_PLATFORM_API={api}" in image.config.env,
    }
    assert shown == {
        "sbom layer": minor >= 8,
        "bom in label": minor < 9,
        "build bom in report": minor < 9,
        "legacy bom file": minor >= 9,
        "time chosen": minor >= 9,
        "command is a list": minor >= 10,
        "history": minor >= 12,
        "run image by name in label": minor >= 12,
        "target in analyzed.toml": minor >= 12,
        "execution environment in label": minor >= 15,
        "platform api in environment": True,
    }
