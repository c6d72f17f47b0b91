"""Inputs of the matrix that are about the run image and about what a platform gives."""

import os
from dataclasses import replace
from pathlib import Path

from parity.case import ALL_APIS, PLAIN_BUILDPACK, RUN_IMAGE, RUN_TOML, Buildpack, Case, Tree, listed
from parity.images import RUN_LABELS, RunImage, base_config

CREATED = "2020-02-02T02:02:02.123456789Z"


def _step(text: str, **more: object) -> dict[str, object]:
    return {"created": CREATED, "created_by": text, **more}


def _history(*entries: dict[str, object], **fields: object) -> RunImage:
    return RunImage(fields={"created": CREATED, "history": list(entries), **fields})


def _env(*entries: str) -> RunImage:
    return RunImage(config=base_config(Env=list(entries)))


def _base(name: str, description: str, run_image: RunImage) -> Case:
    return Case(f"base-{name}", description, run_image=run_image)


ARM = RunImage(fields={"architecture": "arm64"}, layers=(("arm64",),))
BASES = (
    _base("history", "A history of two layers with empty steps between them.", _history(_step("ADD <a> & b"), _step("ENV x", empty_layer=True), _step("RUN y", author="me", comment="buildkit"), _step("CMD", empty_layer=True))),
    _base("history-short", "A history with fewer steps than layers.", _history(_step("only one"))),
    _base("history-long", "A history with more steps than layers.", _history(_step("1"), _step("2"), _step("3"))),
    _base("history-null", "A history that is null.", RunImage(fields={"history": None})),
    _base("history-odd", "Steps without a time, and with keys of other programs.", _history({"created_by": "x", "extra": 1}, {"empty_layer": False, "comment": "<c>"})),
    _base("no-created", "No creation time and no history.", RunImage()),
    _base("path-empty", "An empty PATH.", _env("PATH=", "A=b")),
    _base("path-missing", "No PATH.", _env("A=b")),
    _base("path-equals", "A PATH that holds an equals sign.", _env("A=b", "PATH=/bin:/x=y", "C=d")),
    _base("path-twice", "Two PATHs, and other names twice.", _env("PATH=/one", "A=1", "PATH=/two", "A=2", "CNB_APP_DIR=/old", "CNB_PLATFORM_API")),
    _base("env-odd", "Entries without a value, with an empty name, with HTML characters.", _env("PATH", "=x", "EMPTY=", "HTML=<a>&b", "", "É=ü", "NL=a\nb")),
    _base("env-null", "No environment at all.", RunImage(config=base_config(Env=None))),
    _base("config-empty", "An empty config object.", RunImage(config={})),
    _base("fields", "Every field of the configuration that has a meaning.", RunImage(fields={"author": "A <a@b.c>", "created": CREATED, "docker_version": "20.10", "container": "abc", "variant": "v8", "os.version": "10.0", "os.features": ["win32k", "b"]}, config=base_config(
        Volumes={"/data": {}, "/a": {}}, ExposedPorts={"8080/tcp": {}, "53/udp": {}}, StopSignal="SIGINT", Shell=["/bin/sh", "-c"], OnBuild=["RUN x"], Hostname="h", Domainname="d", Image="sha256:0", AttachStdin=True, AttachStdout=True, AttachStderr=True, Tty=True, OpenStdin=True, StdinOnce=True, ArgsEscaped=True, NetworkDisabled=True, MacAddress="aa:bb", Entrypoint=["/entry"], WorkingDir="/old",
        Healthcheck={"Test": ["CMD", "x<y"], "Interval": 30000000000, "Timeout": 1, "StartPeriod": 2, "StartInterval": 3, "Retries": 4},
    ))),
    _base("fields-empty", "Fields that are there but empty.", RunImage(fields={"author": "", "os.features": [], "variant": "", "history": []}, config=base_config(Volumes={}, ExposedPorts={}, Shell=[], OnBuild=[], Healthcheck={}, Entrypoint=[], StopSignal="", Tty=False))),
    _base("fields-unknown", "Fields of other programs.", RunImage(fields={"container_config": {"Cmd": ["x"]}, "moby.buildkit.buildinfo.v1": "x", "parent": "p", "throwaway": True, "id": "i"}, config=base_config(Memory=1, Unknown={"a": 1}, Healthcheck={"StartInterval": 3}))),
    _base("fields-other-case", "Field names in other case.", RunImage(fields={"Author": "me", "Variant": "v9"}, config={"env": ["PATH=/lower"], "labels": RUN_LABELS, "user": "1"})),
    _base("labels", "Labels with HTML characters, of a rebasable image, and many.", RunImage(config=base_config(Labels={**RUN_LABELS, "io.buildpacks.rebasable": "true", "html": "<a>&b\u2028", "": "empty", "é": "ü", "io.buildpacks.lifecycle.metadata": "{}", **{f"l{n}": str(n) for n in range(12)}}))),
    _base("labels-null", "No labels at all.", RunImage(config=base_config(Labels=None))),
    _base("docker", "A run image with Docker's media types.", RunImage(docker=True)),
    _base("arch", "A run image of another architecture.", RunImage(fields={"architecture": "arm64", "variant": "v8"})),
    _base("many-layers", "A run image of thirty layers, some of them equal.", RunImage(layers=tuple((f"file-{n % 20}",) for n in range(30)))),
    Case("base-no-layers", "A run image without layers.", run_image=RunImage(layers=()), fails=True),
    Case("base-index", "An index with images of three platforms, the build's in the middle.", apis=("0.15",), layout=False, run_image=RunImage(layers=(("amd64",), ("x",)), docker=True, before=(ARM,), behind=(RunImage(fields={"os": "unknown", "architecture": "unknown"}),))),
    Case("base-empty-layers", "Layers with nothing in them, and the same layer twice.", apis=("0.15",), run_image=RunImage(layers=((), ("a",), (), ("a",)))),
    Case("base-volumes", "Volumes and ports with contents, which have no meaning.", apis=("0.15",), run_image=RunImage(config=base_config(Volumes={"/x": {"a": 1}}, ExposedPorts={"1/tcp": {"b": [2]}}))),
)  # fmt: skip

