"""A layer of Debian packages, made anew only when what was asked for changes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnb_buildpack as bp
from debian_packages.archives import Apt, Archive, apt
from debian_packages.base import minimal_status

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS = Path("/var/lib/dpkg/status")
SOURCES = Path("/etc/apt")
_FIX = "check the names with: apt-cache policy NAME"
_SOURCE_FILES = ("sources.list", "sources.list.d/*", "preferences", "preferences.d/*")


@dataclass(frozen=True, slots=True)
class Installed:
    """What a layer of packages was made of; ``archives`` are those that apt chose, if it was asked."""

    packages: list[str]
    system: str
    sources: str
    archives: list[str] | None = None


def install(
    context: bp.BuildContext, layer_name: str, packages: Sequence[str], *, types: bp.Types, fix: str = _FIX
) -> bp.Layer[Installed]:
    """Return the layer with ``packages`` and what they depend on, for later buildpacks or the app.

    It is kept while packages, system and sources of apt are the same; ``BP_APT_UPDATE=true`` looks for new versions.
    Scripts of the packages are not run.  Layer ``<layer_name>-archives`` keeps what was downloaded.  Raises
    ``BuildpackError``, with ``fix`` where apt does not know the packages.
    """
    wanted = Installed(sorted(set(packages)), _system(context), _sources_digest())
    downloads = context.tool_cache(f"{layer_name}-archives")
    with contextlib.ExitStack() as stack:

        def look() -> tuple[Apt, tuple[Archive, ...]]:
            debian = stack.enter_context(apt(downloads, _status()))
            debian.update()
            return debian, debian.resolve(wanted.packages, fix)

        looked = look() if context.env.get("BP_APT_UPDATE") == "true" else None
        key = wanted if looked is None else replace(wanted, archives=list(map(str, looked[1])))
        layer = context.cached_layer(layer_name, types=types, key=key, restored=bp.keep_if_fits)
        if not layer.restored:
            debian, chosen = looked or look()
            for archive, path in debian.download(wanted.packages, chosen).items():
                bp.log.info(f"{archive.name} {archive.version}")
                bp.run(["dpkg-deb", "--extract", path, layer.path])
            relink(layer.path)
            layer.metadata = replace(wanted, archives=list(map(str, chosen)))
            layer.sbom(bp.CYCLONEDX, _sbom(chosen, context))
    _set_paths(layer)
    return layer


def relink(root: Path) -> None:
    """Let links to absolute paths lead to what is at these paths below ``root``, where there is something."""
    for path in sorted(root.rglob("*")):
        if not path.is_symlink() or not path.readlink().is_absolute():
            continue
        target = root / path.readlink().relative_to("/")
        if os.path.lexists(target):
            path.unlink()
            path.symlink_to(os.path.relpath(target, path.parent))


def _set_paths(layer: bp.Layer[Installed]) -> None:
    if layer.in_image_only:
        return
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    usr = layer.path / "usr"
    libraries = [layer.path / "lib" / triplet, usr / "lib" / triplet, layer.path / "lib", usr / "lib"]
    both, build = bp.BUILD | bp.LAUNCH, bp.BUILD
    variables = {
        "PATH": (both, [usr / "bin", usr / "sbin", layer.path / "bin", layer.path / "sbin"]),
        "LD_LIBRARY_PATH": (both, libraries),
        "LIBRARY_PATH": (build, libraries),
        "PKG_CONFIG_PATH": (build, [*(each / "pkgconfig" for each in libraries), usr / "share" / "pkgconfig"]),
        "CPATH": (build, [usr / "include", usr / "include" / triplet]),
    }
    for name, (scope, paths) in variables.items():
        if there := ":".join(str(path) for path in dict.fromkeys(paths) if path.is_dir()):
            layer.env.prepend(name, there, delim=":", scope=scope)


def _status() -> str:
    if not STATUS.is_file():
        raise bp.BuildpackError(
            f"{STATUS} is not there: the build image is not made of Debian packages",
            fix="build with a builder whose build image is Debian or Ubuntu",
        )
    return minimal_status(STATUS.read_text(encoding="utf-8", errors="replace"))


def _system(context: bp.BuildContext) -> str:
    target = context.target
    return " ".join(filter(None, (target.distro_name, target.distro_version, target.arch, target.variant)))


def _sources_digest() -> str:
    digest = hashlib.sha256()
    for pattern in _SOURCE_FILES:
        for path in sorted(SOURCES.glob(pattern)):
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sbom(archives: Sequence[Archive], context: bp.BuildContext) -> dict[str, Any]:
    distro = context.target.distro_name or "debian"
    return bp.cyclonedx(
        {
            "type": "library",
            "name": each.name,
            "version": each.version,
            "purl": f"pkg:deb/{distro}/{each.name}@{each.version.replace(':', '%3A')}?arch={each.architecture}",
            "hashes": [{"alg": "SHA-256", "content": each.sha256}],
        }
        for each in archives
    )
