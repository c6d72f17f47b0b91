"""What the image and report.toml say."""

import json

import pytest

from lifecycle.errors import ExportError
from lifecycle.files.codec import dumps
from lifecycle.model.api import PlatformFeature
from lifecycle.model.build_metadata import BuildMetadata, Process
from lifecycle.model.group import GroupElement
from lifecycle.model.launch import AttributedBomEntry, BomSource, Label
from lifecycle.model.project import ProjectMetadata, Source


def labels(situation, exported):
    return situation.images.find(exported.written.names[0]).config.labels


@pytest.mark.requirement(
    "PLAT-EXP-056", "PLAT-LABEL-012", "PLAT-LABEL-014", "PLAT-LABEL-015", "PLAT-LABEL-016", "PLAT-LABEL-017",
    "PLAT-LABEL-018", "PLAT-LABEL-019", "PLAT-LABEL-020", "PLAT-LABEL-021", "BP-EXP-004", "BP-EXP-005",
)  # fmt: skip
def test_the_lifecycle_label_says_what_the_next_build_needs(situation):
    situation.layer("jre", "launch", "cache", metadata={"version": "<21>", "n": 1})
    situation.layer("agent", "launch")
    situation.layer("compiler", "build")
    situation.file("samples_java/store.toml", "[metadata]\nkeep = true\n")
    exported = situation.export()
    shas = {each.id: each.diff_id for each in exported.verdicts}
    stack = {"image": "registry.example/run:1", "mirrors": ["stack.example/run:1"]}
    run = {"image": "registry.example/run:1", "mirrors": ["mirror.example/run:1"]}
    names = run if PlatformFeature.RUN_IMAGE_IN_LABEL in situation.api else {}
    expected = {
        "app": [{"sha": shas["slice-1"]}],
        "buildpacks": [
            {
                "key": "samples/java",
                "version": "0.0.1",
                "layers": {
                    "agent": {
                        "sha": shas["samples/java:agent"],
                        "data": None,
                        "build": False,
                        "launch": True,
                        "cache": False,
                    },
                    "jre": {
                        "sha": shas["samples/java:jre"],
                        "data": {"n": 1, "version": "<21>"},
                        "build": False,
                        "launch": True,
                        "cache": True,
                    },
                },
                "store": {"metadata": {"keep": True}},
            },
            {"key": "samples/maven", "version": "2.0", "layers": {}},
        ],
        "config": {"sha": shas["buildpacksio/lifecycle:config"]},
        "launcher": {"sha": shas["buildpacksio/lifecycle:launcher"]},
        "process-types": {"sha": shas["buildpacksio/lifecycle:process-types"]},
        "runImage": {
            "topLayer": situation.base.config.diff_ids[-1],
            "reference": situation.base.reference,
            **names,
        },
        "stack": {"runImage": names or stack},
    }
    label = labels(situation, exported)["io.buildpacks.lifecycle.metadata"]
    assert label == json.dumps(expected, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


@pytest.mark.requirement(
    "PLAT-EXP-057", "PLAT-LABEL-001", "PLAT-LABEL-002", "PLAT-LABEL-003", "PLAT-LABEL-004", "PLAT-LABEL-005",
    "PLAT-LABEL-006", "PLAT-LABEL-007", "PLAT-LABEL-011",
)  # fmt: skip
def test_the_build_label_says_what_the_build_made(situation):
    source = BomSource(id="samples/java", version="0.0.1")
    build = BuildMetadata(
        bom=(AttributedBomEntry(name="jre", metadata={"v": "21"}, buildpack=source),),
        buildpacks=situation.build.buildpacks,
        processes=(
            Process(
                type="web",
                command=("java", "-jar"),
                args=("a.jar",),
                buildpack_id="samples/java",
                working_dir="/x",
            ),
        ),
        default_process_type="web",
    )
    exported = situation.export(build_metadata=build)
    process = {"type": "web", "command": ["java", "-jar"], "args": ["a.jar"], "direct": False}
    if PlatformFeature.COMMAND_LIST not in situation.api:
        process |= {"command": "java", "args": ["-jar", "a.jar"]}
    process |= {"buildpackID": "samples/java", "working-dir": "/x"}
    bom = [{"name": "jre", "metadata": {"v": "21"}, "buildpack": {"id": "samples/java", "version": "0.0.1"}}]
    expected = {
        **({"bom": bom} if PlatformFeature.BOM_IN_LABEL in situation.api else {}),
        "buildpacks": [
            {"id": "samples/java", "version": "0.0.1", "homepage": "https://java.example"},
            {"id": "samples/maven", "version": "2.0"},
        ],
        "launcher": {
            "version": "1.2.3",
            "source": {"git": {"repository": "example/lifecycle", "commit": "abc"}},
        },
        "processes": [process],
        "buildpack-default-process-type": "web",
    }
    label = labels(situation, exported)["io.buildpacks.build.metadata"]
    assert label == json.dumps(expected, separators=(",", ":"))


@pytest.mark.requirement("PLAT-EXP-058", "PLAT-LABEL-023")
@pytest.mark.parametrize(
    ("project", "label"),
    [
        (ProjectMetadata(), "{}"),
        (
            ProjectMetadata(source=Source(type="git", version={"commit": "1"}, metadata={"url": "u"})),
            '{"source":{"type":"git","version":{"commit":"1"},"metadata":{"url":"u"}}}',
        ),
    ],
)
def test_the_project_label_is_project_metadata_toml(situation, project, label):
    exported = situation.export(project_metadata=project)
    assert labels(situation, exported)["io.buildpacks.project.metadata"] == label


def test_the_execution_environment_is_a_label_from_platform_api_0_15(situation):
    found = labels(situation, situation.export(exec_env="test"))
    expected = "test" if PlatformFeature.EXEC_ENV in situation.api else None
    assert found.get("io.buildpacks.exec-env") == expected


def test_buildpacks_labels_come_last_and_may_overwrite(newest):
    build = BuildMetadata(labels=(Label(key="a", value="1"), Label(key="io.buildpacks.project.metadata", value="mine")))
    found = labels(newest, newest.export(build_metadata=build))
    assert found["a"] == "1"
    assert found["io.buildpacks.project.metadata"] == "mine"


@pytest.mark.requirement("PLAT-EXP-033", "PLAT-FILE-027", "PLAT-FILE-028")
def test_every_name_is_the_same_image_and_the_report_lists_them(situation):
    names = ("registry.example/app:1", "registry.example/app:2")
    exported = situation.export(names=names)
    one, other = (situation.images.find(name) for name in names)
    assert one.config.dumps() == other.config.dumps()
    assert one.manifest == other.manifest
    assert dumps(exported.report.struct()) == (
        "[image]\n"
        '  tags = ["registry.example/app:1", "registry.example/app:2"]\n'
        f'  digest = "{exported.written.digest}"\n'
        f"  manifest-size = {exported.written.manifest_size}\n"
    )
    assert exported.written.manifest_size == len(one.manifest.dumps())


@pytest.mark.requirement("PLAT-FILE-029")
def test_the_report_of_a_daemon_holds_the_image_id(situation):
    situation.images.has_digests = False
    exported = situation.export()
    assert dumps(exported.report.struct()) == (
        "[image]\n"
        '  tags = ["registry.example/app:latest"]\n'
        f'  image-id = "{exported.written.image_id.removeprefix("sha256:")}"\n'
    )


@pytest.mark.requirement("PLAT-FILE-030")
def test_the_report_holds_the_bill_of_materials_of_the_build_before_platform_api_0_9(situation):
    situation.file("samples_java/build.toml", '[[bom]]\nname = "jdk"\n[bom.metadata]\nv = "21"\n')
    bom = [entry.struct() for entry in situation.export().report.build_bom]
    if PlatformFeature.BOM_IN_LABEL in situation.api:
        source = {"id": "samples/java", "version": "0.0.1"}
        assert bom == [{"name": "jdk", "metadata": {"v": "21"}, "buildpack": source}]
    else:
        assert bom == []


def test_a_name_that_can_not_be_written_fails_after_the_others(newest, caplog):
    newest.images.unwritable = frozenset({"registry.example/b"})
    caplog.set_level("INFO", "lifecycle")
    with pytest.raises(ExportError, match="failed to write image to the following tags") as caught:
        newest.export(names=("registry.example/a", "registry.example/b"))
    assert "[registry.example/b: may not be written]" in str(caught.value)
    assert newest.images.find("registry.example/a") is not None
    assert caplog.messages[-2:] == [
        "      registry.example/a",
        "      registry.example/b - may not be written",
    ]


@pytest.mark.requirement("PLAT-LABEL-008")
def test_the_build_label_names_extensions(situation):
    extension = GroupElement(id="samples/curl", version="1", api="0.10", homepage="https://curl.example")
    exported = situation.export(build_metadata=BuildMetadata(extensions=(extension,)))
    label = json.loads(labels(situation, exported)["io.buildpacks.build.metadata"])
    assert label["extensions"] == [{"id": "samples/curl", "version": "1", "homepage": "https://curl.example"}]
    assert label["processes"] is None


@pytest.mark.requirement("PLAT-LABEL-010")
def test_the_build_label_tells_the_environments_of_a_process(newest):
    processes = tuple(
        Process(type=kind, command=("c",), exec_env=environments)
        for kind, environments in (("any", ("*",)), ("one", ("test",)), ("unsaid", ()))
    )
    exported = newest.export(build_metadata=BuildMetadata(processes=processes))
    label = json.loads(labels(newest, exported)["io.buildpacks.build.metadata"])
    assert [process.get("exec-env") for process in label["processes"]] == [["*"], ["test"], None]
