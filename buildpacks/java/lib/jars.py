"""What is in a jar."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MANIFEST = "META-INF/MANIFEST.MF"
_PROPERTIES = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_FILE_NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d[^/]*)")
_BUNDLED = ("-jar-with-dependencies.jar",)


@dataclass(frozen=True, slots=True)
class Jar:
    """``artifacts`` are the Maven artifacts whose properties it has, as group, artifact and version."""

    path: Path
    manifest: dict[str, str]
    names: frozenset[str]
    artifacts: tuple[tuple[str, str, str], ...]

    @property
    def main_class(self) -> str:
        """The class that ``java -jar`` starts, empty if there is none."""
        return self.manifest.get("Main-Class", "")

    @property
    def class_path(self) -> list[str]:
        """The files beside it that ``java -jar`` loads too."""
        return self.manifest.get("Class-Path", "").split()

    @property
    def is_layered(self) -> bool:
        """Whether Spring Boot made it, with libraries as jars within."""
        has_classes = any(name.startswith("BOOT-INF/") for name in self.names)
        return has_classes and self.main_class.startswith("org.springframework.boot.loader.")

    @property
    def is_fat(self) -> bool:
        """Whether it says by itself that libraries were put into it."""
        return (
            len(self.artifacts) > 1
            or self.path.name.endswith(_BUNDLED)
            or self.path.with_name(f"original-{self.path.name}").is_file()
            or any(name.startswith(("BOOT-INF/lib/", "WEB-INF/lib/")) for name in self.names)
        )

    def contains(self, other: Jar) -> bool:
        """Say whether all classes of another jar are in this one."""
        classes = {name for name in other.names if name.endswith(".class") and not name.startswith("META-INF/")}
        classes.discard("module-info.class")
        return bool(classes) and classes <= self.names


def read(path: Path) -> Jar:
    """Read a jar; raise ``BuildpackError`` if it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = frozenset(archive.namelist())
            manifest = parse_manifest(archive.read(MANIFEST)) if MANIFEST in names else {}
            properties = [archive.read(name) for name in sorted(names) if _PROPERTIES.fullmatch(name)]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise bp.BuildpackError(f"{path.name} is no jar: {error}", fix="let Maven make it anew") from error
    return Jar(path, manifest, names, tuple(filter(None, map(_artifact, properties))))


def parse_manifest(content: bytes) -> dict[str, str]:
    """Return the main section.  Format: "JAR File Specification", lines that go on begin with a blank."""
    # Lines end by bytes, even within a character.
    unfolded = re.sub(rb"(?:\r\n|\r|\n) ", b"", content)
    found = {}
    for line in re.split(r"\r\n|\r|\n", unfolded.decode(errors="replace")):
        if not line:
            break
        key, _, value = line.partition(": ")
        found[key] = value
    return found


def sbom(paths: Iterable[Path]) -> dict[str, Any]:
    """Return jars, and what was put into them, as CycloneDX."""
    rows = [row for path in paths for row in _components(read(path))]
    return bp.cyclonedx(sorted(rows, key=lambda row: (row["name"], row.get("version", ""), row.get("group", ""))))


def component(group: str, name: str, version: str) -> dict[str, Any]:
    """Return one artifact of Maven as CycloneDX."""
    purl = f"pkg:maven/{quote(group)}/{quote(name)}@{quote(version)}"
    return {"type": "library", "group": group, "name": name, "version": version, "purl": purl}


def _components(jar: Jar) -> list[dict[str, Any]]:
    if len(jar.artifacts) > 1:
        return [component(*each) for each in jar.artifacts]
    with jar.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if jar.artifacts:
        row = component(*jar.artifacts[0])
    else:
        found = _FILE_NAME.fullmatch(jar.path.stem)
        row = {"type": "library", "name": found["name"] if found else jar.path.stem}
        if found:
            row["version"] = found["version"]
    return [{**row, "hashes": [{"alg": "SHA-256", "content": digest}]}]


def _artifact(properties: bytes) -> tuple[str, str, str] | None:
    values = dict(
        (part.strip() for part in line.split("=", 1))
        for line in properties.decode("latin-1").splitlines()
        if "=" in line and not line.startswith("#")
    )
    if not {"groupId", "artifactId", "version"} <= values.keys():
        return None
    return values["groupId"], values["artifactId"], values["version"]
