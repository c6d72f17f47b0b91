"""A container of a base image, with what the restorer and the detector left for the extender."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import DirectoryStore
from lifecycle.images.layout_writer import manifest_descriptor, write_blobs, write_index
from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.oci.digest import digest_of
from lifecycle.phases.extended_run_image import extended_layout
from parts.extension_container import Container, Finished, new_container

HEAD = "ARG base_image\nFROM ${base_image}\n"
BASE_RUN = {"User": "1000:1000", "Env": ["PATH=/bin", "FROM_BASE=yes"], "WorkingDir": "/home/cnb"}


@dataclass
class Situation:
    """What there is before an extender starts; Dockerfiles are those of extensions `one`, `two`, … in order."""

    container: Container
    api: str = "0.15"

    def base(self, **run) -> str:
        """Keep the base image as the restorer does and return its digest."""
        scratch = scratch_image(architecture=host_platform().architecture)
        config = replace(scratch.config, run={**BASE_RUN, **run}, created="1980-01-01T00:00:01Z")
        path = self.container.kaniko / "cache" / "base"
        manifest = write_blobs(path / "new", NewImage(scratch, (), config))
        digest = digest_of(manifest.dumps())
        write_index(path / "new", [manifest_descriptor(manifest, ref_name="")])
        if not (path / digest).exists():
            (path / "new").rename(path / digest)
        reference = f'reference = "registry.example/base@{digest}"\n'
        (self.container.layers / "analyzed.toml").write_text(
            f"[build-image]\n{reference}[run-image]\n{reference}extend = true\n"
        )
        return digest

    def extensions(self, *dockerfiles: str, kind: str = "run", config: str = "") -> None:
        """Write the Dockerfiles where the detector of this API leaves them, and group.toml."""
        names = list(itertools.islice(("one", "two", "three"), len(dockerfiles)))
        for name, text in zip(names, dockerfiles, strict=True):
            if int(self.api.removeprefix("0.")) >= 13:
                path = self.generated(name) / f"{kind}.Dockerfile"
            else:
                path = self.container.layers / "generated" / kind / name / "Dockerfile"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(HEAD + text)
            (path.parent / "extend-config.toml").write_text(config)
        group = '[[group]]\nid = "bp"\nversion = "1"\napi = "0.10"\n'
        group += "".join(f'[[group-extensions]]\nid = "{name}"\nversion = "1"\napi = "0.10"\n' for name in names)
        (self.container.layers / "group.toml").write_text(group)
        (self.container.layers / "plan.toml").write_text("")

    def generated(self, name: str) -> Path:
        return self.container.layers / "generated" / name

    def run(self, *arguments: str, **variables: str) -> Finished:
        """Extend the run image."""
        return self.container.phase("extender", "-kind", "run", *arguments, api=self.api, **variables)

    def build(self, *arguments: str, **variables: str) -> Finished:
        """Extend the build image and build."""
        ids = ("-uid", "1000", "-gid", "1000")
        return self.container.phase("extender", *ids, *arguments, api=self.api, **variables)

    def extended(self):
        """The extended run image, as the exporter finds it."""
        path = extended_layout(self.container.layers / "extended")
        return None if path is None else DirectoryStore(path).find("")


@pytest.fixture(scope="module")
def image_root(tmp_path_factory):
    """A container of the image, which is copied for each test."""
    return new_container(tmp_path_factory.mktemp("image") / "root")


@pytest.fixture
def situation(image_root, tmp_path):
    container = image_root.copy(tmp_path / "root", fresh=True)
    buildpack = container.root / "cnb" / "buildpacks" / "bp" / "1"
    (buildpack / "bin").mkdir(parents=True)
    (buildpack / "buildpack.toml").write_text('api = "0.10"\n[buildpack]\nid = "bp"\nversion = "1"\n')
    (buildpack / "bin" / "build").write_text('#!/bin/sh\necho "the build runs as $(id -u):$(id -g), PATH is $PATH"\n')
    (buildpack / "bin" / "build").chmod(0o755)
    made = Situation(container)
    made.base()
    return made
