"""What an app says of itself: package.json and its lock."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cnb_buildpack as bp

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "package.json"
SETTINGS = ".npmrc"
LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
_VERSION_FILES = (".node-version", ".nvmrc")
_INSTALL_SCRIPTS = ("preinstall", "install", "postinstall", "prepare")
_LINES = ("dependencies", "devDependencies", "optionalDependencies", "overrides", "workspaces", "engines")


@dataclass(frozen=True, slots=True)
class App:
    """``package`` is package.json, ``lock`` the lock file, ``lock_name`` its name, ``settings`` the text of .npmrc."""

    package: dict[str, Any]
    lock: dict[str, Any]
    lock_name: str
    version_file: str
    settings: str = ""

    @property
    def scripts(self) -> dict[str, str]:
        """The scripts of package.json."""
        scripts = self.package.get("scripts")
        return scripts if isinstance(scripts, dict) else {}

    def node_range(self, env: dict[str, str], default: str) -> tuple[str, str]:
        """Return which Node.js is wanted, and who says so."""
        engines = self.package.get("engines")
        wanted = engines.get("node") if isinstance(engines, dict) else None
        for text, source in (
            (env.get("BP_NODE_VERSION"), "BP_NODE_VERSION"),
            (self.version_file, " or ".join(_VERSION_FILES)),
            (wanted, f"engines in {PACKAGE}"),
        ):
            if text and not text.startswith("lts"):
                return text, source
        return default, "the buildpack"

    @property
    def digest(self) -> str:
        """The digest of all that decides what npm installs."""
        decisive = {key: self.package[key] for key in _LINES if key in self.package}
        decisive["scripts"] = {key: self.scripts[key] for key in _INSTALL_SCRIPTS if key in self.scripts}
        text = json.dumps([decisive, self.lock, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self) -> None:
        """Raise ``BuildpackError`` for an app whose packages can't be in a layer."""
        linked = sorted(name for name, each in self._packages().items() if each.get("link"))
        if linked:
            raise bp.BuildpackError(
                f"{self.lock_name} has packages of the app's own directory: {', '.join(linked)}",
                fix="publish or pack them, for node_modules is in a layer of its own",
            )
        if not self._packages() and self.package.get("dependencies"):
            raise bp.BuildpackError(
                f"{self.lock_name} has no packages: it is of npm 6 or older", fix="run: npm install --package-lock-only"
            )

    def sbom(self, directory: Path) -> dict[str, Any]:
        """Return what npm installed in a directory of all that the lock lists, as CycloneDX."""
        rows = []
        for path, each in sorted(self._packages().items()):
            # The lock has packages of development and of other platforms too.
            if "version" not in each or not (directory / path).is_dir():
                continue
            name = each.get("name") or path.rpartition("node_modules/")[2]
            rows.append(
                {
                    "type": "library",
                    "name": name,
                    "version": each["version"],
                    "purl": f"pkg:npm/{quote(name)}@{quote(each['version'])}",
                }
            )
        return bp.cyclonedx(rows)

    def _packages(self) -> dict[str, dict[str, Any]]:
        packages = self.lock.get("packages")
        found = packages if isinstance(packages, dict) else {}
        return {path: each for path, each in found.items() if path and isinstance(each, dict)}


def read(app_dir: Path) -> App:
    """Read the app; raise ``BuildpackError`` for a file that is missing or no JSON."""
    lock_name = next((name for name in LOCKS if (app_dir / name).is_file()), None)
    if lock_name is None:
        raise bp.BuildpackError(
            f"there is no {LOCKS[1]}, so no two builds would be the same", fix="run: npm install --package-lock-only"
        )
    versions = (app_dir / name for name in _VERSION_FILES)
    version_file = next((path.read_text(encoding="utf-8").strip() for path in versions if path.is_file()), "")
    settings = app_dir / SETTINGS
    return App(
        _json(app_dir / PACKAGE),
        _json(app_dir / lock_name),
        lock_name,
        version_file,
        settings.read_text(encoding="utf-8", errors="replace") if settings.is_file() else "",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise bp.BuildpackError(f"{path.name} is no JSON: {error}", fix="correct it") from error
    if not isinstance(value, dict):
        raise bp.BuildpackError(f"{path.name} is no JSON object", fix="correct it")
    return value
