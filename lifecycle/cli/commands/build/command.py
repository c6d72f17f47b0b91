"""The command ``lifecycle build``: its options, and the request that they make."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle.cli.commands.common_options import Insecure, reported_errors
from lifecycle.cli.inputs.flags import insecure_registries
from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Collection

_BUILDERS_DIR = Path("/cnb/buildpacks")
_BUILDERS_EXTENSIONS = Path("/cnb/extensions")
_BUILDERS_ORDER = Path("/cnb/order.toml")
_LARGEST_ID = 2**32 - 2
"""Of a user or group on Linux; the number above it stands for none."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(build)


def build(  # noqa: PLR0917  # one parameter for each option
    source: Annotated[
        Path, typer.Argument(metavar="APP", help="The app's directory.  [.]", show_default=False)
    ] = Path(),
    buildpack: Annotated[
        list[str] | None,
        typer.Option(
            "--buildpack",
            "-b",
            metavar="PLACE",
            help="A buildpack: its directory, FILE.cnb or docker://NAME; repeatable, in order.",
        ),
    ] = None,
    buildpacks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A builder's buildpacks, <id>/<version> each.  [/cnb/buildpacks if there]"),
    ] = None,
    extensions: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A builder's image extensions, likewise.  [/cnb/extensions if there]"),
    ] = None,
    order: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A builder's order.toml.  [/cnb/order.toml if there]")
    ] = None,
    run_image: Annotated[
        str,
        typer.Option(
            metavar="IMAGE", help="Image below the app: a name in a registry, docker-daemon:NAME, a layout, an archive."
        ),
    ] = "scratch",
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", "-t", metavar="NAME", help="Name of the image; repeatable.  [the directory's name]"),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PLACE",
            help="Where the image goes: registry, daemon, a layout directory, FILE.tar, docker-archive:FILE.  "
            "[among this user's images]",
        ),
    ] = "",
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", "-e", metavar="NAME=VALUE", help="Variable for buildpacks; NAME alone takes yours; repeatable."
        ),
    ] = None,
    env_file: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="File of NAME=VALUE lines; repeatable.")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where layers are cached.  [one for each app]")
    ] = None,
    cache_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Image in a registry where layers are cached instead.")
    ] = "",
    cache_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CACHE",
            help="Where layers may come from too: an app or cache image, a layout, a cache directory; repeatable, "
            "the best first.",
        ),
    ] = None,
    cache_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CACHE",
            help="Write a cache that others can build from: type=registry,ref=IMAGE or type=local,dest=DIR, with "
            "mode=max also what is for builds alone; type=inline; repeatable.",
        ),
    ] = None,
    cache_repo: Annotated[
        str,
        typer.Option(
            metavar="REPO",
            help="Share the outputs of every step with other builders: a repository in a registry, or a directory.",
        ),
    ] = "",
    cache_report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write where layers came from, as JSON.")
    ] = None,
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Forget the cache first.")] = False,  # noqa: FBT002
    descriptor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The project descriptor.  [APP/project.toml]")
    ] = None,
    process: Annotated[str, typer.Option(metavar="TYPE", help="The process type that starts by default.")] = "",
    uid: Annotated[
        int, typer.Option(metavar="UID", min=0, max=_LARGEST_ID, help="Owner of the files in the image.")
    ] = 1000,
    gid: Annotated[
        int, typer.Option(metavar="GID", min=0, max=_LARGEST_ID, help="Group of the files in the image.")
    ] = 1000,
    insecure_registry: Insecure = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which buildpacks fit; build nothing.")] = False,  # noqa: FBT002
    bindings: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Service bindings for buildpacks, a directory each.")
    ] = None,
    watch: Annotated[  # noqa: FBT002
        bool, typer.Option("--watch", "-w", help="Build after each change of the app or of a --buildpack directory.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", hidden=True)] = False,  # noqa: FBT002  # what --watch starts
    rerun: Annotated[
        str, typer.Option(metavar="ID", help="Go on from this buildpack; those before it stay as in the last build.")
    ] = "",
    stop: Annotated[
        list[str] | None,
        typer.Option("--break", metavar="before:ID", help="Open a shell there, or after:ID; repeatable."),
    ] = None,
    shell_on_failure: Annotated[  # noqa: FBT002
        bool, typer.Option("--shell-on-failure", help="Open a shell where a buildpack fails.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result, warnings, errors.")] = False,  # noqa: FBT002
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="What the phases do in detail.")] = False,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="One JSON event a line on standard output.")] = False,  # noqa: FBT002
) -> None:
    """Build an image from an app directory."""
    from lifecycle.cli.commands.build.build import BuildRequest, build_image, own_places
    from lifecycle.cli.commands.build.stepping import Stepping, read_stops
    from lifecycle.cli.commands.build.variables import read_variables

    style = Style.JSON if as_json else Style.QUIET if quiet else Style.VERBOSE if verbose else Style.NORMAL
    log = BuildLog(style)
    log.attach()
    with reported_errors(log):
        if buildpack and order:
            raise InvalidInputError(
                "--buildpack and --order exclude each other",
                remedy="name the buildpacks of one group with --buildpack, or a builder's order with --order",
            )
        request = BuildRequest(
            app=source,
            tags=tuple(tag or [_default_tag(source, output)]),
            buildpacks=tuple(buildpack or ()),
            buildpacks_dir=buildpacks or (_BUILDERS_DIR if _BUILDERS_DIR.is_dir() else None),
            extensions_dir=extensions or (_BUILDERS_EXTENSIONS if _BUILDERS_EXTENSIONS.is_dir() else None),
            order=order or (_BUILDERS_ORDER if _BUILDERS_ORDER.is_file() else None),
            run_image=run_image,
            output=output,
            env=read_variables(env or [], env_file or [], environment=os.environ, warn=log.warning),
            cache_dir=cache_dir,
            cache_image=cache_image,
            cache_from=tuple(cache_from or _lines("CNB_CACHE_FROM")),
            cache_to=tuple(cache_to or _lines("CNB_CACHE_TO")),
            cache_repo=cache_repo or os.environ.get("CNB_CACHE_REPO", ""),
            cache_report=cache_report,
            insecure_registries=insecure_registries(insecure_registry, os.environ),
            clear_cache=clear_cache,
            descriptor=descriptor,
            process_type=process,
            uid=uid,
            gid=gid,
            explain=explain,
            bindings=bindings,
            stepping=Stepping(rerun, read_stops(stop or []), shell_on_failure),
        )
        if watch and not once:
            _watch(source, buildpack or [], own_places(request, os.environ), log)
        build_image(request, environment=os.environ, log=log)


def _watch(source: Path, buildpacks: list[str], own: Collection[Path], log: BuildLog) -> None:
    from lifecycle.cli.commands.build.watch import Watched, watch

    arguments = sys.argv[sys.argv.index("build") + 1 :]
    directories = tuple(Path(each) for each in buildpacks if Path(each).is_dir())
    watch(Watched(source, directories, own), arguments, environment=os.environ, log=log)


def _lines(variable: str) -> list[str]:
    return [line.strip() for line in os.environ.get(variable, "").splitlines() if line.strip()]


def _default_tag(source: Path, output: str) -> str:
    if output == "registry":
        raise InvalidInputError(
            "--output registry needs the name of the image", remedy="give it with --tag registry/repository:tag"
        )
    name = "".join(char if char.isalnum() and char.isascii() else "-" for char in source.resolve().name.lower())
    return name.strip("-") or "app"
