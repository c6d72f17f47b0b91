"""``lifecycle cache``: what caches hold, why a layer came back or didn't, and what is kept on disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle.cli.commands.common_options import Insecure, Json, reported_errors
from lifecycle.cli.inputs.flags import insecure_registries

if TYPE_CHECKING:
    from lifecycle.cli.commands.cache.views import View

cache = typer.Typer(
    name="cache",
    short_help="Look into caches, collect them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look into caches of layers: images in registries, layouts, cache directories.",
)


@cache.command(short_help="Say what caches hold.")
def inspect(
    sources: Annotated[list[str], typer.Argument(metavar="CACHE", help="As in lifecycle build --cache-from.")],
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Say of each cache what it is, and the buildpacks and layers that it holds."""
    from lifecycle.cli.commands.cache.views import inspect as show

    with reported_errors():
        _end(well=show(sources, _view(insecure_registry, as_json=as_json)))


@cache.command(short_help="Say what a build would get from caches, and why not the rest.")
def explain(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="CACHE", help="As in lifecycle build.  [the app's own]")
    ] = None,
    source: Annotated[Path, typer.Option("--app", metavar="DIR", help="The app's directory.  [.]")] = Path(),
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Say of each layer of the app's last build where it would come from, or why from nowhere."""
    from lifecycle.cli.commands.cache.views import explain as show

    with reported_errors():
        show(sources or [], source, _view(insecure_registry, as_json=as_json))


@cache.command(short_help="Say how two caches differ; exit code 1 if they do.")
def diff(
    one: Annotated[str, typer.Argument(metavar="CACHE")],
    other: Annotated[str, typer.Argument(metavar="CACHE")],
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Say which layers only one of two caches has, and which differ in contents, metadata or types."""
    from lifecycle.cli.commands.cache.views import diff as show

    with reported_errors():
        _end(well=show(one, other, _view(insecure_registry, as_json=as_json)))


@cache.command(short_help="Say what builds keep on disk.")
def du(as_json: Json = False) -> None:  # noqa: FBT002
    """List the caches, images and last builds of this user, with their sizes and when they were used."""
    from lifecycle.cli.commands.cache.storage import usage

    with reported_errors():
        usage(os.environ, sys.stdout, as_json=as_json)


@cache.command(short_help="Remove from disk what builds keep.")
def prune(
    older_than: Annotated[str, typer.Option(metavar="AGE", help="What was not used so long, such as 30d.")] = "",
    max_size: Annotated[str, typer.Option(metavar="SIZE", help="The longest unused until so much is kept.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that no process holds.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say it and remove nothing.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Remove caches, images and last builds of this user by age and size; exit code 1 if something was in use."""
    from lifecycle.cli.commands.cache.storage import prune as remove

    with reported_errors():
        _end(
            well=remove(
                os.environ,
                sys.stdout,
                older_than=older_than,
                max_size=max_size,
                everything=everything,
                dry_run=dry_run,
                as_json=as_json,
            )
        )


@cache.command(short_help="Remove from a shared cache what nobody has a use for.")
def gc(  # noqa: PLR0917  # one for each flag
    references: Annotated[
        list[str],
        typer.Argument(metavar="REF...", help="As in lifecycle build --cache-repo: a repository or directory."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say it and change nothing.")] = False,  # noqa: FBT002
    keep_within: Annotated[str, typer.Option(metavar="AGE", help="Keep what was built or used so lately.  [2h]")] = "",
    keep_image: Annotated[
        list[str] | None, typer.Option(metavar="IMAGE", help="Keep what this image was made of; repeatable.")
    ] = None,
    keep_list: Annotated[
        str, typer.Option(metavar="FILE", help="A file with such images, one a line, - for standard input.")
    ] = "",
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Which images of git branches and tags to keep: werf's cleanup, in TOML or JSON."
        ),
    ] = None,
    keep_starts: Annotated[
        int, typer.Option(metavar="N", min=0, help="Keep the newest N records of each buildpack, to begin with.")
    ] = 1,
    grace: Annotated[
        str, typer.Option(metavar="AGE", help="How long something stays after it was first found to be of no use.")
    ] = "24h",
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Remove from caches of --cache-repo the records that nobody has a use for; made to run once a day.

    Without --policy it keeps, by what builds noted of their git commits: the newest image of the 10 newest git tags;
    the 2 newest images of the last week of the 10 branches built last in that week; the 2 newest images of main,
    master, staging and production. A record of no such image is marked, and deleted by a later run, when the time of
    --grace and all builds that may use it are over; if a build uses it before, it stays. Builds may go on meanwhile:
    what they lose, they make again. Only tags and manifests go: a registry frees the space of blobs by its own
    garbage collection, while nothing is pushed to it. Of a directory, blobs go too. Exit code 1 if a cache could not
    be worked on.
    """
    from lifecycle.cli.commands.cache.gc import GcRequest, collect_garbage

    with reported_errors():
        request = GcRequest(
            references=tuple(references),
            keep_within=keep_within,
            keep_images=tuple(keep_image or ()),
            keep_list=keep_list,
            policy=policy,
            starts=keep_starts,
            grace=grace,
            dry_run=dry_run,
        )
        _end(well=collect_garbage(request, _view(insecure_registry, as_json=as_json)))


@cache.command(short_help="Say whether a registry can keep a shared cache.")
def doctor(
    references: Annotated[
        list[str],
        typer.Argument(metavar="REF...", help="As in lifecycle build --cache-repo: a repository or directory."),
    ],
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Try in a repository what builds that share a cache take for granted; exit code 1 if something is missing.

    It writes tags that begin with doctor- and small manifests, and deletes them again, or says which are left. A trial
    can show that something is missing, and not that it is always there.
    """
    from lifecycle.cli.commands.cache.doctor import examine

    with reported_errors():
        _end(well=examine(references, _view(insecure_registry, as_json=as_json)))


def _view(insecure: list[str] | None, *, as_json: bool) -> View:
    from lifecycle.cli.commands.cache.views import View

    names = insecure_registries(insecure, os.environ)
    return View(out=sys.stdout, environment=os.environ, insecure=names, as_json=as_json)


def _end(*, well: bool) -> None:
    if not well:
        raise typer.Exit(1)
