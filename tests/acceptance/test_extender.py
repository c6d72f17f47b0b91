"""A build with image extensions as platforms run it: each phase in a container of the image that it belongs to."""

import shutil
import subprocess
import tomllib
from dataclasses import dataclass, replace

import pytest

from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.launcher import launcher_path
from lifecycle.layers.blob import write_blob
from lifecycle.oci.config import HistoryEntry
from lifecycle.rootfs.apply import apply_layer
from lifecycle.rootfs.changes import ChangesLayer
from lifecycle.rootfs.snapshot import Changes, take_snapshot
from parts.extension_container import Container, new_container

GENERATE = r"""#!/bin/sh
set -e
mkdir "$CNB_OUTPUT_DIR/context.build" "$CNB_OUTPUT_DIR/context.run"
printf '#!/bin/sh\necho the tool was found\n' > "$CNB_OUTPUT_DIR/context.build/tool"
chmod 755 "$CNB_OUTPUT_DIR/context.build/tool"
echo from the context > "$CNB_OUTPUT_DIR/context.run/copied"
cat > "$CNB_OUTPUT_DIR/extend-config.toml" <<EOF
[[build.args]]
name = "greeting"
value = "hello build image"
[[run.args]]
name = "greeting"
value = "hello run image"
EOF
cat > "$CNB_OUTPUT_DIR/build.Dockerfile" <<'EOF'
ARG base_image
FROM ${base_image}
ARG greeting=none
USER root
COPY tool /opt/tools/
ENV PATH="/opt/tools:${PATH}"
RUN echo "$greeting" > /opt/greeting && echo this ran for the build image
ARG user_id
ARG group_id
USER ${user_id}:${group_id}
EOF
cat > "$CNB_OUTPUT_DIR/run.Dockerfile" <<'EOF'
ARG base_image
FROM ${base_image}
ARG greeting=none
USER root
WORKDIR /opt
RUN echo "$greeting" > greeting && rm /etc/obsolete && echo this ran for the run image
COPY --chown=cnb copied .
ENV FROM_EXTENSION="a value"
LABEL io.buildpacks.rebasable=true
ARG build_id=0
RUN echo "$build_id" > /workspace/not-in-a-layer
ARG user_id
ARG group_id
USER ${user_id}:${group_id}
EOF
"""
BUILD = """#!/bin/sh
set -e
tool
cat /opt/greeting
echo "built by $(id -u) in $PWD"
cat > "$CNB_LAYERS_DIR/launch.toml" <<EOF
[[processes]]
type = "web"
command = ["/bin/sh", "-c", "cat /opt/greeting /opt/copied; echo \\$FROM_EXTENSION; ls /etc; id -u"]
default = true
EOF
"""
USER = ("-uid", "1000", "-gid", "1000")


@dataclass(frozen=True)
class Images:
    """The containers of both base images, and their names in a registry."""

    container: Container
    build: str
    run: str


@pytest.fixture(scope="module")
def images(tmp_path_factory, registry):
    root = tmp_path_factory.mktemp("extended") / "root"
    container = new_container(root)
    cnb = root / "cnb"
    for path, text in {
        "extensions/ext/1/extension.toml": 'api = "0.10"\n[extension]\nid = "ext"\nversion = "1"\n',
        "extensions/ext/1/bin/generate": GENERATE,
        "buildpacks/bp/1/buildpack.toml": 'api = "0.10"\n[buildpack]\nid = "bp"\nversion = "1"\n[[targets]]\nos = "linux"\n',
        "buildpacks/bp/1/bin/detect": "#!/bin/sh\nexit 0\n",
        "buildpacks/bp/1/bin/build": BUILD,
        "order.toml": '[[order]]\n[[order.group]]\nid = "bp"\nversion = "1"\n'
        '[[order-extensions]]\n[[order-extensions.group]]\nid = "ext"\nversion = "1"\n',
    }.items():
        (cnb / path).parent.mkdir(parents=True, exist_ok=True)
        (cnb / path).write_text(text)
        (cnb / path).chmod(0o755)
    (root / "etc" / "obsolete").write_text("to be removed")
    (container.app / "app.txt").write_text("an app")
    name = f"{registry.host}/extended-builds/base:1"
    push(container, name, tmp_path_factory.mktemp("blobs"))
    return Images(container, name, name)


def push(container, name, work_dir):
    """Push the image whose file system is that of the container."""
    paths = tuple(sorted(take_snapshot(container.root, ignored=frozenset()).states))
    blob = write_blob(ChangesLayer(container.root, Changes(paths)), work_dir)
    base = scratch_image(architecture=host_platform().architecture)
    config = replace(
        base.config,
        diff_ids=(blob.diff_id,),
        history=(HistoryEntry(created_by="test"),),
        run={"User": "1000:1000", "Env": ["PATH=/bin"], "WorkingDir": "/layers"},
    )
    RemoteStores({"HOME": str(work_dir)}).registry.write(NewImage(base, (blob,), config), [name])


