"""Builders that share a cache: `lifecycle build` as processes, each with a disk of its own, and their buildpacks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

import lifecycle
from parts.forks import Command, forks

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = lifecycle.__path__[0].rpartition("/")[0]

RUNTIME = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p tool/bin tool/__pycache__ downloads
head -c 20000 /dev/urandom > tool/bin/random
date +%s%N > tool/stamp
head -c 300 /dev/urandom > tool/__pycache__/module.pyc
echo same > tool/same
ln -s same tool/link
echo "of this builder" > downloads/own
printf '[types]\nlaunch = true\nbuild = true\n[metadata]\nof = "tool"\nat = 1979-05-27T07:32:00Z\n' > tool.toml
printf '[types]\ncache = true\n' > downloads.toml
printf '{"serial": "%s"}' "$(od -An -N8 -tx8 /dev/urandom)" > tool.sbom.cdx.json
"""
DEPS = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p inner
sha256sum < ../test_runtime/tool/bin/random > inner/upstream
head -c 2000 /dev/urandom > inner/random
printf '[types]\nlaunch = true\n' > inner.toml
printf '[[processes]]\ntype = "web"\ncommand = ["true"]\ndefault = true\n' > launch.toml
"""
DIFFERING = {
    "test/runtime": ["tool.sbom.cdx.json", "tool/__pycache__/module.pyc", "tool/bin/random", "tool/stamp"],
    "test/deps": ["inner/random"],
}
"""What two runs of the buildpacks never make alike, if the second step starts from the same first one."""


def write_buildpack(root: Path, name: str, build: str) -> Path:
    """Write a buildpack of shell scripts."""
    directory = root / name
    (directory / "bin").mkdir(parents=True)
    (directory / "buildpack.toml").write_text(
        f'api = "0.10"\n[buildpack]\nid = "test/{name}"\nversion = "1"\n'
        'sbom-formats = ["application/vnd.cyclonedx+json"]\n[[targets]]\nos = "linux"\n'
    )
    for script, body in (("detect", "exit 0"), ("build", f"set -e\n{build}")):
        path = directory / "bin" / script
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    return directory


@dataclass
class Builders:
    """Builders below `root`, which share `repository` and have one app; their images go to layouts."""

    root: Path
    repository: str = ""
    buildpacks: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("app", "home", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "app" / "main.txt").write_text("main\n")
        self.buildpacks = self.buildpacks or (
            write_buildpack(self.root, "runtime", RUNTIME),
            write_buildpack(self.root, "deps", DEPS),
        )

    def start(self, name: str, *more: str, under: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a build on the builder of that name, `under` a command that watches it."""
        command = [*under, sys.executable, "-m", "lifecycle", *self._arguments(name, more)]
        environment = {**self._environment(name), "PYTHONPATH": SOURCE}
        with self._log(name).open("w") as log:
            return subprocess.Popen(
                command, env=environment, cwd=self.root, stdout=log, stderr=subprocess.STDOUT, text=True
            )

    def build(self, name: str, *more: str) -> Built:
        """Build and return what came of it."""
        command = Command(self._arguments(name, more), self._environment(name), cwd=str(self.root))
        done = forks().run(command, merged=True)
        self._log(name).write_text(done.stdout)
        assert done.returncode == 0, done.stdout
        return self.built(name)

    def _arguments(self, name: str, more: tuple[str, ...]) -> list[str]:
        shared = ("--cache-repo", self.repository) if self.repository else ()
        buildpacks = [part for each in self.buildpacks for part in ("-b", str(each))]
        return [
            "build", str(self.root / "app"), *buildpacks, "-t", "app", "-o", str(self.root / name / "image"),
            "--cache-report", str(self.root / name / "report.json"), *shared, *self.options, *more,
        ]  # fmt: skip

    def _environment(self, name: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),  # what a builder that is killed leaves
            "XDG_STATE_HOME": str(self.root / name / "state"),
            "XDG_CACHE_HOME": str(self.root / name / "cache"),
            **self.environment,
        }

    def _log(self, name: str) -> Path:
        (self.root / name).mkdir(exist_ok=True)
        return self.root / name / "log"

    def log(self, name: str) -> str:
        """All that the builder's last build said."""
        return self._log(name).read_text()

    def built(self, name: str) -> Built:
        """What the builder's last build made."""
        return Built(self.root / name, self.log(name))


@dataclass(frozen=True)
class Built:
    """An image in a layout and its report, read without the lifecycle."""

    directory: Path
    log: str

    @property
    def paths_are_of_image(self) -> bool:
        return "this host forbids mount namespaces" not in self.log

    def blob(self, digest: str) -> bytes:
        data = (self.directory / "image" / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest.removeprefix("sha256:")
        return data

    @property
    def digest(self) -> str:
        index = json.loads((self.directory / "image" / "index.json").read_text())
        return index["manifests"][0]["digest"]

    @property
    def settled(self) -> dict[str, dict]:
        report = json.loads((self.directory / "report.json").read_text())
        return {row["buildpack"]: row for row in report["cache"].get("settled", [])}

    def files(self) -> dict[str, bytes]:
        """Every file of every layer, each of whose digests is checked."""
        manifest = json.loads(self.blob(self.digest))
        found = {}
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=BytesIO(self.blob(layer["digest"]))) as tar:
                found |= {each.name.lstrip("/"): tar.extractfile(each).read() for each in tar if each.isfile()}
        return found


def check_chain(built: Built) -> None:
    """Fail unless the second step's layer was made from the very first step's layer in the same image."""
    files = built.files()
    upstream = hashlib.sha256(files["layers/test_runtime/tool/bin/random"]).hexdigest()
    assert files["layers/test_deps/inner/upstream"].decode().split()[0] == upstream


def check_registry(url: str, repository: str, names: list[str]) -> int:
    """Fetch every record that is decided and hash all that it names; return how many blobs those were."""
    checked = 0
    for name in names:
        if not name.startswith("d."):
            continue
        record = f"r.{name.rpartition('.')[2]}"
        manifest = _fetch(f"{url}/v2/{repository}/manifests/{record}", "application/vnd.oci.image.manifest.v1+json")
        parsed = json.loads(manifest)
        config = json.loads(_blob(url, repository, parsed["config"]))
        for layer in parsed["layers"]:
            _blob(url, repository, layer)
            checked += 1
        diff_ids = {layer["blob"]: layer["diffID"] for layer in config["layers"] if "blob" in layer}
        assert set(diff_ids) <= {layer["digest"] for layer in parsed["layers"]}
    return checked


def _blob(url: str, repository: str, descriptor: dict) -> bytes:
    data = _fetch(f"{url}/v2/{repository}/blobs/{descriptor['digest']}")
    assert len(data) == descriptor["size"]
    assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"]
    return data


def _fetch(url: str, accept: str = "*/*") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as answer:
        return answer.read()
