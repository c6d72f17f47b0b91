"""The npm registry, of which the buildpack wants the programs themselves; packages of the app are npm's work."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT = "https://registry.npmjs.org"
_ABBREVIATED = "application/vnd.npm.install-v1+json"
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a package, with the digest that the registry, or the buildpack itself, gives for it."""

    name: str
    version: str
    integrity: str
    url: str


def address(env: Mapping[str, str]) -> str:
    """Return the registry that npm would use by the environment."""
    return (env.get("npm_config_registry") or env.get("NPM_CONFIG_REGISTRY") or DEFAULT).rstrip("/")


def releases(name: str, registry: str) -> dict[str, Release]:
    """Return the releases of a package by version; raise ``BuildpackError`` if the registry can't tell."""
    request = bp.request(f"{registry}/{name}", {"Accept": _ABBREVIATED})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310  # the registry is as set
            document: dict[str, Any] = json.load(response)
        return {
            version: Release(name, version, each["dist"]["integrity"], _of(registry, each["dist"]["tarball"]))
            for version, each in document["versions"].items()
            if "integrity" in each["dist"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = getattr(error, "reason", None) or error
        raise bp.BuildpackError(
            f"{bp.public(registry)} tells no releases of {name}: {reason}",
            fix="check the network and NPM_CONFIG_REGISTRY",
        ) from error


def _of(registry: str, tarball: str) -> str:
    """Return the address at the registry in use, with its credentials.

    As npm does, mirrors are taken to have what they name npm's own registry for.
    """
    for base in (DEFAULT, bp.public(registry)):
        if tarball.startswith(f"{base}/"):
            return registry + tarball.removeprefix(base)
    return tarball


def unpack(release: Release, directory: Path) -> None:
    """Put the files of a release into a directory; raise ``BuildpackError`` for other bytes than promised."""
    algorithm, _, digest = release.integrity.partition("-")
    if algorithm != "sha512":
        raise bp.BuildpackError(f"{release.name} {release.version} has no SHA-512", fix="use a newer release")
    # Whatever the one directory is called: npm takes its first component away.
    bp.fetch_unpacked(release.url, directory, sha512=base64.b64decode(digest, validate=True).hex(), strip=1)