@dataclass
class Build:
    images: Images
    app: str
    log: str = ""

    def run(self, *, api="0.15", fresh_root):
        """Run the phases as pack does for a builder that it does not trust; each in a fresh container."""
        self.log = ""
        where = fresh_root
        in_build = lambda number: self.images.container.copy(where / f"build-{number}")  # noqa: E731
        run_image = ["-run-image", self.images.run]
        self._phase(in_build(1), "analyzer", *run_image, *USER, self.app, api=api)
        self._phase(in_build(2), "detector", "-app", "/workspace", api=api, user=1000)
        self._phase(in_build(3), "restorer", "-build-image", self.images.build, *USER, api=api)
        extended = in_build(4)
        built = self._phase(extended, "extender", "-app", "/workspace", *USER, api=api)
        run = self.images.container.copy(where / "run")
        ran = self._phase(run, "extender", "-app", "/workspace", "-kind", "run", *USER, api=api)
        launcher = ["-launcher", f"/host{launcher_path()}", "-launcher-sbom", f"/host{launcher_path().parent}"]
        self._phase(in_build(5), "exporter", "-app", "/workspace", *launcher, *USER, self.app, api=api)
        return built, ran, extended

    def _phase(self, container, name, *arguments, api, user=0):
        done = container.phase(name, *arguments, api=api, user=user, CNB_EXPERIMENTAL_MODE="warn")
        self.log += f"[{name}]\n{done.output}"
        assert done.code == 0, self.log
        return done.output


@pytest.fixture(scope="module")
def build(images, tmp_path_factory):
    """Build once, and once more with the volumes that are left."""
    app = f"{images.run.rpartition('/')[0]}/app:1"
    build = Build(images, app)
    first = build.run(fresh_root=tmp_path_factory.mktemp("first"))
    analyzed = tomllib.loads((images.container.layers / "analyzed.toml").read_text())
    second = build.run(fresh_root=tmp_path_factory.mktemp("second"))
    return build, first, second, analyzed


@pytest.fixture(scope="module")
def app_root(build, tmp_path_factory):
    """The file system of the app image."""
    root = tmp_path_factory.mktemp("app-root")
    root.chmod(0o755)
    image = RemoteStores({"HOME": str(root)}).registry.find(build[0].app)
    for diff_id in image.config.diff_ids:
        apply_layer(image.layer(diff_id), root)
    return root, image


@pytest.mark.requirement("PLAT-EXD-022", "PLAT-EXD-023", "PLAT-EXD-026", "PLAT-API-007", "EXT-CTX-003", "EXT-APPLY-005")
def test_a_buildpack_sees_what_the_extension_did_to_the_build_image(build):
    _, (built, _, _), _, _ = build
    assert "\nthis ran for the build image\n" in built
    assert "the tool was found\nhello build image\nbuilt by 1000 in /workspace\n" in built


@pytest.mark.requirement("EXT-APPLY-004", "EXT-APPLY-006", "PLAT-EXD-025", "PLAT-EXD-029", "PLAT-EXD-027")
def test_the_app_starts_on_the_run_image_as_the_extension_left_it(build, app_root):
    root, image = app_root
    environment = dict(entry.partition("=")[::2] for entry in image.config.env)
    done = subprocess.run(
        [shutil.which("chroot", path="/usr/sbin:/usr/bin"), "--userspec=1000:1000", root, "/cnb/process/web"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hello, copied, value, *etc, uid = done.stdout.splitlines()
    assert (hello, copied, value, uid) == ("hello run image", "from the context", "a value", "1000")
    assert "passwd" in etc
    assert "obsolete" not in etc
    assert (image.config.run["User"], image.config.labels["io.buildpacks.rebasable"]) == ("1000:1000", "true")
    assert (root / "opt" / "copied").stat().st_uid == 1000
    instructions = [each.created_by for each in image.config.history if "extension" in each.created_by]
    assert [each.partition(" ")[2].partition(" ")[0] for each in instructions] == ["'WORKDIR", "'RUN", "'COPY"]


@pytest.mark.requirement("PLAT-EXD-030", "PLAT-EXD-010", "PLAT-RES-009")
def test_a_second_build_takes_the_layers_from_the_cache(build):
    run, _, (built, ran, extended), _ = build
    assert "\nthis ran" not in built + ran
    assert "Using the cached layer of RUN" in built
    assert "the tool was found\nhello build image\n" in built
    assert (extended.root / "opt" / "greeting").read_text() == "hello build image\n"
    assert "[exporter]" in run.log
    assert "Adding layer" not in run.log.partition("[exporter]")[2].replace("Adding layer 'from extensions", "")
    assert [each.name for each in run.images.container.kaniko.iterdir()] == ["cache"]


@pytest.mark.requirement("PLAT-RES-026", "PLAT-RES-027", "PLAT-RES-031", "PLAT-EXD-024")
def test_the_restorer_keeps_manifest_and_configuration_of_the_base_images(build):
    run, _, _, analyzed = build
    kept = run.images.container.kaniko / "cache" / "base"
    for reference in (analyzed["build-image"]["reference"], analyzed["run-image"]["reference"]):
        digest = reference.rpartition("@")[2]
        image = DirectoryStore(kept / digest).find(f"{kept}@{digest}")
        assert image.config.run["User"] == "1000:1000"
        assert not any(image.has_blob(each) for each in image.manifest.layers)
