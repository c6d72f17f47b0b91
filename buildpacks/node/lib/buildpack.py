#!/usr/bin/env -S python3 -B
"""Install Node.js, and what package-lock.json lists.

Layers: ``node`` (launch, build, cache) is Node.js, ``npm`` (build, cache) is npm, ``modules`` (launch, cache) the
packages that run, ``build-modules`` (cache) all packages for an app with a build script, ``npm-cache`` (cache) what npm
downloaded.  Where ``npm ci`` needs the app's own files, ``modules`` is made in each build and is no cache.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app import App
    from registry import Release

PACKAGE = "package.json"
_ARCHITECTURES = {"amd64": "x64", "arm64": "arm64"}
_SCRIPT_SHELL = ("sh", "-c")


@dataclass(frozen=True, slots=True)
class NodeKey:
    """What a layer of Node.js was made for, and which release it is if that is known."""

    wanted: str
    arch: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ModulesKey:
    """What decides which packages npm installs, and how they are built."""

    lock: str
    node: str
    npm: str
    arch: str
    packages: str


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app has a package.json."""
    if not (context.app_dir / PACKAGE).is_file():
        return context.fail(f"no {PACKAGE}")
    return context.pass_(bp.BuildPlan(provides=["node"], requires=["node"]))


def build(context: bp.BuildContext) -> None:
    """Leave the layers, and the process that starts the app."""
    import app  # noqa: PLC0415  # detection needs none of it

    found = app.read(context.app_dir)
    found.check()
    node = install_node(context, found)
    npm = install_npm(context, node)
    npm_env = npm_environment(context, node, npm)
    key = ModulesKey(
        found.digest, str(node.metadata.version), npm.metadata["version"], context.target.arch, "production"
    )
    modules = (
        build_in_app(context, found, npm_env) if found.needs_its_files else build_beside(context, found, key, npm_env)
    )
    link_modules(context.app_dir, modules.path)
    modules.sbom(bp.CYCLONEDX, found.sbom(modules.path))
    modules.env.default("NODE_ENV", "production", scope=bp.LAUNCH)
    modules.env.prepend("PATH", modules.path / "node_modules" / ".bin", delim=":", scope=bp.LAUNCH)
    add_process(context, found)


def install_node(context: bp.BuildContext, found: App) -> bp.Layer[NodeKey]:
    """Return the layer of Node.js, of the release of the last build if that was made for the same range."""
    wanted, source = found.node_range(context.env, context.descriptor.metadata["default-node"])
    arch = _ARCHITECTURES.get(context.target.arch)
    if arch is None:
        raise bp.BuildpackError(f"there is no Node.js for {context.target.arch}", fix="build for amd64 or arm64")
    bp.log.info(f"Node.js {wanted}, as {source} says")
    key = NodeKey(wanted, arch)
    release: Release | None = None
    if context.env.get("BP_NODE_UPDATE") == "true":
        key, release = choose_node(key, context.env)
    layer = context.cached_layer("node", key=key, restored=bp.keep_if_fits)
    if not layer.restored:
        from registry import unpack  # noqa: PLC0415  # seldom needed

        if release is None:
            layer.metadata, release = choose_node(key, context.env)
        bp.log.info(f"Installing Node.js {release.version}")
        unpack(release, layer.path)
        # Headers and manuals are 60 MB of which an app needs nothing.
        for name in ("include", "share"):
            shutil.rmtree(layer.path / name, ignore_errors=True)
    layer.sbom(bp.CYCLONEDX, bp.cyclonedx([component(str(layer.metadata.version))]))
    return layer


def component(version: str) -> dict[str, str]:
    """Return Node.js as CycloneDX, with the names by which scanners know it."""
    return {
        "type": "application",
        "name": "node",
        "version": version,
        "cpe": f"cpe:2.3:a:nodejs:node.js:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/node@{version}",
    }