PROJECT_DATES = """[source]
[source.version]
a = 1979-05-27
b = 07:32:00.5
c = 1979-05-27T07:32:00
d = 0001-01-01
e = 9999-12-31T23:59:59.999999Z
"""
MIRRORED = '[[images]]\nimage = "other.example/run"\nmirrors = ["third.example/x", "{run}"]\n'


def _other_run(tree: Tree) -> None:
    layout = Path(os.fsdecode(tree.root)) / "layout" / "other.example" / "run" / "latest"
    if not layout.exists():
        RunImage(layers=(("other",),)).put_layout(layout)


NESTED_PROJECT = """
[source]
type = "git"
[source.version]
commit = "abc"
describe = "v1-2-g<abc>"
n = 1
f = 1.0
d = 1979-05-27T07:32:00Z
list = [1, "a", [true]]
[source.version.deep.er]
x = "y"
[source.metadata]
repository = "https://example.com/?a&b"
refs = ["main", "v1"]
empty = {}
"""
SYSTEM = """
[pre]
[[pre.buildpacks]]
id = "parity/pre"
version = "1"
[post]
[[post.buildpacks]]
id = "parity/post"
version = "1"
optional = true
"""


def _epoch(name: str, description: str, value: str, apis: tuple[str, ...] = ALL_APIS, **env: str) -> Case:
    return Case(f"epoch-{name}", description, env={"SOURCE_DATE_EPOCH": value, **env}, apis=apis)


def _project(name: str, description: str, text: str) -> Case:
    return Case(f"project-{name}", description, files={"layers/project-metadata.toml": text})


def _run_toml(name: str, description: str, text: str) -> Case:
    return Case(
        f"run-{name}", description, files={"cnb/run.toml": text, "cnb/stack.toml": "[run-image]\nimage = '{run}'\n"}
    )


