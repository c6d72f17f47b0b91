"""``lifecycle build``: all phases in one process, from an app directory to an image on disk.

Spec: platform.md "Build" (operation); extensions/project-descriptor.md.
"""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.cache.specification import read_repository
from lifecycle.cache.specification import read_source as read_cache_source
from lifecycle.cache.specification import read_target as read_cache_target
from lifecycle.cache.volume import VolumeCache
from lifecycle.cli.caches.key_options import options_of
from lifecycle.cli.caches.sources import open_sources, registry_of
from lifecycle.cli.caches.specs import insecure_names
from lifecycle.cli.commands.build.buildpack_tree import BuildpackTree
from lifecycle.cli.commands.build.extension import forget_steps
from lifecycle.cli.commands.build.filling import copy_app_to, fill_platform, fill_tree, with_own_home, write_run
from lifecycle.cli.commands.build.images import BuildImages, destination
from lifecycle.cli.commands.build.paths import BuildPaths, enter, files_with_paths, own_names
from lifecycle.cli.commands.build.phases import explain_detection, run_phases
from lifecycle.cli.commands.build.saved_steps import SavedSteps, last_steps
from lifecycle.cli.commands.build.stepping import NO_STEPPING, BuildSteps, Stepping
from lifecycle.cli.commands.build.workspace import (
    Workspace,
    app_key,
    cache_dir,
    can_be_made,
    discard,
    keep_failed,
    new_workspace,
    remember,
    state_dir,
)
from lifecycle.cli.inputs.flags import ParsedFlags
from lifecycle.cli.inputs.settings import Settings, resolve
from lifecycle.cli.phase_names import Phase
from lifecycle.cli.stores.locations import IN_FILES, Location, Place, read_destination
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import BuildError, CacheError, InvalidFileError, InvalidInputError
from lifecycle.executables.hidden import hide_from_programs
from lifecycle.files.codec import read_table, read_toml
from lifecycle.launcher import launcher_path
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.lifecycle_metadata import CacheMetadata
from lifecycle.model.project_descriptor import ProjectBuildpacks, ProjectDescriptor, unread_table
from lifecycle.oci.reference import parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lifecycle.cache.specification import CacheSpec
    from lifecycle.cli.logs.build_log import BuildLog

_UMASK = 0o022


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
    explain: bool = False
    bindings: Path | None = None
    stepping: Stepping = NO_STEPPING


def build_image(request: BuildRequest, *, environment: Mapping[str, str], log: BuildLog) -> None:
    """Build the image and make the build the last one; raise ``LifecycleError``, leaving what was before as it is.

    If the request is to ``explain``, say what detection comes to, and leave all as it is.
    """
    build = _checked(request, environment, log)
    state = state_dir(environment)
    builds = state / "builds" / app_key(build.app)
    with _saved_steps(request.stepping.rerun, builds) as saved:
        workspace = new_workspace(builds)
        try:
            build.fill(workspace, saved)
            paths = enter(workspace, log)
            hide_from_programs()
            try:
                build.run(workspace, paths, saved)
            finally:
                paths.release()
            if request.explain:
                discard(workspace)
                return
            facts = {"mounts": paths.mounts, "platform_api": str(LATEST_PLATFORM_API), "app": str(build.app)}
            remember(workspace, state, facts)
        except BuildError:
            keep_failed(workspace, state)
            raise
        except BaseException:
            discard(workspace)
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """A request that was found to make sense, and the places that it leads to."""

    request: BuildRequest
    environment: Mapping[str, str]
    log: BuildLog
    app: Path
    own: tuple[Path, ...]
    project: ProjectBuildpacks
    caches: _Caches
    cache: Path
    remote: RemoteStores
    images: BuildImages
    registry: str

    def fill(self, workspace: Workspace, saved: SavedSteps | None) -> None:
        """Put into the workspace what buildpacks are to find there."""
        request = self.request
        copy_app_to(
            self.app, workspace, self.project, self.own, rerun=request.stepping.rerun, saved=saved, log=self.log
        )
        fill_tree(BuildpackTree(workspace.cnb / "buildpacks"), request, self.project, self.app, self.remote)
        fill_platform(workspace, request, self.project)
        write_run(workspace, request)

    def run(self, workspace: Workspace, paths: BuildPaths, saved: SavedSteps | None) -> None:
        """Run the phases, or those up to detection if the request is to ``explain``."""
        request, environment, log = self.request, self.environment, self.log
        given = (request, workspace, self.cache.absolute(), environment)
        seen = _settings(paths, *given)
        # A link to a directory is no directory: our own work on it needs its own name.
        settings = seen if paths.mounts else _settings(own_names(workspace), *given)
        if request.explain:
            explain_detection(settings, self.images, environment, log, seen=seen)
            return
        run_phases(
            settings,
            self.images,
            self.remote,
            with_own_home(environment, workspace, paths) if request.cache_repo else environment,
            log,
            seen=seen,
            source=self.app,
            work_dir=workspace.run_image,
            steps=BuildSteps(workspace, log, request.stepping, saved),
            warn=functools.partial(_warn_of_paths, workspace, paths, log),
            open_caches=functools.partial(
                open_sources, self.caches.sources, self.remote, registry=self.registry, progress=log.progress
            ),
        )


