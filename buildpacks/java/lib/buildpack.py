#!/usr/bin/env -S python3 -B
"""Build an executable jar with Maven, and run it with Debian's OpenJDK.

Layers: ``jre`` (launch, cache) is the Java that the app runs with, ``truststore`` (launch, cache) the certificates it
trusts, ``jdk`` (build, cache) the Java that Maven runs with where the build image has none, ``maven``, ``m2`` and
``artifact`` (caches) Maven, what it downloaded and what it made.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

    from jdk import Jdk

POM = "pom.xml"
PROCFILE = "Procfile"
"""What a later buildpack reads stays in the app."""


@dataclass(frozen=True, slots=True)
class ArtifactKey:
    """What decides what Maven makes; ``arguments`` is a digest, for they may be secret."""

    sources: str
    arch: str
    java: str
    maven: str
    arguments: str


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app has a pom.xml."""
    return context.pass_() if (context.app_dir / POM).is_file() else context.fail(f"no {POM}")


def build(context: bp.BuildContext) -> None:
    """Leave Java, the app without its sources, and the process that starts it."""
    import artifact  # noqa: PLC0415  # detection needs none of it
    import jars  # noqa: PLC0415
    import jdk  # noqa: PLC0415

    version = jdk.wanted(context.env, context.descriptor.metadata["default-java"])
    store = install_truststore(context)
    jdk.runtime(context, version)
    made = make(context, jdk.development(context, version), store)
    kept = [PROCFILE, *filter(None, context.env.get(artifact.KEPT, "").split(":"))]
    artifact.replace_app(context.app_dir, made, kept)
    context.launch_sbom(bp.CYCLONEDX, jars.sbom(artifact.archives(made)))
    for paths in artifact.slices(made):
        context.launch.slice(*paths)
    command = artifact.command(made)
    context.launch.process("web", command, default=True)
    bp.log.info(f"web: {' '.join(command)}")


def install_truststore(context: bp.BuildContext) -> Path:
    """Return the certificates that the build image trusts, as Java reads them."""
    import truststore  # noqa: PLC0415  # detection needs none of it

    content = truststore.truststore(truststore.certificates(truststore.bundle(context.env)))
    key = {"certificates": hashlib.sha256(content).hexdigest()}
    layer = context.cached_layer("truststore", types=bp.LAUNCH, key=key, restored=bp.keep_if_same)
    path = layer.path / "cacerts"
    if not layer.restored:
        bp.write_atomic(path, content)
        path.chmod(0o644)
    return path


def make(context: bp.BuildContext, java: Jdk, store: Path) -> Path:
    """Return the directory of what runs; Maven is called only if that could be another than in the last build."""
    import artifact  # noqa: PLC0415  # detection needs none of it
    import maven  # noqa: PLC0415

    remove_made(context.app_dir)
    wanted: dict[str, str] = context.descriptor.metadata["maven"]
    key = ArtifactKey(
        sources=bp.tree_digest(*sorted(context.app_dir.iterdir())),
        arch=context.target.arch,
        java=java.version,
        maven=wanted["version"],
        arguments=hashlib.sha256(
            repr((maven.arguments(context.env), context.env.get(artifact.CHOICE, ""))).encode()
        ).hexdigest(),
    )
    program = context.cached_layer("maven", types=bp.Types(0), key=wanted, restored=bp.keep_if_same)
    repository = context.tool_cache("m2")
    layer = context.cached_layer("artifact", types=bp.Types(0), key=key, restored=bp.keep_if_same)
    made = layer.path / "app"
    if layer.restored:
        if not program.restored:
            program.forget()
        return made
    if not program.restored:
        with bp.log.timed(f"Downloading Maven {wanted['version']}"):
            maven.unpack(wanted["version"], wanted["sha512"], context.env, program.path)
    made.mkdir()
    run_maven(context, program.path, repository, maven.environment(context.env, java.home, store), made)
    return made


def run_maven(context: bp.BuildContext, program: Path, repository: Path, env: dict[str, str], made: Path) -> None:
    """Let Maven make the jar, and put what runs into ``made``."""
    import artifact  # noqa: PLC0415  # detection needs none of it
    import maven  # noqa: PLC0415

    with bp.log.timed("mvn package"):
        maven.run(context, program, repository, env, ["package"])
    jar = artifact.choose(context.app_dir, context.env.get(artifact.CHOICE, ""))
    if artifact.needs_libraries(jar):
        goals = maven.library_goals(context.app_dir, context.descriptor.metadata["dependency-plugin"])
        with bp.log.timed("mvn dependency:copy-dependencies"):
            maven.run(context, program, repository, env, goals)
    artifact.assemble(jar, made)


def remove_made(app_dir: Path) -> None:
    """Remove what Maven left in the app before: it is no source."""
    for pom in sorted(app_dir.rglob(POM)):
        shutil.rmtree(pom.parent / "target", ignore_errors=True)


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