PLATFORM = (
    _epoch("valid", "SOURCE_DATE_EPOCH.", "1600000000"),
    _epoch("zone", "SOURCE_DATE_EPOCH in a zone of half an hour.", "1600000000", TZ="Asia/Kolkata"),
    _epoch("zone-west", "SOURCE_DATE_EPOCH in a zone with summer time.", "1600000000", TZ="America/New_York"),
    _epoch("zero", "SOURCE_DATE_EPOCH of 0.", "0"),
    _epoch("negative", "SOURCE_DATE_EPOCH before 1970.", "-1"),
    _epoch("invalid", "SOURCE_DATE_EPOCH that is no number.", "yesterday"),
    _epoch("float", "SOURCE_DATE_EPOCH with a fraction.", "1600000000.5"),
    _epoch("empty", "SOURCE_DATE_EPOCH that is empty.", ""),
    _epoch("plus", "SOURCE_DATE_EPOCH with a plus sign.", "+1600000000"),
    _epoch("space", "SOURCE_DATE_EPOCH with a space.", " 1600000000"),
    _epoch("underscore", "SOURCE_DATE_EPOCH with digits in groups.", "1_600_000_000"),
    _epoch("far", "SOURCE_DATE_EPOCH in the year 9999.", "253402000000"),
    _epoch("digits", "SOURCE_DATE_EPOCH in the digits of another script.", "\u0661\u0662\u0663", apis=("0.15",)),
    _epoch("last-day", "SOURCE_DATE_EPOCH in the last second of the year 9999.", "253402300799", apis=("0.15",)),
    _epoch("zone-missing", "SOURCE_DATE_EPOCH in a zone that is not known.", "1600000000", apis=("0.15",), TZ="Nowhere/Land"),
    _epoch("zone-rule", "SOURCE_DATE_EPOCH in a zone that is a rule of POSIX.", "1600000000", apis=("0.15",), TZ="<+03>-3"),
    Case("project-dates", "Project metadata with dates and times of all kinds.", apis=("0.15",), env={"TZ": "America/New_York"}, files={"layers/project-metadata.toml": PROJECT_DATES}),
    Case("project-nanoseconds", "Project metadata with a time of nanoseconds.", apis=("0.15",), files={"layers/project-metadata.toml": "[source.version]\nt = 1979-05-27T07:32:00.123456789Z\n"}),
    Case("run-mirror", "A mirror in the registry of the app image, behind others, one of which is no name.", apis=("0.15",), prepare=_other_run, files={"cnb/run.toml": MIRRORED}),
    Case("run-tagged", "The platform names the run image by its tag, and run.toml has two entries.", apis=("0.15",), env={"CNB_RUN_IMAGE": "{run}:latest"}, files={"cnb/run.toml": '[[Images]]\nImage = "{run}"\nMirrors = ["m.example/x"]\n[[images]]\nimage = "{run}:latest"\nmirrors = ["b"]\n'}),
    Case("app-directory", "The platform's directories with dots, and a part of the app.", apis=("0.15",), env={"CNB_APP_DIR": "/cnb/../workspace/./bin/../bin"}),
    _project("plain", "Project metadata of a git source.", '[source]\ntype = "git"\n[source.version]\ncommit = "abc"\n[source.metadata]\nrepository = "r"\n'),
    _project("nested", "Project metadata with nested values of all types.", NESTED_PROJECT),
    _project("empty", "An empty file of project metadata.", ""),
    _project("source-only", "Project metadata with an empty source.", "[source]\n"),
    _project("other", "Project metadata with other tables.", '[other]\nx = 1\n[source]\ntype = "x"\n'),
    Case("run-several", "run.toml with several images; the platform names the second.", files={"cnb/run.toml": '[[images]]\nimage = "other.example/x"\n' + RUN_TOML}, env={"CNB_RUN_IMAGE": "{run}"}),
    _run_toml("no-mirrors", "run.toml without mirrors.", '[[images]]\nimage = "{run}"\n'),
    _run_toml("mirrors", "run.toml with several mirrors, also empty ones.", '[[images]]\nimage = "{run}"\nmirrors = ["b.example/<x>", "a.example/y"]\n[[images]]\nimage = "z"\nmirrors = []\n'),
    Case("run-named", "The platform names the run image, and no file does.", files={"cnb/run.toml": "", "cnb/stack.toml": ""}, env={"CNB_RUN_IMAGE": "{run}"}),
    Case("exec-env", "An execution environment that the platform chose.", env={"CNB_EXEC_ENV": "test"}, buildpacks=(PLAIN_BUILDPACK, Buildpack("parity/new", api="0.12", descriptor='exec-env = ["test"]\n', out=listed({"launch.toml": '[[processes]]\ntype = "t"\ncommand = ["t"]\nexec-env = ["test"]\n'})), Buildpack("parity/other", api="0.12", optional=True, descriptor='exec-env = ["production"]\n'))),
    Case("exec-env-html", "An execution environment with HTML characters.", env={"CNB_EXEC_ENV": "<a>&b"}),
    Case("exec-env-slash", "An execution environment with a slash.", env={"CNB_EXEC_ENV": "a/b"}),
    Case("system", "System buildpacks around the group.", files={"cnb/system.toml": SYSTEM}, buildpacks=(PLAIN_BUILDPACK, Buildpack("parity/pre", version="1"), Buildpack("parity/post", version="1")), order='[[order]]\n[[order.group]]\nid = "parity/one"\nversion = "1.0.0"\n', apis=("0.14", "0.15")),
    Case("order-nested", "A composite buildpack, and a first group that fails.", buildpacks=(
        PLAIN_BUILDPACK,
        Buildpack("parity/fails", detect="exit 100"),
        Buildpack("parity/meta", more='[[order]]\n[[order.group]]\nid = "parity/fails"\nversion = "1.0.0"\n[[order]]\n[[order.group]]\nid = "parity/one"\nversion = "1.0.0"\n'),
    ), order='[[order]]\n[[order.group]]\nid = "parity/fails"\nversion = "1.0.0"\n[[order]]\n[[order.group]]\nid = "parity/meta"\nversion = "1.0.0"\n'),
    Case("order-with-project", "Labels and project metadata together, twice built with a time.", files={"layers/project-metadata.toml": NESTED_PROJECT}, env={"SOURCE_DATE_EPOCH": "1700000000"}, change=lambda tree: tree.remove("main.txt")),
)  # fmt: skip

