"""``lifecycle build`` with extensions that extend the run image: no container of it, and no harm to this host."""

import io
import shutil
import tarfile
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.files.ownership import mount_points
from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.launcher import launcher_path
from lifecycle.layers.blob import write_blob
from lifecycle.oci.config import HistoryEntry
from lifecycle.rootfs.changes import ChangesLayer
from lifecycle.rootfs.snapshot import Changes, take_snapshot
from parts.extension_container import Container, new_container

DOCKERFILE = r"""
ARG greeting=none
USER root
WORKDIR /opt
RUN --mount=type=cache,target=cache echo x > cache/x && echo "$greeting" > greeting && rm /etc/obsolete && cat /workspace/app.txt && busybox mknod device c 1 3
COPY --chown=cnb copied .
RUN <<END
#!/bin/sh
id > /opt/script-ran-as; touch /workspace/made-by-extension
END
USER cnb
RUN echo "$HOME $(id -u) $(ls -d /layers /workspace /platform /kaniko /proc/self/fd/0 /dev/null)" > /tmp/seen; (sleep 100 &); exit 0
ENV FROM_EXTENSION="a value"
LABEL io.buildpacks.rebasable=true
"""
BUILD = """#!/bin/sh
echo "built with $(ls)"
cat > "$CNB_LAYERS_DIR/launch.toml" <<EOF
[[processes]]
type = "web"
command = ["/bin/sh"]
default = true
EOF
"""
USER = ("-uid", "1000", "-gid", "1000")


@dataclass
class Builder:
    """A builder whose one extension writes a run.Dockerfile, and a run image in a registry and in a layout."""

    container: Container
    run_image: str
    layout: Path
    work: Path

    def dockerfile(self, text):
        files = {
            "extensions/ext/1/extension.toml": 'api = "0.10"\n[extension]\nid = "ext"\nversion = "1"\n',
            "extensions/ext/1/generate/run.Dockerfile": f"ARG base_image\nFROM ${{base_image}}\n{text}",
            "extensions/ext/1/generate/context.run/copied": "from the context\n",
            "extensions/ext/1/generate/extend-config.toml": '[[run.args]]\nname = "greeting"\nvalue = "hello"\n',
            "buildpacks/bp/1/buildpack.toml": 'api = "0.10"\n[buildpack]\nid = "bp"\nversion = "1"\n[[targets]]\nos = "linux"\n',
            "buildpacks/bp/1/bin/detect": "#!/bin/sh\nexit 0\n",
            "buildpacks/bp/1/bin/build": BUILD,
            "order.toml": '[[order]]\n[[order.group]]\nid = "bp"\nversion = "1"\n'
            '[[order-extensions]]\n[[order-extensions.group]]\nid = "ext"\nversion = "1"\n',
        }
        for path, content in files.items():
            place = self.container.root / "cnb" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
            place.chmod(0o755 if place.parent.name == "bin" else 0o644)

    def arguments(self, *more, run_image=None):
        cnb = self.container.root / "cnb"
        return (
            "build", self.work / "app", "--order", cnb / "order.toml", "--buildpacks", cnb / "buildpacks",
            "--extensions", cnb / "extensions", "--run-image", run_image or self.layout, "--verbose", *more,
        )  # fmt: skip

    def phases(self, name, where):
        """Build as platforms do."""
        exporter = ("-launcher", f"/host{launcher_path()}", "-launcher-sbom", f"/host{launcher_path().parent}")
        phases = {
            "analyzer": ("-run-image", self.run_image, *USER, name),
            "detector": ("-app", "/workspace"),
            "restorer": USER,
            "extender": ("-app", "/workspace", "-kind", "run", *USER),
            "builder": ("-app", "/workspace"),
            "exporter": ("-app", "/workspace", *exporter, *USER, name),
        }
        shutil.copy(self.work / "app" / "app.txt", self.container.app)
        for verb, arguments in phases.items():
            container = self.container.copy(where / verb)
            if verb == "extender":
                shutil.rmtree(container.root / "cnb")
            user = 1000 if verb in {"detector", "builder"} else 0
            done = container.phase(verb, *arguments, user=user, CNB_EXPERIMENTAL_MODE="warn")
            assert done.code == 0, f"{verb}: {done.output}"


@pytest.fixture
def builder(tmp_path, registry):
    root = tmp_path / "container" / "root"
    container = new_container(root)
    (root / "etc" / "obsolete").write_text("to be removed")
    paths = tuple(sorted(take_snapshot(root, ignored=frozenset()).states))
    (tmp_path / "blobs").mkdir()
    blob = write_blob(ChangesLayer(root, Changes(paths)), tmp_path / "blobs")
    base = scratch_image(architecture=host_platform().architecture)
    run = {"User": "1000:1000", "Env": ["PATH=/bin"], "WorkingDir": "/layers"}
    history = (HistoryEntry(created_by="test"),)
    image = NewImage(base, (blob,), replace(base.config, diff_ids=(blob.diff_id,), history=history, run=run))
    name = f"{registry.host}/extended-here/{tmp_path.name.lower()}:1"
    RemoteStores({"HOME": str(tmp_path)}).registry.write(image, [name])
    DirectoryStore(tmp_path / "layout").write(image, ["run"])
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.txt").write_text("an app\n")
    return Builder(container, name, tmp_path / "layout", tmp_path)


