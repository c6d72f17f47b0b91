"""Images of a real builder in dockerd: Debian, our distribution and buildpacks of shell scripts, laid out as pack does."""

import contextlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from parts.debian import LABELS, PATH, debian_root
from parts.distribution import Distribution, distribution
from parts.dockerd import Daemon
from parts.made_once import made_once
from parts.skopeo import skopeo

FIXTURES = Path(__file__).parents[1] / "fixtures"
GROUP = ("hello-world", "hello-moon", "a-script", "kept-layers", "hello-processes", "sbom")
"""Directories of the buildpacks in the builder, which pass together for an app with app.sh."""
STACK = "test.stacks.bookworm"
REPOSITORY = "test-builder"


@dataclass(frozen=True)
class BuilderImages:
    """Names of images in one dockerd, whose build user is `user`."""

    builder: str
    lifecycle: str
    """The lifecycle image with a directory for the app, as pack prepares it for untrusted builders."""
    run: str
    patched_run: str
    """The run image with another file, to rebase on."""
    user: tuple[int, int] = (1000, 1000)


def builder_images(factory: pytest.TempPathFactory, daemon: Daemon) -> BuilderImages:
    """Return the builder, with images beside it, that all workers of a test run share; skip where it can't be made."""
    images = BuilderImages(
        builder=f"{REPOSITORY}/builder:1",
        lifecycle=f"{REPOSITORY}/lifecycle:1",
        run=f"{REPOSITORY}/run:1",
        patched_run=f"{REPOSITORY}/patched-run:1",
    )

    def make(directory: Path) -> None:
        # Both take a minute, of which much is waiting for the network.
        with _meanwhile(lambda: distribution(factory)):
            root = debian_root(factory)
        _import_base(daemon, directory / "run", root, images.run)
        _build(daemon, directory / "patched", images.patched_run, images.run, {"etc/patched": "yes\n"})
        _make_builder(daemon, directory / "builder", images, distribution(factory))
        _load_lifecycle(daemon, directory / "lifecycle", images, distribution(factory))

    made_once(factory, "builder-images", make)
    return images


@contextlib.contextmanager
def _meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Let `act` run beside the block; what it skips or raises is seen by whoever calls it again."""

    def run() -> None:
        with contextlib.suppress(BaseException):
            act()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _import_base(daemon: Daemon, directory: Path, root: Path, name: str) -> None:
    """Make the base of builder and run image: Debian, a user, and the labels that platforms look for."""
    plain = f"{REPOSITORY}/debian:1"
    with tempfile.NamedTemporaryFile(suffix=".tar", dir=root.parent) as archive:
        subprocess.run(["tar", "--create", "--file", archive.name, "--directory", root, "."], check=True)
        daemon.docker("import", archive.name, plain)
    users = {"passwd": "cnb:x:1000:1000::/home/cnb:/bin/sh\n", "group": "cnb:x:1000:\n"}
    files = {f"etc/{file}": (root / "etc" / file).read_text() + line for file, line in users.items()}
    labels = (*LABELS, f"io.buildpacks.stack.id={STACK}")
    settings = [f"ENV {PATH}", "USER 1000:1000", *(f"LABEL {label}" for label in labels)]
    _build(daemon, directory, name, plain, files, settings=settings, owned={"home/cnb": (1000, 1000)})


def _make_builder(daemon: Daemon, directory: Path, images: BuilderImages, distributed: Distribution) -> None:
    """Lay out the builder as `pack builder create` does; facts: spec/clients.md."""
    root = directory / "root"
    lifecycle = root / "cnb" / "lifecycle"
    lifecycle.mkdir(parents=True)
    with distributed.opened() as opened:
        descriptor = tomllib.loads(_text(opened, "lifecycle.toml"))
        for member in opened:
            parent, _, name = member.name.partition("/")
            if parent and name and "/" not in name:
                member.name = name
                opened.extract(member, lifecycle)
    modules = [_add_buildpack(root, FIXTURES / "buildpacks" / each) for each in GROUP]
    group = "".join(f'[[order.group]]\nid = "{each["id"]}"\nversion = "{each["version"]}"\n' for each in modules)
    files = {
        "cnb/order.toml": f"[[order]]\n{group}",
        "cnb/run.toml": f'[[images]]\nimage = "{images.run}"\n',
        "cnb/stack.toml": f'[run-image]\nimage = "{images.run}"\n',
        "platform/env/FROM_THE_BUILDER": "yes",
    }
    metadata = {
        "description": "",
        "buildpacks": modules,
        "extensions": None,
        "stack": {"runImage": {"image": images.run, "mirrors": None}},
        "lifecycle": {
            "version": descriptor["lifecycle"]["version"],
            "api": descriptor["api"],
            "apis": descriptor["apis"],
        },
        "createdBy": {"name": "Pack CLI", "version": "0.40.5"},
        "images": [{"image": images.run, "mirrors": None}],
    }
    order = [{"group": [{"id": each["id"], "version": each["version"]} for each in modules]}]
    uid, gid = images.user
    settings = [
        f"ENV CNB_USER_ID={uid} CNB_GROUP_ID={gid} CNB_STACK_ID={STACK}",
        f"LABEL io.buildpacks.builder.metadata={json.dumps(json.dumps(metadata))}",
        f"LABEL io.buildpacks.buildpack.order={json.dumps(json.dumps(order))}",
        "WORKDIR /layers",
    ]
    owned = {"workspace": images.user, "layers": images.user}
    _build(daemon, directory, images.builder, images.run, files, settings=settings, owned=owned)


def _load_lifecycle(daemon: Daemon, directory: Path, images: BuilderImages, distributed: Distribution) -> None:
    version = distributed.image.name.removeprefix("lifecycle-v").partition("+")[0]
    plain = f"{REPOSITORY}/plain-lifecycle:1"
    host = daemon.environment["DOCKER_HOST"]
    skopeo("copy", "--dest-daemon-host", host, f"oci-archive:{distributed.image}:{version}", f"docker-daemon:{plain}")
    _build(daemon, directory, images.lifecycle, plain, {}, owned={"workspace": images.user})


def _add_buildpack(root: Path, source: Path) -> dict[str, str]:
    described = tomllib.loads((source / "buildpack.toml").read_text())["buildpack"]
    target = root / "cnb" / "buildpacks" / described["id"].replace("/", "_") / described["version"]
    shutil.copytree(source, target)
    return {"id": described["id"], "version": described["version"]}


def _build(
    daemon: Daemon,
    directory: Path,
    name: str,
    base: str,
    files: Mapping[str, str],
    *,
    settings: Sequence[str] = (),
    owned: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Build an image from `base`, the files below `directory`/root, those given, and directories of other owners."""
    (directory / "root").mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (directory / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / "root" / path).write_text(text)
    lines = [f"FROM {base}"]
    if any((directory / "root").iterdir()):
        lines.append("COPY root/ /")
    for path, (uid, gid) in (owned or {}).items():
        (directory / "owned" / path).mkdir(parents=True)
        lines.append(f"COPY --chown={uid}:{gid} owned/{path} /{path}/")
    (directory / "Dockerfile").write_text("\n".join([*lines, *settings]) + "\n")
    daemon.docker("build", "--network=none", "--quiet", "--tag", name, str(directory))


def _text(archive: tarfile.TarFile, name: str) -> str:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read().decode()
