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
_LTS = (
    *("argon", "boron", "carbon", "dubnium", "erbium", "fermium"),
    *("gallium", "hydrogen", "iron", "jod", "krypton"),
)
"""Names of the lines with long-term support: that of Node.js 4 and of every second one after it."""
_NEWEST = ("node", "stable", "latest", "current")
_INSTALL_SCRIPTS = (
    *("preinstall", "install", "postinstall"),
    *("prepublish", "preprepare", "prepare", "postprepare"),
)
"""What ``npm ci`` runs of package.json.  Source: npm documentation, "Scripts", "npm ci"."""
_LINES = ("dependencies", "devDependencies", "optionalDependencies", "overrides", "workspaces", "engines")


@dataclass(frozen=True, slots=True)
class App:
    """``package`` is package.json, ``lock`` the lock file, ``lock_name`` its name, ``settings`` the text of .npmrc.

    ``versions`` are the texts of the files that may say which Node.js is wanted, by their names.
    """

    package: dict[str, Any]
    lock: dict[str, Any]
    lock_name: str
    versions: dict[str, str]
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
            *((text, name) for name, text in self.versions.items()),
            (wanted, f"engines in {PACKAGE}"),
        ):
            if found := _range(text or ""):
                return found, source
        return default, "the buildpack"

    @property
    def needs_its_files(self) -> bool:
        """Whether what npm installs may depend on more of the app than package.json, the lock and .npmrc."""
        return any(name in self.scripts for name in _INSTALL_SCRIPTS) or any(
            _local_place(each) is not None for each in self._packages().values()
        )

    @property
    def digest(self) -> str:
        """The digest of all that decides what npm installs."""
        decisive = {key: self.package[key] for key in _LINES if key in self.package}
        text = json.dumps([decisive, self.lock, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self) -> None:
        """Raise ``BuildpackError`` for an app whose packages can't be had."""
        outside = sorted(name for name, each in self._packages().items() if _is_outside(each))
        if outside:
            raise bp.BuildpackError(
                f"{self.lock_name} has packages from outside of the app's directory: {', '.join(outside)}",
                fix="publish them or move them into it, for nothing else is there when the app is built",
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
    return App(
        _json(app_dir / PACKAGE),
        _json(app_dir / lock_name),
        lock_name,
        {name: _text(app_dir / name) for name in _VERSION_FILES},
        _text(app_dir / SETTINGS),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else ""


def _range(text: str) -> str:
    """Return the range that a wish means, empty for none or for the newest line with long-term support.

    Source: nvm, README ".nvmrc": one line with a version or alias, and comments.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    wish = next(filter(None, lines), "")
    if wish in _NEWEST:
        return "*"
    if wish in {"lts", "lts/*"}:
        return ""
    name = wish.removeprefix("lts/").lower()
    return f"{4 + 2 * _LTS.index(name)}.x" if name != wish and name in _LTS else wish


def _local_place(package: dict[str, Any]) -> str | None:
    """Return the path of a package that is a file or directory, ``None`` for one of a registry."""
    resolved = str(package.get("resolved", ""))
    return resolved.removeprefix("file:") if package.get("link") or resolved.startswith("file:") else None


def _is_outside(package: dict[str, Any]) -> bool:
    place = _local_place(package)
    return place is not None and (place.startswith("/") or place.split("/")[0] == "..")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise bp.BuildpackError(f"{path.name} is no JSON: {error}", fix="correct it") from error
    if not isinstance(value, dict):
        raise bp.BuildpackError(f"{path.name} is no JSON object", fix="correct it")
    return value