def _checked(request: BuildRequest, environment: Mapping[str, str], log: BuildLog) -> _Build:
    """Look at all that was asked for before anything is made; raise ``LifecycleError``."""
    output = read_destination(request.output) if request.output else None
    app = _checked_app(request, output)
    for tag in request.tags:
        parse_tag(tag)
    os.umask(_UMASK)
    project = _project(request, log)
    _check_report(request)
    caches = _caches(request)
    own = _own_places(request, caches, environment)
    remote = RemoteStores(environment, insecure=caches.insecure, progress=log.progress)
    store = destination(output, state_dir(environment) / "images", remote)
    in_registry = output is not None and output.place is Place.REGISTRY
    return _Build(
        request=request,
        environment=environment,
        log=log,
        app=app,
        own=own,
        project=project,
        caches=caches,
        remote=remote,
        images=BuildImages(store, run_image=request.run_image, remote=remote),
        cache=_made_cache_dir(request, app, environment),
        registry=registry_of(request.tags[0]) if in_registry else "",
    )


@dataclass(frozen=True, slots=True)
class _Caches:
    """Where layers may come from, all caches that are named, and which of their registries need no TLS."""

    sources: tuple[CacheSpec, ...]
    named: tuple[CacheSpec, ...]
    insecure: tuple[str, ...]


def _caches(request: BuildRequest) -> _Caches:
    """Read what was said of caches; raise ``InvalidInputError``."""
    sources = tuple(map(read_cache_source, request.cache_from))
    targets = tuple(map(read_cache_target, request.cache_to))
    shared = (read_repository(request.cache_repo),) if request.cache_repo else ()
    for spec in shared:
        options_of(spec)
    if request.stepping and shared:
        raise InvalidInputError(
            "what a person steps through is nothing to share", remedy="leave out --cache-repo, or the other option"
        )
    named = (*sources, *targets, *shared)
    return _Caches((*sources, *shared), named, (*request.insecure_registries, *insecure_names(named)))


def own_places(request: BuildRequest, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where builds keep what they need again: files and directories that are no part of an app around them.

    CI systems keep between jobs what lies in the directory of the project, and nothing else.
    Raises ``InvalidInputError`` for a cache in the app's directory itself.
    """
    return _own_places(request, _caches(request), environment)


def _own_places(request: BuildRequest, caches: _Caches, environment: Mapping[str, str]) -> tuple[Path, ...]:
    named = [path for spec in caches.named for path in spec.paths()]
    given = [path for path in (request.cache_dir, request.cache_report, *named) if path is not None]
    for path in given:
        if path.resolve() == request.app.resolve():
            raise InvalidInputError("is the app itself", where=path, remedy="give a cache a directory of its own")
    return (state_dir(environment), cache_dir(environment), *given)


@contextlib.contextmanager
def _saved_steps(rerun: str, builds: Path) -> Iterator[SavedSteps | None]:
    """Yield the last build's steps if a build goes on from ``rerun``; raise ``InvalidInputError`` unless it can."""
    if not rerun:
        yield None
        return
    with last_steps(builds) as last:
        if last is None:
            raise InvalidInputError(
                "there is no earlier build of this app, which --rerun could go on from",
                remedy="build once without --rerun",
            )
        last.index(rerun)
        yield last


def _made_cache_dir(request: BuildRequest, app: Path, environment: Mapping[str, str]) -> Path:
    cache = request.cache_dir or cache_dir(environment) / "volumes" / app_key(app)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"can't be made: {error.strerror}", where=cache, remedy="choose a --cache-dir that this user can write"
        ) from error
    if request.clear_cache and not request.explain:
        # Whatever else is in a directory that somebody named stays.
        VolumeCache(cache).begin().commit(CacheMetadata())
        forget_steps(cache)
    return cache


def _checked_app(request: BuildRequest, output: Location | None) -> Path:
    if not request.app.is_dir():
        raise InvalidInputError("is not a directory", where=request.app, remedy="name the directory of your app")
    app = request.app.resolve()
    if output is not None and output.place in IN_FILES and output.path.resolve().is_relative_to(app):
        raise InvalidInputError(
            "lies inside the app, which a build never changes",
            where=output.path,
            remedy="choose an --output outside of it",
        )
    return app


def _check_report(request: BuildRequest) -> None:
    """Raise ``InvalidInputError`` for a report that could not be written: it is the last thing a build does."""
    report = request.cache_report
    if report is not None and (os.path.isdir(report) or not can_be_made(report.absolute().parent)):  # noqa: PTH112  # tells no access as False
        raise InvalidInputError("can't be written", where=report, remedy="correct --cache-report")


def _project(request: BuildRequest, log: BuildLog) -> ProjectBuildpacks:
    path = request.descriptor or request.app / "project.toml"
    if request.descriptor is not None and not path.is_file():
        raise InvalidFileError("does not exist", where=path, remedy="correct --descriptor")
    table = read_toml(path, missing_ok=True, regular=True)
    if table is None:
        return ProjectBuildpacks()
    found = read_table(ProjectDescriptor, table, path, hints=True)
    problem = unread_table(table)
    if problem is not None:
        log.warning(f"{path}: {problem}")
    return found.buildpacks


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


def _warn_of_paths(workspace: Workspace, paths: BuildPaths, log: BuildLog) -> None:
    for path in files_with_paths(workspace, paths):
        log.warning(f"{path} contains the path of this build and will not work in the image")
        return