EXTENSION = {
    "cnb/extensions/parity_ext/1.0.0/extension.toml": 'api = "0.10"\n[extension]\nid = "parity/ext"\nversion = "1.0.0"\n',
    "cnb/extensions/parity_ext/1.0.0/generate/run.Dockerfile": "ARG base_image\nFROM ${base_image}\nRUN true\n",
    "cnb/order.toml": '[[order]]\n[[order.group]]\nid = "parity/one"\nversion = "1.0.0"\n'
    '[[order-extensions]]\n[[order-extensions.group]]\nid = "parity/ext"\nversion = "1.0.0"\n',
}
BY_EXTENSION = "Layer: 'RUN true', Created by extension: parity/ext"


def _extended(name: str, description: str, extended: RunImage, base: RunImage = RUN_IMAGE, **more: object) -> Case:
    return Case(
        f"extended-{name}",
        description,
        run_image=base,
        extended=extended,
        files=EXTENSION,
        creator=False,
        layout=False,
        apis=EXTENSION_APIS,
        **more,
    )


EXTENSION_APIS = ("0.12", "0.13", "0.14", "0.15")
EXTENDED_LAYERS = _extended("layers", "Two layers of an extension, with a history.", RunImage(
        fields={"created": CREATED, "history": [_step("1"), _step("2"), _step("ENV", empty_layer=True), _step(BY_EXTENSION), _step("by hand")]},
        config=base_config(Env=["PATH=/extended:/bin", "NEW=<x>&y"], User="1000:1000", Labels={**RUN_LABELS, "extended": "<é>"}),
        layers=(*RUN_IMAGE.layers, ("from-extension",), ("second", "third")),
    ), _history(_step("1"), _step("2")))  # fmt: skip
EXTENDED = (
    EXTENDED_LAYERS,
    replace(EXTENDED_LAYERS, name="extended-in-layout", layout=True, apis=("0.15",)),
    _extended("without-history", "A layer of an extension in an image without a history.", RunImage(layers=(*RUN_IMAGE.layers, ("from-extension",)))),
    _extended("config", "An extension that changed the configuration alone.", RunImage(config=base_config(Env=["PATH=/extended"]))),
    _extended("rebuilt", "Layers of an extension are new in each build.", RunImage(layers=(*RUN_IMAGE.layers, ("from-extension",))), change=lambda tree: tree.file("new.txt")),
)  # fmt: skip


def _volume(tree: Tree) -> None:
    tree.chown("layers", 0, 0)
    (Path(os.fsdecode(tree.root)) / "layers").chmod(0o1777)


OWNERS = (
    Case("ids", "A user of the build with ids of its own.", user=(4242, 4343), as_root=True, needs_root=True),
    Case("ids-big", "Ids that the octal digits of a header do not hold.", user=(3000000, 4000000), as_root=True, needs_root=True),
    Case("ids-in-environment", "Ids from CNB_USER_ID and CNB_GROUP_ID.", user=(4242, 3000000), env={"CNB_USER_ID": "4242", "CNB_GROUP_ID": "3000000"}, as_root=True, needs_root=True),
    Case("ids-of-root", "Root starts the phases that may be started by it; they take the build's user.", as_root=True, needs_root=True, change=lambda tree: tree.file("new.txt")),
    Case("volume-of-root", "A layers directory that is root's, sticky and open to all, as volumes are.", prepare=_volume, needs_root=True),
    Case("cache-image", "The cache is an image; built twice.", cache_image=True, change=lambda tree: tree.file("new.txt")),
)  # fmt: skip
CASES = (*BASES, *PLATFORM, *EXTENDED, *OWNERS)
