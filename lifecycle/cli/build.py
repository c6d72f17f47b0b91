"""``lifecycle build``: all phases in one process, from an app directory to an image on disk.

Spec: platform.md "Build" (operation); extensions/project-descriptor.md.
"""

from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.cache.specification import read_repository
from lifecycle.cache.specification import read_source as read_cache_source
from lifecycle.cache.specification import read_target as read_cache_target
from lifecycle.cli import steps
from lifecycle.cli.build_images import BuildImages, destination, open_image
from lifecycle.cli.build_paths import APP, LAYERS, BuildPaths, enter, files_with_paths, own_names
from lifecycle.cli.buildpack_tree import BuildpackTree, write_order
from lifecycle.cli.cache_inputs import insecure_names, open_sources, registry_of, use_of
from lifecycle.cli.cache_repository import lease_cache, share_build, with_own_layers
from lifecycle.cli.cache_targets import open_targets
from lifecycle.cli.flags import ParsedFlags
from lifecycle.cli.image_locations import IN_FILES, Location, Place, read_destination, read_source
from lifecycle.cli.key_options import options_of
from lifecycle.cli.phase_names import Phase
from lifecycle.cli.phase_stores import cache_images, open_cache
from lifecycle.cli.remote_stores import RemoteStores
from lifecycle.cli.settings import Settings, resolve
from lifecycle.cli.workspace import Workspace, app_key, cache_dir, discard, new_workspace, remember, state_dir
from lifecycle.errors import (
    BuildpackDetectError,
    CacheError,
    GenerateError,
    InvalidFileError,
    InvalidInputError,
    LifecycleError,
    NoGroupDetectedError,
)
from lifecycle.executables.process import run_process
from lifecycle.files.app_source import copy_app
from lifecycle.files.codec import load, save
from lifecycle.launcher import launcher_path
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.project_descriptor import ProjectBuildpacks, ProjectDescriptor
from lifecycle.oci.gojson import Struct
from lifecycle.oci.reference import parse_tag
from lifecycle.phases.restore_run_image import identify_run_image
from lifecycle.rules.detection import GroupErroredError, NoGroupPassedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lifecycle.cli.build_log import BuildLog
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.phases.cache_sources import CacheSources

