"""What runs of all that Maven made: an app directory without sources."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import jars

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterable

CHOICE = "BP_MAVEN_BUILT_ARTIFACT"
KEPT = "BP_INCLUDE_FILES"
"""The variable that names the jar to run."""

APP_JAR = "app.jar"
LIB = "lib"
DEPENDENCIES = "dependency"
"""Where, beside the jar, maven-dependency-plugin puts what a jar needs to run."""

_SIDE_PRODUCTS = ("-sources.jar", "-javadoc.jar", "-tests.jar", "-test-sources.jar")
_SNAPSHOT = re.compile(r"-(SNAPSHOT|\d{8}\.\d{6}-\d+)\.jar\Z")
_LOADER = "org/springframework/boot/loader"


def choose(app_dir: Path, pattern: str) -> jars.Jar:
    """Return the one jar that can be run, of those that match ``pattern`` if there is one.

    Raises ``BuildpackError`` that names the candidates.
    """
    if pattern:
        found = sorted(path for path in _below(app_dir, pattern, CHOICE) if path.is_file())
    else:
        found = sorted(
            path
            for suffix in ("jar", "war")
            for path in app_dir.rglob(f"target/*.{suffix}")
            if not path.name.endswith(_SIDE_PRODUCTS) and not path.name.startswith("original-")
        )
    read = [jars.read(path) for path in found]
    runnable = [jar for jar in read if jar.main_class]
    if len(runnable) == 1:
        return runnable[0]
    asked = f" that matches {CHOICE}={pattern}" if pattern else ""
    if len(runnable) > 1:
        raise bp.BuildpackError(
            f"there is more than one jar{asked} to run: {_listed(app_dir, runnable)}", fix=f"choose one with {CHOICE}"
        )
    if read:
        raise bp.BuildpackError(
            f"no jar{asked} has a Main-Class: {_listed(app_dir, read)}",
            fix="set mainClass in the manifest of maven-jar-plugin, or let spring-boot-maven-plugin repackage it",
        )
    raise bp.BuildpackError(
        f"Maven made no jar{asked}",
        fix=f"correct {CHOICE}" if pattern else f"give the pom the packaging jar, or set {CHOICE}",
    )


def needs_libraries(jar: jars.Jar) -> bool:
    """Say whether only Maven knows what a jar needs to run."""
    if jar.is_layered or jar.is_fat:
        return False
    return not (jar.class_path and all(path.exists() for path in _beside(jar)))


def assemble(jar: jars.Jar, target: Path) -> None:
    """Put into an empty directory what runs."""
    if jar.is_layered:
        bp.unpack(jar.path, target)
    else:
        shutil.copyfile(jar.path, target / APP_JAR)
        if needs_libraries(jar):
            _copy_libraries(jar, target / LIB)
        else:
            for name, path in zip(jar.class_path, _beside(jar), strict=True):
                _copy_beside(name, path, target)
    bp.normalise_modes(target)


def command(root: Path) -> list[str]:
    """Return what starts the app in a directory that ``assemble`` made."""
    if not (root / APP_JAR).is_file():
        main_class = jars.parse_manifest((root / jars.MANIFEST).read_bytes())["Main-Class"]
        return ["java", "-cp", ".", main_class]
    jar = jars.read(root / APP_JAR)
    if (root / LIB).is_dir() and needs_libraries(jar):
        return ["java", "-cp", f"{APP_JAR}:{LIB}/*", jar.main_class]
    return ["java", "-jar", APP_JAR]


def slices(root: Path) -> list[list[str]]:
    """Return the paths of released libraries, of snapshots, and of Spring Boot's loader; the app is the rest."""
    libraries = [path for path in archives(root) if path.name != APP_JAR]
    snapshots = [path for path in libraries if _SNAPSHOT.search(path.name)]
    released = [path for path in libraries if path not in snapshots]
    loader = [root / _LOADER] if (root / _LOADER).is_dir() else []
    return [[_literal(path.relative_to(root)) for path in each] for each in (released, snapshots, loader) if each]


def archives(root: Path) -> list[Path]:
    """Return all jars of a directory, sorted."""
    return sorted(path for path in root.rglob("*.jar") if path.is_file())


def _below(app_dir: Path, pattern: str, variable: str) -> Iterable[Path]:
    if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
        raise bp.BuildpackError(f"{variable} has {pattern}", fix="name a path below the app, as target/app.jar")
    return app_dir.glob(pattern)


def replace_app(app_dir: Path, made: Path, kept: Iterable[str]) -> None:
    """Let an app directory hold what runs, and of its sources what matches the globs in ``kept``.

    Raises ``BuildpackError`` for a glob that leads out of it.
    """
    keep = {path for pattern in kept for path in _below(app_dir, pattern, KEPT)}
    for path in sorted(app_dir.rglob("*"), reverse=True):
        if path in keep or any(parent in keep for parent in path.parents):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        else:
            path.unlink()
    shutil.copytree(made, app_dir, symlinks=True, dirs_exist_ok=True)


def _copy_libraries(jar: jars.Jar, target: Path) -> None:
    for path in sorted((jar.path.parent / DEPENDENCIES).glob("*.jar")):
        # A plugin that we do not know may have put the library into the jar already.
        if not jar.contains(jars.read(path)):
            target.mkdir(exist_ok=True)
            shutil.copyfile(path, target / path.name)


def _copy_beside(name: str, path: Path, target: Path) -> None:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise bp.BuildpackError(
            f"Class-Path of {APP_JAR} has {name}", fix="set classpathPrefix of maven-jar-plugin to lib/"
        )
    destination = target / relative
    destination.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, destination, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, destination)


def _beside(jar: jars.Jar) -> list[Path]:
    return [jar.path.parent / name for name in jar.class_path]


def _listed(app_dir: Path, found: Iterable[jars.Jar]) -> str:
    return ", ".join(str(jar.path.relative_to(app_dir)) for jar in found)


def _literal(path: Path) -> str:
    return re.sub(r"([*?\[\\])", r"\\\1", path.as_posix())
