"""Debian's skopeo as an independent writer and reader of images, and small images to write."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
import zstandard

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
AMD64 = "linux/amd64"
LAYERS: tuple[Mapping[str, bytes], ...] = ({"etc/base": b"base\n"}, {"etc/second": b"second\n"})


class Server(Protocol):
    """What skopeo has to know of a registry; RegistryServer and FaultProxy are such."""

    @property
    def host(self) -> str: ...
    @property
    def ca_file(self) -> Path | None: ...
    @property
    def client_cert(self) -> tuple[Path, Path] | None: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...


@dataclass(frozen=True)
class PushedImage:
    """What lies in the registry after a push: `data` is the manifest, or the index, byte for byte."""

    reference: str
    """With the tag."""
    digest: str
    data: bytes

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.data))

    @property
    def media_type(self) -> str:
        return str(self.manifest["mediaType"])

    @property
    def by_digest(self) -> str:
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def skopeo(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run skopeo without the user's files; skips the test where it isn't installed.

    With `check` a failure is a RuntimeError with what skopeo wrote.
    """
    found = shutil.which("skopeo")
    if found is None:
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "XDG_RUNTIME_DIR": home,
            "XDG_DATA_HOME": home,
            # otherwise root's skopeo shares what it knows of blobs with everybody on the machine
            "_CONTAINERS_ROOTLESS_UID": str(os.getuid() or 1),
        }
        done = subprocess.run(
            [found, "--insecure-policy", *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    if check and done.returncode:
        raise RuntimeError(f"skopeo {' '.join(map(str, arguments))}: {done.stderr}")
    return done


def push_image(
    server: Server,
    repository: str,
    tag: str = "latest",
    *,
    layers: Sequence[Mapping[str, bytes]] = LAYERS,
    platforms: Sequence[str] = (AMD64,),
    as_index: bool | None = None,
    form: Literal["oci", "v2s2"] = "oci",
    compression: Literal["gzip", "zstd"] = "gzip",
    config: Mapping[str, object] | None = None,
) -> PushedImage:
    """Let skopeo push a synthetic image and return what the registry holds then.

    layers: one mapping of path to contents for each, lowest first. platforms: "os/arch[/variant]", each of which gets a
    layer of its own with its name in etc/platform; more than one, or `as_index`, make an index.
    config: the `config` object of the image's configuration. zstd is for OCI images only.
    """
    index = len(platforms) > 1 if as_index is None else as_index
    target = f"{server.host}/{repository}:{tag}"
    with tempfile.TemporaryDirectory() as name, access(server, "--dest-") as flags:
        layout = write_layout(Path(name), layers, platforms, as_index=index, config=config or {})
        skopeo(
            *("copy", *flags, "--format", form, "--dest-compress-format", compression),
            *(["--all"] if index else []),
            *(f"oci:{layout}:image", f"docker://{target}"),
        )
    data = raw_manifest(server, f"{repository}:{tag}")
    return PushedImage(target, f"sha256:{hashlib.sha256(data).hexdigest()}", data)


def raw_manifest(server: Server, name: str) -> bytes:
    """The bytes of the manifest or index "<repository>:<tag>" or "<repository>@<digest>", as skopeo reads them."""
    with access(server, "--") as flags:
        return skopeo("inspect", "--raw", *flags, f"docker://{server.host}/{name}").stdout.encode()


def pull_files(server: Server, name: str) -> list[dict[str, bytes]]:
    """Let skopeo pull an image; path -> contents of the regular files of each layer, lowest first."""
    with tempfile.TemporaryDirectory() as directory, access(server, "--src-") as flags:
        skopeo("copy", *flags, f"docker://{server.host}/{name}", f"dir:{directory}")
        manifest = json.loads((Path(directory) / "manifest.json").read_bytes())
        return [_files(Path(directory) / layer["digest"].partition(":")[2]) for layer in manifest["layers"]]


@contextmanager
def access(server: Server, prefix: str) -> Iterator[list[str]]:
    """skopeo's flags for a server: "--src-" and "--dest-" are the prefixes of copy, "--" that of other commands."""
    with tempfile.TemporaryDirectory() as directory:
        flags = [f"{prefix}creds={server.username}:{server.password}"] if server.username else [f"{prefix}no-creds"]
        if server.ca_file is None:
            flags.append(f"{prefix}tls-verify=false")
        else:
            shutil.copyfile(server.ca_file, Path(directory) / "ca.crt")
            for path, name in zip(server.client_cert or (), ("client.cert", "client.key"), strict=False):
                shutil.copyfile(path, Path(directory) / name)
            flags.append(f"{prefix}cert-dir={directory}")
        yield flags


def write_layout(
    directory: Path,
    layers: Sequence[Mapping[str, bytes]] = LAYERS,
    platforms: Sequence[str] = (AMD64,),
    *,
    as_index: bool = False,
    config: Mapping[str, object] | None = None,
) -> Path:
    """Write an OCI layout with the image "image" and uncompressed layers; see `push_image`."""
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="utf-8")
    manifests = [
        _write_image(directory, [*layers, {"etc/platform": each.encode()}], each, config or {}) for each in platforms
    ]
    if as_index:
        top = _write_json(directory, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    else:
        (top,) = manifests
    named = {**top, "annotations": {"org.opencontainers.image.ref.name": "image"}}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]}
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return directory


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of these files, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, contents in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(contents)
            archive.addfile(entry, io.BytesIO(contents))
    return buffer.getvalue()


def _write_image(
    directory: Path, layers: Sequence[Mapping[str, bytes]], platform: str, config: Mapping[str, object]
) -> dict[str, object]:
    system, architecture, *variant = platform.split("/")
    described = {"architecture": architecture, "os": system, **({"variant": variant[0]} if variant else {})}
    stored = [_write_blob(directory, OCI_LAYER, tar_of(files)) for files in layers]
    configuration = {
        "created": "1980-01-01T00:00:01Z",
        **described,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in stored]},
        "history": [{"created": "1980-01-01T00:00:01Z", "created_by": f"layer {n}"} for n, _ in enumerate(stored)],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _write_json(directory, OCI_CONFIG, configuration),
        "layers": stored,
    }
    return {**_write_json(directory, OCI_MANIFEST, manifest), "platform": described}


def _write_json(directory: Path, media_type: str, value: object) -> dict[str, object]:
    return _write_blob(directory, media_type, json.dumps(value).encode())


def _write_blob(directory: Path, media_type: str, data: bytes) -> dict[str, object]:
    hexadecimal = hashlib.sha256(data).hexdigest()
    path = directory / "blobs/sha256" / hexadecimal
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{hexadecimal}", "size": len(data)}


def _files(layer: Path) -> dict[str, bytes]:
    data = layer.read_bytes()
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    elif data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {entry.name: file.read() for entry in archive if entry.isfile() and (file := archive.extractfile(entry))}