def of_extension(image):
    """What an image has of an extension: layers with their history, and the configuration."""
    layers = zip(image.config.diff_ids, image.config.history, strict=True)
    labels = {"io.buildpacks.rebasable": image.config.labels["io.buildpacks.rebasable"]}
    made = [(diff_id, entry.created_by) for diff_id, entry in layers if "extension" in entry.created_by]
    return made, {**image.config.run, "Labels": labels}


@pytest.mark.requirement("EXT-APPLY-004", "PLAT-EXD-022")
def test_the_image_is_the_one_that_restorer_extender_and_exporter_make(builder, lifecycle, tmp_path):
    builder.dockerfile(DOCKERFILE)
    by_phases = builder.run_image.replace(":1", "-phases:1")
    builder.phases(by_phases, tmp_path)
    images = RemoteStores({"HOME": str(tmp_path)}).registry
    expected = of_extension(images.find(by_phases))
    assert len(expected[0]) == 5
    name = builder.run_image.replace(":1", "-host:1")
    for attempt, more in {"first": (), "second": (), "third": ("--clear-cache",)}.items():
        arguments = builder.arguments("--output", "registry", "-t", name, *more, run_image=builder.run_image)
        done = lifecycle(*arguments)
        assert of_extension(images.find(name)) == expected, done.stderr
        assert ("Using the cached layer of RUN" in done.stderr) == (attempt == "second")
        assert ("\nan app\n" in done.stderr) == (attempt != "second")


def test_what_commands_of_a_dockerfile_do_stays_in_the_image(builder, lifecycle, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("of the host")
    builder.dockerfile(
        textwrap.dedent(f"""\
        USER root
        RUN (busybox setsid sh -c 'while :; do sleep 1; done' &); kill -9 -1; busybox mount -t tmpfs none /tmp && exit 1; true
        RUN echo 1 > /proc/sys/vm/drop_caches && exit 1; busybox mknod /disk b 254 0; busybox dd if=/disk count=1 && exit 1; true
        RUN cat /proc/1/environ && exit 1; mkdir -p {tmp_path}/layers && ln -s {tmp_path} /trap && ls {precious} && exit 1; true
        COPY copied /trap/precious
        RUN busybox rm -rf /etc /bin /dev /proc /sys /platform 2> /dev/null || true
        USER 1000:1000
        """)
    )
    done = lifecycle(*builder.arguments("-o", tmp_path / "image", "-t", "app"), check=False)
    assert done.returncode == 0, done.stderr
    assert precious.read_text() == "of the host"
    assert not [point for point in mount_points() if point.startswith(str(tmp_path))]
    assert not list(tmp_path.glob("home/.local/state/cnb-lifecycle/builds/*/*/run-image"))


def test_a_command_that_fails_is_told_with_file_and_line_and_leaves_nothing(builder, lifecycle, tmp_path):
    builder.dockerfile("USER root\nRUN echo from the command; busybox false\n")
    done = lifecycle(*builder.arguments("-o", tmp_path / "image", "-t", "app"), check=False)
    assert (done.returncode, "\nfrom the command\n" in done.stderr) == (102, True), done.stderr
    assert "run.Dockerfile:4: RUN echo from the command; busybox false exited with status 1" in done.stderr
    assert not list(tmp_path.glob("home/.local/state/cnb-lifecycle/builds/*/*"))


WITH_SDK = """#!/usr/bin/env -S python3 -B
import cnb_buildpack as bp


def detect(context: bp.DetectContext) -> bp.Detected:
    return context.pass_(bp.BuildPlan(provides=["tool"]))


def generate(context: bp.GenerateContext) -> None:
    wanted = context.plan.merged("tool")
    (context.context_dir("run") / "tool").write_text(f"tool {wanted['version']}\\n")
    context.run_arg("greeting", (context.app_dir / "app.txt").read_text().strip())
    context.run_dockerfile(
        "ARG base_image\\nFROM ${base_image}\\nARG greeting\\nUSER root\\nCOPY tool /opt/tool\\n"
        'RUN echo "$greeting" > /opt/greeting\\nUSER cnb\\n'
    )


if __name__ == "__main__":
    bp.main(detect=detect, generate=generate)
"""
REQUIRES = """#!/bin/sh
printf '[[requires]]\\nname = "tool"\\n[requires.metadata]\\nversion = "3"\\n' > "$2"
"""


def test_an_extension_written_with_the_sdk_knows_app_and_plan_and_changes_the_image(builder, lifecycle, tmp_path):
    builder.dockerfile("")
    cnb = builder.container.root / "cnb"
    extension = cnb / "extensions" / "ext" / "1"
    shutil.rmtree(extension)
    lifecycle("buildpack", "new", extension, "--id", "ext", "--extension")
    descriptor = extension / "extension.toml"
    descriptor.write_text(descriptor.read_text().replace('version = "0.1.0"', 'version = "1"'))
    (extension / "lib" / "buildpack.py").write_text(WITH_SDK)
    (cnb / "buildpacks" / "bp" / "1" / "bin" / "detect").write_text(REQUIRES)
    lifecycle(*builder.arguments("-o", tmp_path / "image", "-t", "app"))
    image = DirectoryStore(tmp_path / "image").find("app")
    found = {}
    for diff_id in image.config.diff_ids:
        with tarfile.open(fileobj=io.BytesIO(b"".join(image.layer(diff_id)))) as archive:
            found |= {each.name.strip("/"): archive.extractfile(each).read() for each in archive if each.isreg()}
    assert (found["opt/tool"], found["opt/greeting"]) == (b"tool 3\n", b"an app\n")
    assert image.config.run["User"] == "cnb"