def choose_node(key: NodeKey, env: Mapping[str, str]) -> tuple[NodeKey, Release]:
    """Return the newest release in the range, and the key that names it; ``BuildpackError`` if there is none."""
    from registry import address, releases  # noqa: PLC0415  # seldom needed
    from version_ranges import RangeError, best  # noqa: PLC0415

    offered = releases(f"node-linux-{key.arch}", address(env))
    try:
        version = best(key.wanted, offered)
    except RangeError as error:
        raise bp.BuildpackError(f"Node.js {key.wanted}: {error}", fix="write a range as in 22.x or >=20 <23") from None
    if version is None:
        raise bp.BuildpackError(f"no Node.js fits {key.wanted}", fix="ask for another range")
    return replace(key, version=version), offered[version]


def install_npm(context: bp.BuildContext, node: bp.Layer[NodeKey]) -> bp.Layer[dict[str, str]]:
    """Return the layer of the npm that the buildpack names."""
    wanted: dict[str, str] = context.descriptor.metadata["npm"]
    layer = context.cached_layer("npm", types=bp.BUILD, key=wanted, restored=bp.keep_if_same)
    if not layer.restored:
        from registry import Release, address, unpack  # noqa: PLC0415  # seldom needed

        url = f"{address(context.env)}/npm/-/npm-{wanted['version']}.tgz"
        unpack(Release("npm", wanted["version"], wanted["integrity"], url), layer.path)
        program = layer.path / "bin" / "npm"
        bp.write_atomic(
            program, f'#!/bin/sh\nexec "{node.path}/bin/node" "{layer.path}/bin/npm-cli.js" "$@"\n'.encode()
        )
        program.chmod(0o755)
    return layer


def npm_environment(context: bp.BuildContext, *programs: bp.Layer[Any]) -> dict[str, str]:
    """Return the environment for npm, with the settings of a service binding as those of the system."""
    binding = context.platform.binding("npmrc")
    settings = {} if binding is None else {"npm_config_globalconfig": str(binding.file(".npmrc"))}
    return {
        **_trusting_the_system(context.env_with(*programs)),
        **settings,
        "npm_config_cache": str(context.tool_cache("npm-cache")),
        "npm_config_update_notifier": "false",
        "npm_config_fund": "false",
        "npm_config_logs_max": "0",
        "npm_config_audit": "false",
    }


def build_beside(context: bp.BuildContext, found: App, key: ModulesKey, env: dict[str, str]) -> bp.Layer[ModulesKey]:
    """Return the layer of the packages that run, installed without the app, and with it only if they changed."""
    if "build" in found.scripts:
        all_modules = context.cached_layer(
            "build-modules", types=bp.Types(0), key=replace(key, packages="all"), restored=bp.keep_if_same
        )
        if not all_modules.restored:
            install_modules(context.app_dir, all_modules.path, env, "--include=dev")
        link_modules(context.app_dir, all_modules.path)
        run_build_script(context.app_dir, found, env)
    modules = context.cached_layer("modules", types=bp.LAUNCH, key=key, restored=bp.keep_if_same)
    if not modules.restored:
        install_modules(context.app_dir, modules.path, env, "--omit=dev")
    return modules


def build_in_app(context: bp.BuildContext, found: App, env: dict[str, str]) -> bp.Layer[Any]:
    """Return the layer of the packages that run, installed in each build where scripts see the whole app.

    What those scripts read and write is theirs to know, so nothing says that an earlier installation still fits.
    """
    modules = context.uncached_layer("modules", types=bp.LAUNCH)
    made = context.app_dir / "node_modules"
    remove_own_modules(made)
    run_npm(["ci", "--include=dev", "--prefer-offline"], context.app_dir, env)
    if "build" in found.scripts:
        run_build_script(context.app_dir, found, env)
    run_npm(["prune", "--omit=dev", "--ignore-scripts", "--prefer-offline"], context.app_dir, env)
    made.mkdir(exist_ok=True)
    shutil.move(made, modules.path / "node_modules")
    lead_to_app(modules.path / "node_modules", made)
    bp.normalise_modes(modules.path)
    return modules


