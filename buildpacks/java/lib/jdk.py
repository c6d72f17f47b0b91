"""Java to build with: that of the build image, or Debian's."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cnb_buildpack as bp
import debian_packages

if TYPE_CHECKING:
    from collections.abc import Mapping

JVM = "usr/lib/jvm"
_VERSION = re.compile(r'^JAVA_VERSION="(?P<version>[^"]+)"', re.MULTILINE)
_FEATURE = re.compile(r"[1-9][0-9]?")
_FIX = "set BP_JVM_VERSION to one that Debian has: apt-cache search openjdk"


@dataclass(frozen=True, slots=True)
class Jdk:
    """A JDK, and what it calls itself."""

    home: Path
    version: str


def wanted(env: Mapping[str, str], default: str) -> str:
    """Return which Java is asked for; raise ``BuildpackError`` for what is no version of Java."""
    version = env.get("BP_JVM_VERSION") or default
    if not _FEATURE.fullmatch(version):
        raise bp.BuildpackError(f"BP_JVM_VERSION is {version!r}", fix="set a number, as 17")
    return version


def runtime(context: bp.BuildContext, version: str) -> None:
    """Leave the layer of the Java that the app runs with."""
    _install(context, "jre", version, bp.LAUNCH)


def development(context: bp.BuildContext, version: str) -> Jdk:
    """Return the JDK of the build image if it is of the right version, else one of Debian's packages."""
    found = in_build_image(context.env, version)
    if found is not None:
        bp.log.info(f"JDK {found.version} of the build image")
        return found
    home = _install(context, "jdk", version, bp.BUILD)
    return Jdk(home, release(home))


def _install(context: bp.BuildContext, name: str, version: str, types: bp.Types) -> Path:
    """Return the Java in a layer of Debian's packages, ``jre`` or ``jdk``."""
    layer = debian_packages.install(context, name, [f"openjdk-{version}-{name}-headless"], types=types, fix=_FIX)
    home = java_home(layer.path, version)
    if not layer.restored:
        link_truststore(layer.path.parent, home)
    layer.env.override("JAVA_HOME", home, scope=types)
    layer.env.prepend("PATH", home / "bin", delim=":", scope=types)
    return home


def link_truststore(layers_dir: Path, home: Path) -> None:
    """Let a Java in a layer trust the certificates in layer ``truststore``, wherever the layers are."""
    cacerts = home / "lib" / "security" / "cacerts"
    # A script of the package, which does not run, would make what it leads to.
    cacerts.unlink(missing_ok=True)
    cacerts.symlink_to(Path(os.path.relpath(layers_dir / "truststore" / "cacerts", cacerts.parent)))


def in_build_image(env: Mapping[str, str], version: str) -> Jdk | None:
    """Return the JDK of JAVA_HOME or PATH, if its feature version is the one asked for."""
    given = env.get("JAVA_HOME")
    javac = shutil.which("javac", path=env.get("PATH", ""))
    for home in (Path(given) if given else None, Path(javac).resolve().parent.parent if javac else None):
        if home is not None and (home / "bin" / "javac").is_file():
            found = release(home)
            if found.partition(".")[0] == version:
                return Jdk(home, found)
    return None


def release(home: Path) -> str:
    """Return the version that the file ``release`` of a JDK tells, empty if it tells none."""
    try:
        found = _VERSION.search((home / "release").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found["version"] if found else ""


def java_home(root: Path, version: str) -> Path:
    """Return the Java in an unpacked package; raise ``BuildpackError`` if there is none."""
    found = sorted((root / JVM).glob(f"java-{version}-openjdk-*/bin/java"))
    if not found:
        raise bp.BuildpackError(f"the packages have no Java {version} in {JVM}", fix=_FIX)
    return found[0].parent.parent
