"""``lifecycle diff`` and ``lifecycle verify``: are two images, or two builds, the same, and if not, why."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle.cli.commands.common_options import Insecure, Json  # noqa: TC001  # typer reads the annotations
from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.inputs.flags import insecure_registries
from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.cli.refusals import refusals_as_errors
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAILED = 4
"""An exit code of commands for which 1 is an answer: something failed that has no code of its own."""

_All = Annotated[bool, typer.Option("--all", help="Leave out no file and no field.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(short_help="Say how two images differ.")(diff)
    app.command(short_help="Build twice and say whether the images are the same.")(verify)


def diff(  # noqa: PLR0917  # one parameter for each option
    first: Annotated[str, typer.Argument(metavar="IMAGE", help="A name in a registry, or PLACE:NAME.")],
    second: Annotated[str, typer.Argument(metavar="IMAGE", help="Likewise.")],
    platform: Annotated[
        str, typer.Option(metavar="OS/ARCH", help="Which image of several is meant.  [this machine's]")
    ] = "",
    ignore_storage: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--ignore-storage", help="Images with one id are identical, whatever manifest and compression."),
    ] = False,
    everything: _All = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Say how two images differ, by layer, file and field, and what put there what differs.

    An image is a name in a registry, docker-daemon:NAME, oci:DIRECTORY, oci-archive:FILE or docker-archive:FILE (which
    may end in :TAG), a path, or the tag of a build on this host.  Layers with the same diffID are not read.

    Identical images have the same id, which says that configuration and layers are the same bytes, and the same
    manifest where both places keep one.  Exit code 0: identical.  1: they differ.  Others: they could not be compared.
    """
    from lifecycle.cli.commands.diff.diff import DiffRequest
    from lifecycle.cli.commands.diff.diff import diff as run

    log = BuildLog(Style.QUIET if as_json else Style.NORMAL)
    with _errors(log):
        request = DiffRequest(
            first=first,
            second=second,
            platform=platform,
            ignore_storage=ignore_storage,
            everything=everything,
            as_json=as_json,
            insecure_registries=insecure_registries(insecure_registry, os.environ),
        )
        if not run(request, environment=os.environ, out=sys.stdout, progress=log.progress):
            raise typer.Exit(1)


def verify(  # noqa: PLR0917  # one parameter for each option
    context: typer.Context,
    arguments: Annotated[
        list[str], typer.Argument(metavar="-- ARGS...", help="The arguments of lifecycle build, after two dashes.")
    ],
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the images there, as the OCI layouts first and second.")
    ] = None,
    everything: _All = False,  # noqa: FBT002
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result, without the logs of builds.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Build an app twice and say whether both images are the same; if not, which buildpack made which file differently.

    Nothing is shared by the builds, neither a cache nor a previous image, and nothing is written where the arguments
    say: --output and the cache options are left out.  The builds differ in their working directories, in HOME (new,
    with links to registry credentials only), in TMPDIR, in one more directory in PATH, in the time by two seconds
    at least, in the number of processors where there are several, and, for root, in the host's name.
    SOURCE_DATE_EPOCH and PYTHONHASHSEED are not passed on, and the umask is always that of lifecycle build.

    Exit code 0: reproducible.  1: not.  Others: those of a build that failed.
    """
    from lifecycle.cli.commands.diff.verify import VerifyRequest
    from lifecycle.cli.commands.diff.verify import verify as run

    log = BuildLog(Style.QUIET if quiet or as_json else Style.NORMAL)
    with _errors(log):
        request = VerifyRequest(
            arguments=_build_arguments(context, arguments),
            keep=keep,
            everything=everything,
            as_json=as_json,
            quiet=quiet or as_json,
        )
        code = run(request, environment=os.environ, out=sys.stdout, log=log)
        if code:
            raise typer.Exit(code)


_LEFT_OUT = frozenset({
    "output", "cache_dir", "cache_image", "cache_from", "cache_to", "cache_repo", "cache_report", "clear_cache",
    "quiet", "verbose", "as_json",
})  # fmt: skip
"""Options of a build that would make it write elsewhere, or read what another build left."""


def _build_arguments(context: typer.Context, arguments: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return options and operands of a build less those that are left out; wrong ones are refused as there."""
    commands = context.find_root().command
    if not isinstance(commands, typer.core.TyperGroup):
        raise AssertionError  # noqa: TRY004  # a mistake of ours
    build = commands.commands["build"]
    values = build.make_context("lifecycle verify --", list(arguments)).params
    options: list[str] = []
    operands: list[str] = []
    for parameter in build.params:
        name = parameter.name or ""
        given = values.get(name)
        if name in _LEFT_OUT or given is None:
            continue
        if parameter.param_type_name == "argument":
            operands.append(str(given))
        elif isinstance(given, bool):
            options += parameter.opts[:1] if given else []
        else:
            texts = map(str, given) if isinstance(given, list | tuple) else [str(given)]
            options += [word for text in texts for word in (parameter.opts[0], text)]
    return tuple(options), tuple(operands)


@contextmanager
def _errors(log: BuildLog) -> Iterator[None]:
    try:
        with refusals_as_errors():
            yield
    except LifecycleError as error:
        log.error(error)
        code = exit_code(error, None)
        raise typer.Exit(_FAILED if code == 1 else code) from None
    finally:
        log.progress.close()