def lead_to_app(moved: Path, original: Path) -> None:
    """Let relative links that led out of ``original``, to packages of the app itself, do so from where it is moved."""
    for link in sorted(path for path in moved.rglob("*") if path.is_symlink()):
        target = os.path.normpath(original / link.relative_to(moved).parent / link.readlink())
        if not Path(target).is_relative_to(original):
            link.unlink()
            link.symlink_to(target)


def run_build_script(app_dir: Path, found: App, env: dict[str, str]) -> None:
    """Run the build script with all packages at hand."""
    with bp.log.timed(f"npm run build: {found.scripts['build']}"):
        bp.run(["npm", "run", "build"], cwd=app_dir, env=env, fix="make it pass with: npm ci && npm run build")


def run_npm(arguments: list[str], directory: Path, env: dict[str, str]) -> None:
    """Let npm work in a directory."""
    bp.run(["npm", *arguments], cwd=directory, env=env, name=f"npm {arguments[0]}", fix="make it pass with: npm ci")


def install_modules(app_dir: Path, directory: Path, env: dict[str, str], which: str) -> None:
    """Let npm install into a directory what the lock says."""
    from app import LOCKS, SETTINGS  # noqa: PLC0415  # detection needs none of it

    for name in (PACKAGE, *LOCKS, SETTINGS):
        if (app_dir / name).is_file():
            shutil.copy(app_dir / name, directory / name)
    run_npm(["ci", which], directory, env)
    for name in (PACKAGE, *LOCKS, SETTINGS):
        (directory / name).unlink(missing_ok=True)
    (directory / "node_modules").mkdir(exist_ok=True)
    bp.normalise_modes(directory)


def link_modules(app_dir: Path, directory: Path) -> None:
    """Make the packages those of the app."""
    link = app_dir / "node_modules"
    remove_own_modules(link)
    link.symlink_to(directory / "node_modules")


def remove_own_modules(path: Path) -> None:
    """Remove packages that the app brings, or a link of an earlier step."""
    if path.is_dir() and not path.is_symlink():
        bp.log.warning("the app brings a node_modules of its own, which is not used")
    bp.remove(path)


def add_process(context: bp.BuildContext, found: App) -> None:
    """Add what ``npm start`` would run, without npm between it and its signals."""
    before, start, after = (found.scripts.get(name, "") for name in ("prestart", "start", "poststart"))
    if not start and not (context.app_dir / "server.js").is_file():
        bp.log.warning(f"no process: {PACKAGE} has no start script, and there is no server.js")
    elif start or before or after:
        context.launch.process("web", [*_SCRIPT_SHELL, _line(before, start or "node server.js", after)], default=True)
    else:
        context.launch.process("web", ["node", "server.js"], default=True)


def _line(before: str, start: str, after: str) -> str:
    """Return the scripts as one line, in which the last one takes the place of the shell if it can."""
    scripts = [each for each in (before, start, after) if each]
    # npm gives each of them a shell of its own.
    lines = [each if _is_simple(each) or scripts == [each] else f"({each}\n)" for each in scripts]
    return " && ".join([*lines[:-1], f"exec {lines[-1]}" if _is_simple(scripts[-1]) else lines[-1]])


def _trusting_the_system(env: dict[str, str]) -> dict[str, str]:
    """Let Node.js, which brings certificates of its own, trust those of the build image as other programs do."""
    import system_certificates  # noqa: PLC0415  # detection needs none of it

    path = system_certificates.bundle(env)
    return env if path is None else {"NODE_EXTRA_CA_CERTS": str(path), **env}


def _is_simple(script: str) -> bool:
    first = script.split(maxsplit=1)[0]
    return "=" not in first and not set(script) & set("&|;()<>`\n")


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
