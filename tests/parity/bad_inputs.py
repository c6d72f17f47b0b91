"""Inputs on which a phase has to fail, or not to, with the exit code of the reference.

Each is a build in a layout that goes well up to a phase; then something is damaged, and the phase is called.  The
codes of the reference are in exit_codes.toml; where ours differs on purpose, ``DIFFERENT`` has our code and why.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parity.case import Buildpack, Case, Tree, listed
from parity.images import RunImage

Damage = Callable[[Path], None]
APP = "layout/index.docker.io/library/app/latest"
RUN = "layout/index.docker.io/library/run/latest"
ONE = "cnb/buildpacks/parity_one/1.0.0"
DIGEST = "sha256:" + "1" * 64


ORDINARY = Case("bad", "An ordinary build.")


@dataclass(frozen=True)
class BadInput:
    """A call of ``phase`` after ``damage``; ``flags`` and ``image`` replace what platforms give."""

    name: str
    phase: str
    damage: Damage = lambda root: None
    flags: Sequence[str] = ()
    images: Sequence[str] | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    case: Case = ORDINARY
    api: str = "0.15"
    rebuild: bool = False
    """Whether there was a build before, with an image and a cache."""

    def __str__(self) -> str:
        return f"{self.phase}-{self.name}"


def put(place: str, text: str | bytes) -> Damage:
    """Write a file in the place of another."""

    def damage(root: Path) -> None:
        path = root / place
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        Tree(root).file(place, text, 0o755 if "/bin/" in place else 0o644)

    return damage


def gone(*places: str) -> Damage:
    """Remove files or directories."""

    def damage(root: Path) -> None:
        for place in places:
            path = root / place
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def directory(place: str) -> Damage:
    """Put a directory in the place of a file."""

    def damage(root: Path) -> None:
        (root / place).unlink(missing_ok=True)
        Tree(root).directory(place)

    return damage


def closed(place: str) -> Damage:
    """Take all permissions from a file or directory."""
    return lambda root: (root / place).chmod(0)


def blob(place: str, index: int, change: Callable[[Path], None]) -> Damage:
    """Damage a blob of a layout: 0 the manifest, 1 the configuration, 2 the first layer."""

    def damage(root: Path) -> None:
        layout = root / place
        wanted = [json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]]
        manifest = json.loads((layout / "blobs" / wanted[0].replace(":", "/")).read_bytes())
        wanted += [manifest["config"]["digest"], *(each["digest"] for each in manifest["layers"])]
        change(layout / "blobs" / wanted[index].replace(":", "/"))

    return damage


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def both(*damages: Damage) -> Damage:
    def damage(root: Path) -> None:
        for each in damages:
            each(root)

    return damage


def with_buildpacks(*buildpacks: Buildpack, order: str | None = None) -> Case:
    return Case("bad", "Buildpacks that do something wrong.", buildpacks=buildpacks, order=order)


def leaving(**contents: str) -> Case:
    """Return a build whose buildpack leaves files: ``launch_toml`` and the like."""
    names = {name.replace("__", "/").replace("_", "."): text for name, text in contents.items()}
    return with_buildpacks(Buildpack(out=listed(names)))


def script(text: str) -> Case:
    return with_buildpacks(Buildpack(script=text))


def detecting(text: str = "", plan: str = "", **more: str) -> Case:
    return with_buildpacks(Buildpack(detect=text, plan=plan, **more))


def _order(text: str) -> Damage:
    return put("cnb/order.toml", text)


GROUP = '[[order]]\n[[order.group]]\nid = "{}"\nversion = "{}"\n'
PHASES = ("analyzer", "detector", "restorer", "builder", "exporter", "creator")
BAD_TOML = "[[[\n"
WRONG_TYPE = {
    "analyzed": "[image]\nreference = 5\n",
    "group": "group = 5\n",
    "plan": "entries = 'x'\n",
    "config/metadata": "processes = 5\n",
    "project-metadata": "source = 5\n",
}

ARGUMENTS = (
    *(BadInput("unknown-flag", phase, flags=("-nonsense",)) for phase in PHASES),
    *(BadInput("flag-without-value", phase, flags=("-log-level",), images=()) for phase in PHASES),
    *(BadInput("log-level", phase, flags=("-log-level", "loud")) for phase in PHASES),
    *(BadInput("api-missing", phase, env={"CNB_PLATFORM_API": None}) for phase in PHASES),
    *(BadInput("api-unknown", phase, env={"CNB_PLATFORM_API": "0.99"}) for phase in PHASES),
    *(BadInput("api-text", phase, env={"CNB_PLATFORM_API": "new"}) for phase in PHASES),
    *(BadInput("api-old", phase, env={"CNB_PLATFORM_API": "0.3"}) for phase in PHASES),
    BadInput("api-major", "analyzer", env={"CNB_PLATFORM_API": "1"}),
    BadInput("api-with-v", "analyzer", env={"CNB_PLATFORM_API": "v0.12"}),
    BadInput("api-patch", "analyzer", env={"CNB_PLATFORM_API": "0.12.1"}),
    BadInput("help", "analyzer", flags=("-help",)),
    BadInput("help-short", "detector", flags=("-h",)),
    BadInput("version", "exporter", flags=("-version",)),
    *(BadInput("no-image", phase, images=()) for phase in ("analyzer", "exporter", "creator")),
    *(BadInput("two-images", phase, images=("app", "other")) for phase in ("analyzer", "exporter", "creator")),
    *(BadInput("superfluous-argument", phase, images=("x",)) for phase in ("detector", "restorer", "builder")),
    *(BadInput("invalid-image", phase, images=("UPPER:case:tag",)) for phase in ("analyzer", "exporter", "creator")),
    *(BadInput("image-with-digest", phase, images=(f"app@{DIGEST}",)) for phase in ("analyzer", "exporter", "creator")),
    *(BadInput("empty-image", phase, images=("",)) for phase in ("analyzer", "exporter", "creator")),
    *(BadInput("uid-text", phase, flags=("-uid", "builder")) for phase in ("analyzer", "restorer", "exporter", "creator")),
    BadInput("uid-of-another", "analyzer", flags=("-uid", "4242")),
    BadInput("user-id-of-another", "analyzer", case=Case("bad", "A user that the phase is not.", env={"CNB_USER_ID": "4242", "CNB_GROUP_ID": "4343"})),
    BadInput("uid-in-environment", "exporter", env={"CNB_USER_ID": "x"}),
    BadInput("flag-of-later-api", "analyzer", flags=("-layout",), api="0.11"),
    BadInput("flag-of-earlier-api", "exporter", flags=("-stack", "/x")),
    BadInput("flag-of-other-phase", "detector", flags=("-uid", "1")),
    BadInput("boolean-value", "analyzer", flags=("-skip-layers=maybe",)),
    BadInput("boolean-numeral", "analyzer", flags=("-skip-layers=1",)),
    BadInput("double-dash-flag", "analyzer", flags=("--no-color",)),
    BadInput("terminator", "analyzer", images=("--", "app")),
    BadInput("flag-behind-image", "analyzer", images=("app", "-no-color")),
    BadInput("run-image-flag", "exporter", flags=("-run-image", "run")),
    BadInput("invalid-tag", "analyzer", flags=("-tag", "NO:t:a:g")),
    BadInput("invalid-previous-image", "analyzer", flags=("-previous-image", "a b")),
    BadInput("layout-without-directory", "analyzer", flags=("-layout-dir", "")),
    BadInput("experimental-refused", "analyzer", env={"CNB_EXPERIMENTAL_MODE": "error"}),
    BadInput("experimental-unset", "exporter", env={"CNB_EXPERIMENTAL_MODE": None}),
    BadInput("experimental-quiet", "analyzer", env={"CNB_EXPERIMENTAL_MODE": "quiet"}),
    BadInput("several-registries", "creator", images=("reg.example/app",), flags=("-tag", "other.example/app")),
)  # fmt: skip

FILES = (
    *(
        BadInput(f"{name.replace('/', '-')}-malformed", phase, put(f"layers/{name}.toml", BAD_TOML))
        for name, phases in (
            ("analyzed", ("detector", "restorer", "builder", "exporter")),
            ("group", ("restorer", "builder", "exporter")),
            ("plan", ("builder",)),
            ("config/metadata", ("exporter",)),
            ("project-metadata", ("exporter", "creator")),
        )
        for phase in phases
    ),
    *(
        BadInput(f"{name.replace('/', '-')}-wrong-type", phase, put(f"layers/{name}.toml", text))
        for (name, text), phase in zip(WRONG_TYPE.items(), ("exporter", "restorer", "builder", "exporter", "exporter"), strict=True)
    ),
    *(
        BadInput(f"{name.replace('/', '-')}-missing", phase, gone(f"layers/{name}.toml"))
        for name, phase in (("analyzed", "detector"), ("analyzed", "builder"), ("analyzed", "restorer"), ("group", "restorer"), ("group", "builder"), ("group", "exporter"), ("plan", "builder"), ("config/metadata", "exporter"))
    ),
    BadInput("analyzed-missing", "exporter", gone("layers/analyzed.toml")),
    BadInput("analyzed-without-run-image", "exporter", put("layers/analyzed.toml", "")),
    BadInput("analyzed-empty-reference", "exporter", put("layers/analyzed.toml", "[run-image]\nreference = ''\n")),
    BadInput("analyzed-odd-reference", "exporter", put("layers/analyzed.toml", "[run-image]\nreference = 'x'\n")),
    BadInput("analyzed-unknown-run-image", "exporter", put("layers/analyzed.toml", f"[run-image]\nreference = '/layout/none@{DIGEST}'\n")),
    BadInput("analyzed-unknown-previous-image", "exporter", put("layers/analyzed.toml", f"[image]\nreference = '/layout/none@{DIGEST}'\n[run-image]\nreference = '/{RUN}@{DIGEST}'\n")),
    BadInput("group-directory", "builder", directory("layers/group.toml")),
    BadInput("group-unreadable", "builder", closed("layers/group.toml")),
    BadInput("group-unknown-buildpack", "builder", put("layers/group.toml", "[[group]]\nid = 'none'\nversion = '1'\napi = '0.10'\n")),
    BadInput("group-without-api", "builder", put("layers/group.toml", "[[group]]\nid = 'parity/one'\nversion = '1.0.0'\n")),
    BadInput("group-bad-api", "exporter", put("layers/group.toml", "[[group]]\nid = 'parity/one'\nversion = '1.0.0'\napi = '9.9'\n")),
    BadInput("group-bad-api", "restorer", put("layers/group.toml", "[[group]]\nid = 'parity/one'\nversion = '1.0.0'\napi = '9.9'\n")),
    BadInput("group-bad-api", "builder", put("layers/group.toml", "[[group]]\nid = 'parity/one'\nversion = '1.0.0'\napi = 'x'\n")),
    BadInput("group-empty", "builder", put("layers/group.toml", "")),
    BadInput("group-empty", "exporter", put("layers/group.toml", "")),
    BadInput("run-malformed", "analyzer", put("cnb/run.toml", BAD_TOML)),
    BadInput("run-malformed", "exporter", put("cnb/run.toml", BAD_TOML)),
    BadInput("run-empty", "analyzer", put("cnb/run.toml", "")),
    BadInput("run-missing", "analyzer", gone("cnb/run.toml")),
    BadInput("run-missing", "exporter", gone("cnb/run.toml")),
    BadInput("run-wrong-type", "analyzer", put("cnb/run.toml", "images = 'x'\n")),
    BadInput("run-unknown-image", "analyzer", put("cnb/run.toml", "[[images]]\nimage = 'none'\n")),
    BadInput("run-unknown-image", "creator", put("cnb/run.toml", "[[images]]\nimage = 'none'\n")),
    BadInput("run-image-unknown", "analyzer", env={"CNB_RUN_IMAGE": "none"}),
    BadInput("run-image-invalid", "analyzer", env={"CNB_RUN_IMAGE": "a b"}),
    BadInput("order-malformed", "detector", _order(BAD_TOML)),
    BadInput("order-malformed", "creator", _order(BAD_TOML)),
    BadInput("order-missing", "detector", gone("cnb/order.toml")),
    BadInput("order-empty", "detector", _order("")),
    BadInput("order-wrong-type", "detector", _order("order = 5\n")),
    BadInput("order-empty-group", "detector", _order("[[order]]\n")),
    BadInput("order-unknown-buildpack", "detector", _order(GROUP.format("none", "1"))),
    BadInput("order-unknown-version", "detector", _order(GROUP.format("parity/one", "9"))),
    BadInput("order-without-version", "detector", _order("[[order]]\n[[order.group]]\nid = 'parity/one'\n")),
    BadInput("order-unknown-optional", "detector", _order(GROUP.format("none", "1") + "optional = true\n")),
    BadInput("system-malformed", "detector", put("cnb/system.toml", BAD_TOML)),
    BadInput("system-unknown", "detector", put("cnb/system.toml", "[[pre.buildpacks]]\nid = 'none'\nversion = '1'\n")),
    BadInput("project-nonsense", "exporter", put("layers/project-metadata.toml", "[source]\ntype = 5\n")),
    BadInput("launcher-missing", "exporter", gone("cnb/lifecycle/launcher")),
    BadInput("launcher-directory", "exporter", both(gone("cnb/lifecycle/launcher"), directory("cnb/lifecycle/launcher"))),
    BadInput("launcher-sbom-missing", "exporter", flags=("-launcher-sbom", "/none")),
    BadInput("app-missing", "detector", flags=("-app", "/none")),
    BadInput("app-missing", "builder", flags=("-app", "/none")),
    BadInput("app-missing", "exporter", flags=("-app", "/none")),
    BadInput("app-file", "exporter", flags=("-app", "/workspace/main.txt")),
    BadInput("layers-missing", "exporter", flags=("-layers", "/none")),
    BadInput("layers-unwritable", "analyzer", closed("layers")),
    BadInput("platform-missing", "detector", flags=("-platform", "/none")),
    BadInput("platform-missing", "builder", flags=("-platform", "/none")),
    BadInput("buildpacks-missing", "detector", flags=("-buildpacks", "/none")),
    BadInput("buildpacks-missing", "builder", flags=("-buildpacks", "/none")),
    BadInput("cache-missing", "restorer", flags=("-cache-dir", "/none")),
    BadInput("cache-missing", "exporter", flags=("-cache-dir", "/none")),
    BadInput("cache-file", "restorer", flags=("-cache-dir", "/workspace/main.txt")),
    BadInput("report-unwritable", "exporter", flags=("-report", "/proc/none/report.toml")),
    BadInput("analyzed-unwritable", "analyzer", flags=("-analyzed", "/proc/none/analyzed.toml")),
    BadInput("group-unwritable", "detector", flags=("-group", "/proc/none/group.toml")),
    BadInput("process-type-unknown", "exporter", flags=("-process-type", "none")),
    BadInput("process-type-unknown", "creator", flags=("-process-type", "none")),
)  # fmt: skip

BUILDPACKS = (
    BadInput("fails", "detector", case=detecting("exit 100")),
    BadInput("errors", "detector", case=detecting("exit 1")),
    BadInput("killed", "detector", case=detecting("kill -9 $$")),
    BadInput("plan-malformed", "detector", case=detecting(plan=BAD_TOML)),
    BadInput("plan-wrong-type", "detector", case=detecting(plan="provides = 5\n")),
    BadInput("plan-unmet", "detector", case=detecting(plan="[[requires]]\nname = 'x'\n")),
    BadInput("plan-unused", "detector", case=detecting(plan="[[provides]]\nname = 'x'\n")),
    BadInput("plan-top-level-version", "detector", case=detecting(plan="[[provides]]\nname = 'x'\n[[requires]]\nname = 'x'\nversion = '1'\n")),
    BadInput("not-executable", "detector", lambda root: (root / ONE / "bin/detect").chmod(0o644)),
    BadInput("detect-missing", "detector", gone(f"{ONE}/bin/detect")),
    BadInput("detect-without-interpreter", "detector", put(f"{ONE}/bin/detect", "#!/none\n")),
    BadInput("descriptor-missing", "detector", gone(f"{ONE}/buildpack.toml")),
    BadInput("descriptor-malformed", "detector", put(f"{ONE}/buildpack.toml", BAD_TOML)),
    BadInput("descriptor-malformed", "builder", put(f"{ONE}/buildpack.toml", BAD_TOML)),
    BadInput("descriptor-without-api", "detector", put(f"{ONE}/buildpack.toml", "[buildpack]\nid = 'parity/one'\nversion = '1.0.0'\n")),
    BadInput("descriptor-bad-api", "detector", put(f"{ONE}/buildpack.toml", "api = 'x'\n[buildpack]\nid = 'parity/one'\nversion = '1.0.0'\n")),
    BadInput("descriptor-old-api", "detector", put(f"{ONE}/buildpack.toml", "api = '0.2'\n[buildpack]\nid = 'parity/one'\nversion = '1.0.0'\n")),
    BadInput("descriptor-other-id", "detector", put(f"{ONE}/buildpack.toml", "api = '0.10'\n[buildpack]\nid = 'other'\nversion = '1.0.0'\n")),
    BadInput("descriptor-wrong-type", "detector", put(f"{ONE}/buildpack.toml", "api = '0.10'\nbuildpack = 5\n")),
    BadInput("wrong-target", "detector", case=with_buildpacks(Buildpack(more="[[targets]]\nos = 'linux'\narch = 's390x'\n"))),
    BadInput("wrong-distro", "detector", case=with_buildpacks(Buildpack(more="[[targets]]\nos = 'linux'\n[[targets.distros]]\nname = 'other'\nversion = '1'\n"))),
    BadInput("composite-empty", "detector", case=with_buildpacks(Buildpack(more="[[order]]\n"))),
    BadInput("composite-unknown", "detector", case=with_buildpacks(Buildpack(more="[[order]]\n[[order.group]]\nid = 'none'\nversion = '1'\n"))),
    BadInput("fails", "builder", case=script("exit 1")),
    BadInput("fails", "creator", case=script("exit 7")),
    BadInput("detects-nothing", "creator", case=detecting("exit 100")),
    BadInput("detects-error", "creator", case=detecting("exit 2")),
    BadInput("exits-100", "builder", case=script("exit 100")),
    BadInput("killed", "builder", case=script("kill -9 $$")),
    BadInput("build-missing", "builder", gone(f"{ONE}/bin/build")),
    BadInput("build-not-executable", "builder", lambda root: (root / ONE / "bin/build").chmod(0o644)),
    BadInput("build-without-interpreter", "builder", put(f"{ONE}/bin/build", "#!/none\n")),
    BadInput("buildpack-gone", "builder", gone(ONE)),
    BadInput("layers-read-only", "builder", lambda root: (root / "layers").chmod(0o555)),
    BadInput("launch-malformed", "builder", case=leaving(launch_toml=BAD_TOML)),
    BadInput("launch-wrong-type", "builder", case=leaving(launch_toml="processes = 5\n")),
    BadInput("launch-command-string", "builder", case=leaving(launch_toml="[[processes]]\ntype = 'x'\ncommand = 'x'\n")),
    BadInput("launch-command-number", "builder", case=leaving(launch_toml="[[processes]]\ntype = 'x'\ncommand = 5\n")),
    BadInput("launch-direct", "builder", case=leaving(launch_toml="[[processes]]\ntype = 'x'\ncommand = ['x']\ndirect = true\n")),
    BadInput("launch-direct-false", "builder", case=leaving(launch_toml="[[processes]]\ntype = 'x'\ncommand = ['x']\ndirect = false\n")),
    BadInput("launch-two-defaults", "builder", case=leaving(launch_toml="[[processes]]\ntype = 'x'\ncommand = ['x']\ndefault = true\n[[processes]]\ntype = 'y'\ncommand = ['y']\ndefault = true\n")),
    BadInput("launch-list-for-old-api", "builder", case=with_buildpacks(Buildpack(api="0.8", out=listed({"launch.toml": "[[processes]]\ntype = 'x'\ncommand = ['x', 'y']\n"})))),
    BadInput("launch-bom-version", "builder", case=leaving(launch_toml="[[bom]]\nname = 'x'\nversion = '1'\n")),
    BadInput("launch-labels-wrong-type", "builder", case=leaving(launch_toml="[[labels]]\nkey = 5\n")),
    BadInput("launch-slices-wrong-type", "builder", case=leaving(launch_toml="[[slices]]\npaths = 'x'\n")),
    BadInput("build-malformed", "builder", case=leaving(build_toml=BAD_TOML)),
    BadInput("build-unmet-unknown", "builder", case=leaving(build_toml="[[unmet]]\nname = 'x'\n")),
    BadInput("build-unmet-unnamed", "builder", case=leaving(build_toml="[[unmet]]\n")),
    BadInput("build-bom-version", "builder", case=leaving(build_toml="[[bom]]\nname = 'x'\nversion = '1'\n")),
    BadInput("store-malformed", "builder", case=leaving(store_toml=BAD_TOML)),
    BadInput("store-malformed", "creator", case=leaving(store_toml=BAD_TOML)),
    BadInput("layer-malformed", "builder", case=leaving(x_toml=BAD_TOML)),
    BadInput("layer-top-level-launch", "builder", case=leaving(x_toml="launch = true\n")),
    BadInput("layer-wrong-type", "builder", case=leaving(x_toml="[types]\nlaunch = 'yes'\n")),
    BadInput("layer-metadata-wrong-type", "builder", case=leaving(x_toml="metadata = 5\n")),
    BadInput("layer-types-wrong-type", "builder", case=leaving(x_toml="types = 5\n")),
    BadInput("layer-ignored-exists", "builder", case=leaving(x_toml="", x__f="f", x_ignore__f="f")),
    BadInput("layer-damaged-later", "exporter", put("layers/parity_one/deps.toml", BAD_TOML)),
    BadInput("layer-nothing-of-it", "exporter", put("layers/parity_one/other.toml", "[types]\nlaunch = true\n")),
    BadInput("layer-cached-nothing-of-it", "exporter", put("layers/parity_one/other.toml", "[types]\nlaunch = true\ncache = true\n")),
    BadInput("layer-only-cached-nothing-of-it", "exporter", put("layers/parity_one/other.toml", "[types]\ncache = true\n")),
    BadInput("layer-unreadable", "exporter", closed("layers/parity_one/deps")),
    BadInput("store-damaged-later", "exporter", put("layers/parity_one/store.toml", BAD_TOML)),
    BadInput("sbom-undeclared", "builder", case=leaving(launch_sbom_cdx_json="{}")),
    BadInput("sbom-unknown-format", "builder", case=leaving(launch_sbom_xml_json="{}")),
    BadInput("sbom-of-nothing", "builder", case=with_buildpacks(Buildpack(descriptor='sbom-formats = ["application/spdx+json"]', out=listed({"none.sbom.spdx.json": "{}"})))),
    BadInput("env-dir-is-file", "builder", case=leaving(x_toml="[types]\nbuild = true\n", x__env="no directory")),
    BadInput("process-type-slash", "exporter", case=leaving(launch_toml="[[processes]]\ntype = 'a/b'\ncommand = ['x']\n")),
    BadInput("process-type-empty", "exporter", case=leaving(launch_toml="[[processes]]\ntype = ''\ncommand = ['x']\n")),
    BadInput("slice-malformed", "exporter", case=leaving(launch_toml="[[slices]]\npaths = ['[']\n")),
    BadInput("platform-env-is-file", "detector", put("platform/env", "x")),
    BadInput("platform-env-unreadable", "builder", both(put("platform/env/X", "x"), closed("platform/env/X"))),
    BadInput("build-config-env-is-file", "builder", put("cnb/build-config/env", "x")),
)  # fmt: skip

IMAGES = (
    BadInput("run-index-malformed", "analyzer", put(f"{RUN}/index.json", "{")),
    BadInput("run-index-empty", "analyzer", put(f"{RUN}/index.json", '{"schemaVersion": 2, "manifests": []}')),
    BadInput("run-index-missing", "analyzer", gone(f"{RUN}/index.json")),
    BadInput("run-manifest-missing", "analyzer", blob(RUN, 0, Path.unlink)),
    BadInput("run-manifest-garbage", "analyzer", blob(RUN, 0, garbage)),
    BadInput("run-config-missing", "analyzer", blob(RUN, 1, Path.unlink)),
    BadInput("run-config-garbage", "analyzer", blob(RUN, 1, garbage)),
    BadInput("run-config-empty", "analyzer", blob(RUN, 1, emptied)),
    BadInput("run-layer-missing", "exporter", blob(RUN, 2, Path.unlink)),
    BadInput("run-layer-garbage", "exporter", blob(RUN, 2, garbage)),
    BadInput("run-without-os", "analyzer", case=Case("bad", "A run image without an os.", run_image=RunImage(fields={"os": ""}))),
    BadInput("run-of-platforms", "analyzer", case=Case("bad", "An index of two platforms.", run_image=RunImage(before=(RunImage(fields={"architecture": "arm64"}, layers=(("arm64",),)),)))),
    BadInput("run-created-garbage", "analyzer", case=Case("bad", "A run image with a time that is none.", run_image=RunImage(fields={"created": "yesterday"}))),
    BadInput("run-gone", "exporter", gone(RUN)),
    BadInput("run-manifest-garbage", "exporter", blob(RUN, 0, garbage)),
    BadInput("run-config-garbage", "exporter", blob(RUN, 1, garbage)),
    BadInput("previous-index-malformed", "analyzer", put(f"{APP}/index.json", "{"), rebuild=True),
    BadInput("previous-index-empty", "analyzer", put(f"{APP}/index.json", '{"schemaVersion": 2, "manifests": []}'), rebuild=True),
    BadInput("previous-manifest-missing", "analyzer", blob(APP, 0, Path.unlink), rebuild=True),
    BadInput("previous-manifest-garbage", "analyzer", blob(APP, 0, garbage), rebuild=True),
    BadInput("previous-config-missing", "analyzer", blob(APP, 1, Path.unlink), rebuild=True),
    BadInput("previous-config-garbage", "analyzer", blob(APP, 1, garbage), rebuild=True),
    BadInput("previous-sbom-missing", "analyzer", blob(APP, 5, Path.unlink), rebuild=True),
    BadInput("previous-sbom-garbage", "analyzer", blob(APP, 5, garbage), rebuild=True),
    BadInput("previous-layer-missing", "exporter", blob(APP, 4, Path.unlink), rebuild=True),
    BadInput("previous-gone", "exporter", gone(APP), rebuild=True),
    BadInput("previous-image-unknown", "analyzer", flags=("-previous-image", "none")),
    BadInput("cache-metadata-garbage", "restorer", put("cache/committed/io.buildpacks.lifecycle.cache.metadata", "{"), rebuild=True),
    BadInput("cache-layers-gone", "restorer", lambda root: [each.unlink() for each in (root / "cache/committed").glob("sha256:*")], rebuild=True),
    BadInput("cache-layers-garbage", "restorer", lambda root: [each.write_bytes(b"garbage") for each in (root / "cache/committed").glob("sha256:*")], rebuild=True),
    BadInput("cache-layers-unreadable", "restorer", lambda root: [each.chmod(0) for each in (root / "cache/committed").glob("sha256:*")], rebuild=True),
    BadInput("cache-layer-with-pipe", "restorer", case=with_buildpacks(Buildpack(out=lambda tree: (tree.file("c.toml", "[types]\ncache = true\n"), tree.fifo("c/pipe")))), rebuild=True),
    BadInput("cache-layers-gone", "exporter", lambda root: [each.unlink() for each in (root / "cache/committed").glob("sha256:*")], rebuild=True),
    BadInput("cache-unwritable", "exporter", lambda root: (root / "cache").chmod(0o555), rebuild=True),
    BadInput("layout-unwritable", "exporter", lambda root: (root / "layout/index.docker.io/library").chmod(0o555)),
    BadInput("layout-unwritable", "analyzer", lambda root: (root / "layout/index.docker.io/library").chmod(0o555)),
)  # fmt: skip

BAD_INPUTS = (*ARGUMENTS, *FILES, *BUILDPACKS, *IMAGES)
assert len({str(each) for each in BAD_INPUTS}) == len(BAD_INPUTS)