_UMASK = 0o022
_HOME = "home"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What a person asked for on the command line."""

    app: Path
    tags: tuple[str, ...]
    buildpacks: tuple[str, ...] = ()
    buildpacks_dir: Path | None = None
    extensions_dir: Path | None = None
    order: Path | None = None
    run_image: str = "scratch"
    output: str = ""
    env: Mapping[str, str]
    cache_dir: Path | None = None
    cache_image: str = ""
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    cache_repo: str = ""
    cache_report: Path | None = None
    insecure_registries: tuple[str, ...] = ()
    clear_cache: bool = False
    descriptor: Path | None = None
    process_type: str = ""
    uid: int = 1000
    gid: int = 1000


def build_image(request: BuildRequest, *, environment: Mapping[str, str], log: BuildLog) -> None:
    """Build the image and make the build the last one; raise ``LifecycleError``, leaving what was before as it is."""
    output = read_destination(request.output) if request.output else None
    app = _checked_app(request, output)
    for tag in request.tags:
        parse_tag(tag)
    os.umask(_UMASK)
    state = state_dir(environment)
    project = _project(request)
    specs = tuple(map(read_cache_source, request.cache_from))
    target_specs = tuple(map(read_cache_target, request.cache_to))
    shared = (read_repository(request.cache_repo),) if request.cache_repo else ()
    for spec in shared:
        options_of(spec)
    insecure = (*request.insecure_registries, *insecure_names((*specs, *target_specs, *shared)))
    remote = RemoteStores(environment, insecure=insecure, progress=log.progress)
    images = BuildImages(destination(output, state / "images", remote), run_image=request.run_image, remote=remote)
    cache = request.cache_dir or cache_dir(environment) / "volumes" / app_key(app)
    if request.clear_cache:
        shutil.rmtree(cache, ignore_errors=True)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"can't be made: {error.strerror}", where=cache, remedy="choose a --cache-dir that this user can write"
        ) from error
    workspace = new_workspace(state / "builds" / app_key(app))
    try:
        files = copy_app(app, workspace.app, include=project.include, exclude=project.exclude)
        log.detail(f"copied {files} files of {app}")
        tree = BuildpackTree(workspace.cnb / "buildpacks")
        _fill_tree(tree, request, project, app, remote)
        _write_platform_env(workspace, request, project)
        _write_run(workspace, request)
        paths = enter(workspace, log)
        try:
            given = (request, workspace, cache.absolute(), environment)
            seen = _settings(paths, *given)
            # A link to a directory is no directory: our own work on it needs its own name.
            settings = seen if paths.mounts else _settings(own_names(workspace), *given)
            warn = functools.partial(_warn_of_paths, workspace, paths, log)
            in_registry = output is not None and output.place is Place.REGISTRY
            registry = registry_of(request.tags[0]) if in_registry else ""
            caches = functools.partial(
                open_sources, (*specs, *shared), remote, registry=registry, progress=log.progress
            )
            found = _with_own_home(environment, workspace, paths) if shared else environment
            _run(settings, images, remote, found, log, seen=seen, source=app, warn=warn, open_caches=caches)
        finally:
            paths.release()
        facts = {"mounts": paths.mounts, "platform_api": str(LATEST_PLATFORM_API), "app": str(app)}
        remember(workspace, state, facts)
    except BaseException:
        discard(workspace)
        raise


def _checked_app(request: BuildRequest, output: Location | None) -> Path:
    app = request.app.resolve()
    if not app.is_dir():
        raise InvalidInputError("is not a directory", where=request.app, remedy="name the directory of your app")
    if output is not None and output.place in IN_FILES and output.path.resolve().is_relative_to(app):
        raise InvalidInputError(
            "lies inside the app, which a build never changes",
            where=output.path,
            remedy="choose an --output outside of it",
        )
    return app


def _project(request: BuildRequest) -> ProjectBuildpacks:
    path = request.descriptor or request.app / "project.toml"
    if request.descriptor is not None and not path.is_file():
        raise InvalidFileError("does not exist", where=path, remedy="correct --descriptor")
    found = load(ProjectDescriptor, path, missing_ok=True)
    return ProjectBuildpacks() if found is None else found.buildpacks


def _fill_tree(
    tree: BuildpackTree, request: BuildRequest, project: ProjectBuildpacks, app: Path, remote: RemoteStores
) -> None:
    if request.buildpacks_dir is not None:
        tree.add_all(request.buildpacks_dir)
    if request.extensions_dir is not None:
        tree.add_extensions(request.extensions_dir)
    project_dir = app if request.descriptor is None else request.descriptor.resolve().parent
    write_order(
        tree,
        tree.path.parent / "order.toml",
        given=request.buildpacks,
        order=request.order,
        project=project,
        project_dir=project_dir,
        open_image=lambda text: open_image(text, remote),
    )


def _write_platform_env(workspace: Workspace, request: BuildRequest, project: ProjectBuildpacks) -> None:
    values = {entry.name: entry.value for entry in project.build.env} | dict(request.env)
    for name, value in values.items():
        if "/" in name or "\0" in name + value or name in {"", ".", ".."}:
            raise InvalidInputError(f"{name!r} can't be the name of an environment variable")
        (workspace.platform / "env" / name).write_bytes(os.fsencode(value))


def _write_run(workspace: Workspace, request: BuildRequest) -> None:
    """Let the image tell by which name a rebase finds its run image; a path on this host is none."""
    location = read_source(request.run_image)
    if location.place in {Place.REGISTRY, Place.DAEMON}:
        save(workspace.path / "run.toml", Struct(images=[Struct(image=location.name)]))


def _with_own_home(environment: Mapping[str, str], workspace: Workspace, paths: BuildPaths) -> dict[str, str]:
    """Return the environment with an empty home, called the same on all builders.

    Keys name the home and not what lies in it: what buildpacks would find there is no input that others could see.
    """
    (workspace.platform / _HOME).mkdir()
    return {**environment, "HOME": str(paths.platform / _HOME)}


def _settings(
    paths: BuildPaths, request: BuildRequest, workspace: Workspace, cache: Path, environment: Mapping[str, str]
) -> Settings:
    values = {
        "app": str(paths.app),
        "layers": str(paths.layers),
        "platform": str(paths.platform),
        "buildpacks": str(paths.cnb / "buildpacks"),
        "extensions": str(paths.cnb / "extensions"),
        "order": str(paths.cnb / "order.toml"),
        "cache-dir": str(cache),
        "cache-image": request.cache_image,
        "cache-repo": request.cache_repo,
        "cache-report": "" if request.cache_report is None else str(request.cache_report.absolute()),
        "run-image": request.run_image,
        "run": str(workspace.path / "run.toml"),
        "system": str(workspace.path / "system.toml"),
        "build-config": str(workspace.path / "build-config"),
        "launcher": str(launcher_path()),
        "launcher-sbom": str(launcher_path().parent),
        "process-type": request.process_type,
        "uid": str(request.uid),
        "gid": str(request.gid),
    }
    kept = {name: environment[name] for name in ("SOURCE_DATE_EPOCH", "CNB_EXEC_ENV") if name in environment}
    lists = {"tag": request.tags[1:], "cache-from": request.cache_from, "cache-to": request.cache_to}
    parsed = ParsedFlags({name: (value,) for name, value in values.items()} | lists, (request.tags[0],))
    return resolve(Phase.CREATOR, LATEST_PLATFORM_API, parsed, kept)


def _run(
    settings: Settings,
    images: BuildImages,
    remote: RemoteStores,
    environment: Mapping[str, str],
    log: BuildLog,
    *,
    seen: Settings,
    source: Path,
    warn: Callable[[], None],
    open_caches: Callable[..., CacheSources],
) -> None:
    """Run the phases; those that run buildpacks have the paths of ``seen``, and the app is a copy of ``source``."""
    paths = steps.ImagePaths(LAYERS, APP, normalise_ancestors=True)
    cache = open_cache(settings, remote, progress=log.progress)
    targets = open_targets(settings, remote, progress=log.progress)
    log.heading("Analyzing")
    analyzed = steps.analyze(settings, images=images, cache_images=cache_images(settings, remote), paths=paths)
    previous = analyzed.image.reference if analyzed.image else ""
    log.note(f"previous image {previous}" if previous else "no previous image, every layer will be new")
    log.heading("Detecting")
    found = _detect(seen, analyzed, environment, log)
    log.group(found.group)
    images, found = _follow_extensions(settings, analyzed, found, images, log)
    log.heading("Restoring")
    lease = lease_cache(settings, remote)
    sources = open_caches(
        target=steps.known_target(found.analyzed), exec_env=steps.exec_env(settings), layers_dir=str(LAYERS)
    )
    if sources.opened:
        sources = with_own_layers(sources, cache, found.analyzed)
        inputs = steps.build_inputs(seen, found.analyzed, found.group, found.plan, environment=environment)
        sources = steps.with_step_keys(settings, sources, inputs, found.analyzed, paths)
    account = steps.restore(settings, found.analyzed, found.group, cache=cache, sources=sources, paths=paths)
    use = use_of(settings, found.analyzed, sources, account)
    if use is not None and sources.opened:
        log.restored_from(use.report)
    else:
        log.restored(account)
    taken = use.elsewhere if use else {}
    shared = share_build(settings, remote, found.analyzed, images=images, taken=taken, lease=lease, source_dir=source)
    log.heading("Building")
    metadata = steps.build(
        seen,
        found.analyzed,
        found.group,
        found.plan,
        environment=environment,
        run=run_process,
        output=log.output,
        on_start=log.buildpack,
        paths=paths,
        shared=shared,
    )
    for row in () if shared is None else shared.rows:
        log.note(row.told())
    warn()
    log.heading("Exporting")
    ready = steps.prepare_export(settings, found.analyzed, found.group, metadata, images=images, paths=paths)
    exported = steps.export(
        settings,
        ready,
        images=images,
        cache=cache,
        use=use,
        targets=targets,
        shared=shared,
        observe=log.layer,
        observe_cache=log.cached,
        progress=log.progress,
    )
    if exported.written.failures:
        raise LifecycleError("; ".join(f"{name}: {why}" for name, why in exported.written.failures.items()))
    log.result(exported.written, verdicts=exported.verdicts)


def _detect(
    settings: Settings, analyzed: Analyzed, environment: Mapping[str, str], log: BuildLog
) -> steps.DetectedGroup:
    try:
        return steps.detect(
            settings,
            analyzed,
            environment=environment,
            run=run_process,
            output=log.output,
            allow_extensions=lambda: None,
        )
    except NoGroupPassedError as error:
        log.attempts(error.attempts)
        raise NoGroupDetectedError(
            "no group of buildpacks fits this app",
            remedy="check that APP is the directory of the app's source, or name a buildpack for it with --buildpack",
        ) from error
    except GroupErroredError as error:
        log.attempts(error.attempts)
        raise BuildpackDetectError(
            "no group of buildpacks passed detection, and one at least failed with an error",
            remedy="--verbose shows what its bin/detect printed",
        ) from error


def _follow_extensions(
    settings: Settings, analyzed: Analyzed, found: steps.DetectedGroup, images: BuildImages, log: BuildLog
) -> tuple[BuildImages, steps.DetectedGroup]:
    """Return the images and the analysis with the run image that extensions chose.

    Raises ``GenerateError`` when a Dockerfile would have to be applied: a build on the host has no build image, and
    the run image is a file.
    """
    for dockerfile in found.dockerfiles:
        if dockerfile.applies:
            raise GenerateError(
                f"extension {dockerfile.extension_id} wrote a {dockerfile.kind.file_name} with instructions, "
                f"and applying them needs the extender",
                remedy="build with an order without this extension, or in a platform that runs the extender",
            )
    before, after = analyzed.run_image, found.analyzed.run_image
    if after is None or before is None or after.reference == before.reference:
        return images, found
    log.note(f"extensions switched the run image to {after.reference}")
    images = images.with_run_image(after.reference)
    identified = identify_run_image(found.analyzed, api=settings.api, images=images)
    return images, replace(found, analyzed=identified)


def _warn_of_paths(workspace: Workspace, paths: BuildPaths, log: BuildLog) -> None:
    for path in files_with_paths(workspace, paths):
        log.warning(f"{path} contains the path of this build and will not work in the image")
        return
