"""Run images as data, put where a lifecycle finds them, and app images read from where it left them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
RUN_LABELS = {
    "io.buildpacks.stack.id": "parity",
    "io.buildpacks.base.distro.name": "debian",
    "io.buildpacks.base.distro.version": "12",
}


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(*names: str) -> bytes:
    """Return a tar with some files, as other programs write it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return buffer.getvalue()


def base_config(**config: Any) -> dict[str, Any]:
    """Return the object ``config`` of an ordinary run image, with changes."""
    ordinary = {
        "Cmd": ["bash"],
        "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
        "Labels": RUN_LABELS,
        "User": "1000:1000",
    }
    return {key: value for key, value in {**ordinary, **config}.items() if value is not None}


@dataclass(frozen=True)
class RunImage:
    """A run image: fields of its configuration and the files of each layer."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=base_config)
    layers: Sequence[Sequence[str]] = (("etc-os",), ("usr-bin",))
    docker: bool = False
    before: Sequence["RunImage"] = ()
    behind: Sequence["RunImage"] = ()
    """Images of other platforms that an index has around this one."""

    def _index(self) -> tuple[bytes, dict[str, bytes]]:
        """Return the index with this image and those around it, and by digest all blobs of these."""
        descriptors, blobs = [], {}
        for each in (*self.before, self, *self.behind):
            manifest, stored = each.blobs()
            platform = {"architecture": "amd64", "os": "linux", **each.fields}
            descriptors.append({**_descriptor(json.loads(manifest)["mediaType"], manifest), "platform": platform})
            blobs |= stored
        return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}).encode(), blobs

    def blobs(self) -> tuple[bytes, dict[str, bytes]]:
        """Return the manifest, and by digest all blobs."""
        tars = [tar(*names) for names in self.layers]
        stored = [gzip.compress(each, mtime=0) for each in tars]
        raw = {
            "architecture": "amd64",
            "os": "linux",
            **self.fields,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in tars]},
        }
        config = json.dumps({key: value for key, value in raw.items() if value is not None}).encode()
        layer_type = DOCKER_LAYER if self.docker else OCI_LAYER
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": DOCKER_MANIFEST if self.docker else OCI_MANIFEST,
                "config": _descriptor(DOCKER_CONFIG if self.docker else OCI_CONFIG, config),
                "layers": [_descriptor(layer_type, each) for each in stored],
            }
        ).encode()
        return manifest, {digest(each): each for each in (*stored, config, manifest)}

    def put_layout(self, directory: Path) -> None:
        """Write an OCI layout."""
        manifest, blobs = self.blobs()
        (directory / "blobs" / "sha256").mkdir(parents=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        if self.before or self.behind:
            index, blobs = self._index()
        else:
            kind = json.loads(manifest)["mediaType"]
            index = json.dumps({"schemaVersion": 2, "manifests": [_descriptor(kind, manifest)]}).encode()
        (directory / "index.json").write_bytes(index)
        for name, data in blobs.items():
            (directory / "blobs" / name.replace(":", "/")).write_bytes(data)

    def put_extended(self, directory: Path, base: "RunImage") -> None:
        """Write an OCI layout in ``directory``, named by its digest, that lacks the layers of ``base``."""
        manifest, _ = self.blobs()
        layout = directory / digest(manifest)
        self.put_layout(layout)
        for each in json.loads(base.blobs()[0])["layers"]:
            (layout / "blobs" / each["digest"].replace(":", "/")).unlink()

    def put_registry(self, directory: Path, repository: str) -> None:
        """Write the image as ``latest`` into the storage of docker-registry."""
        manifest, blobs = self.blobs()
        if self.before or self.behind:
            for each in (*self.before, self, *self.behind):
                replace(each, before=(), behind=()).put_registry(directory, repository)
            manifest, _ = self._index()
            blobs = {digest(manifest): manifest}
        root = directory / "storage" / "docker" / "registry" / "v2"
        links = root / "repositories" / repository
        for name, data in blobs.items():
            _write(_blob_path(root, name), data)
            _write(links / "_layers" / name.replace(":", "/") / "link", name.encode())
        name = digest(manifest)
        where = name.replace(":", "/")
        _write(links / "_manifests" / "revisions" / where / "link", name.encode())
        _write(links / "_manifests" / "tags" / "latest" / "current" / "link", name.encode())
        _write(links / "_manifests" / "tags" / "latest" / "index" / where / "link", name.encode())


@dataclass(frozen=True)
class AppImage:
    """An image as it was written."""

    manifest: bytes
    config: bytes

    @property
    def image_id(self) -> str:
        return digest(self.config)

    @property
    def diff_ids(self) -> list[str]:
        return json.loads(self.config)["rootfs"]["diff_ids"]

    @property
    def label(self) -> dict[str, Any]:
        """What the image tells the next build."""
        return json.loads(json.loads(self.config)["config"]["Labels"]["io.buildpacks.lifecycle.metadata"])

    def readable(self) -> dict[str, Any]:
        """Return the configuration with the JSON inside labels opened, to be compared by people."""
        config = json.loads(self.config)
        labels = config["config"].get("Labels") or {}
        config["config"]["Labels"] = {key: _opened(value) for key, value in labels.items()}
        return config


def app_in_layout(directory: Path) -> AppImage | None:
    """Read the image of a layout, ``None`` if there is none."""
    try:
        index = json.loads((directory / "index.json").read_bytes())
    except FileNotFoundError:
        return None
    blobs = directory / "blobs"
    manifest = (blobs / index["manifests"][0]["digest"].replace(":", "/")).read_bytes()
    return AppImage(manifest, (blobs / json.loads(manifest)["config"]["digest"].replace(":", "/")).read_bytes())


def app_in_registry(directory: Path, repository: str) -> AppImage | None:
    """Read ``latest`` of a repository from the storage of docker-registry."""
    root = directory / "storage" / "docker" / "registry" / "v2"
    link = root / "repositories" / repository / "_manifests" / "tags" / "latest" / "current" / "link"
    if not link.exists():
        return None
    manifest = _blob_path(root, link.read_text()).read_bytes()
    return AppImage(manifest, _blob_path(root, json.loads(manifest)["config"]["digest"]).read_bytes())


def _opened(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


def _blob_path(root: Path, name: str) -> Path:
    algorithm, hexadecimal = name.split(":")
    return root / "blobs" / algorithm / hexadecimal[:2] / hexadecimal / "data"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Return where two JSON values differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        found = [text for key in keys for text in differences(one.get(key), other.get(key), f"{at}.{key}")]
        if not found and list(one) != list(other):
            return [f"{at}: keys {list(one)} are not {list(other)}"]
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [text for index, (left, right) in pairs for text in differences(left, right, f"{at}[{index}]")]
    return [] if one == other and type(one) is type(other) else [f"{at}: {one!r} is not {other!r}"]
