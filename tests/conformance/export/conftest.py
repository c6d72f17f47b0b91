"""An app as the build phase leaves it, ready to be exported."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lifecycle.files.codec import dumps, save
from lifecycle.model.analyzed import Analyzed, RunImageChoice
from lifecycle.model.api import PLATFORM_APIS, PlatformApi, PlatformFeature
from lifecycle.model.build_metadata import BuildMetadata, LauncherSource, Process
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.lifecycle_metadata import LifecycleMetadata
from lifecycle.model.run import Run, RunImage, Stack
from lifecycle.oci.config import HistoryEntry
from lifecycle.oci.gojson import Struct
from lifecycle.phases.export import Exported, ExportInputs, export
from lifecycle.testing.images import MemoryImage, MemoryImages

if TYPE_CHECKING:
    from pathlib import Path

JAVA = GroupElement(id="samples/java", version="0.0.1", api="0.10", homepage="https://java.example")
MAVEN = GroupElement(id="samples/maven", version="2.0", api="0.9")
RUN_NAME = "registry.example/run:1"
APP_NAME = "registry.example/app:latest"


def tar_of(**files: bytes) -> bytes:
    """Return a tar, of any form, with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class Situation:
    """Directories, images and metadata of one build; tests change them before they export."""

    root: Path
    api: PlatformApi
    images: MemoryImages = field(default_factory=MemoryImages)
    analyzed: LifecycleMetadata = field(default_factory=LifecycleMetadata)
    previous: MemoryImage | None = None
    build: BuildMetadata = field(
        default_factory=lambda: BuildMetadata(
            buildpacks=(JAVA, MAVEN),
            processes=(Process(type="web", command=("java", "-jar"), args=("a&b.jar",), buildpack_id=JAVA.id),),
            default_process_type="web",
        )
    )

    def __post_init__(self) -> None:
        for directory in ("layers/config", "app", "lifecycle", "work"):
            (self.root / directory).mkdir(parents=True)
        (self.root / "app" / "main.txt").write_text("hello")
        self.launcher.write_bytes(b"hello")
        self.base = self.images.put(
            RUN_NAME,
            layers=[tar_of(bottom=b"1"), tar_of(top=b"2")],
            history=(
                HistoryEntry("2020-01-01T00:00:00Z", "bottom"),
                HistoryEntry("2020-01-02T00:00:00Z", "top"),
            ),
            run={
                "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
                "Labels": {"io.buildpacks.stack.id": "s"},
                "User": "1000:1000",
                "Cmd": ["bash"],
            },
        )

    @property
    def layers_dir(self) -> Path:
        return self.root / "layers"

    @property
    def app_dir(self) -> Path:
        return self.root / "app"

    @property
    def lifecycle_dir(self) -> Path:
        return self.root / "lifecycle"

    @property
    def launcher(self) -> Path:
        return self.root / "lifecycle" / "launcher"

    def layer(self, name: str, *types: str, buildpack: GroupElement = JAVA, metadata=None, contents="x") -> Path:
        """Write a layer with the given types; ``contents`` of ``None`` leaves metadata only."""
        directory = self.layers_dir / buildpack.id.replace("/", "_")
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.toml").write_text(dumps(Struct(types=Struct.fromkeys(types, True), metadata=metadata)))
        if contents is not None:
            (directory / name).mkdir(exist_ok=True)
            (directory / name / "data").write_text(contents)
        return directory / name

    def file(self, path: str, text: str = "{}") -> Path:
        """Write a file below the layers directory."""
        file = self.layers_dir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def inputs(self, **changes) -> ExportInputs:
        """Return the inputs of the export."""
        arguments = {
            "api": self.api,
            "names": (APP_NAME,),
            "layers_dir": self.layers_dir,
            "app_dir": self.app_dir,
            "group": Group(group=(JAVA, MAVEN)),
            "build_metadata": self.build,
            "analyzed": Analyzed(
                metadata=self.analyzed,
                run_image=RunImageChoice(reference=self.base.reference, image=RUN_NAME),
            ),
            "run": Run(images=(RunImage(image=RUN_NAME, mirrors=("mirror.example/run:1",)),)),
            "stack": Stack(run_image=RunImage(image=RUN_NAME, mirrors=("stack.example/run:1",))),
            "launcher": LauncherSource(version="1.2.3", repository="example/lifecycle", commit="abc"),
            "launcher_path": self.launcher,
            "launcher_sbom_dir": self.lifecycle_dir,
            "lifecycle_dir": self.lifecycle_dir,
            "uid": 1234,
            "gid": 1000,
            **changes,
        }
        return ExportInputs(**arguments)

    def export(self, *, observe=lambda _: None, images=None, extended=None, **changes) -> Exported:
        """Export, as the image of which the next export may reuse layers."""
        inputs = self.inputs(**changes)
        save(self.layers_dir / "config" / "metadata.toml", inputs.build_metadata.struct(self.api))
        exported = export(
            inputs,
            images=images or self.images,
            extended=extended,
            base=self.base,
            previous=self.previous,
            work_dir=self.root / "work",
            observe=observe,
        )
        self.analyzed = exported.metadata
        self.previous = (images or self.images).find(exported.written.names[0])
        return exported

    @property
    def has_sbom(self) -> bool:
        """Say whether this Platform API exports SBOM files."""
        return PlatformFeature.SBOM in self.api


@pytest.fixture(autouse=True)
def umask():
    """Give the files of every test the modes that builders give them."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(params=[PlatformApi(version) for version in PLATFORM_APIS], ids=str)
def situation(request, tmp_path) -> Situation:
    """A build in every Platform API."""
    return Situation(tmp_path, request.param)


@pytest.fixture
def newest(tmp_path) -> Situation:
    """A build in the newest Platform API."""
    return Situation(tmp_path, PlatformApi(PLATFORM_APIS[-1]))


@pytest.fixture
def situation_of(tmp_path):
    """Make a build in a certain Platform API."""
    return lambda api: Situation(tmp_path, PlatformApi.parse(api))


@pytest.fixture
def situation_in():
    """Make a build in a certain directory and Platform API."""
    return lambda root, api: Situation(root, PlatformApi.parse(api))


@pytest.fixture(name="tar_of")
def tar_of_fixture():
    """Make tars in the tests too."""
    return tar_of
