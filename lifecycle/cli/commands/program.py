"""The commands for people: build an app, run it, find out what stands in the way."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lifecycle import __version__
from lifecycle.cli.commands.build.command import add_to as add_build
from lifecycle.cli.commands.buildpack.command import buildpack as buildpack_commands
from lifecycle.cli.commands.cache.command import cache
from lifecycle.cli.commands.common_options import Insecure, reported_errors
from lifecycle.cli.commands.diff.command import add_to as add_comparisons
from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.inputs.flags import insecure_registries
from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import RebaseError

app = typer.Typer(
    name="lifecycle",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Cloud Native Buildpacks: turn an app's source into an OCI image.",
    epilog="Platforms call the phases by name: lifecycle analyzer | detector | restorer | extender | builder | "
    "exporter | creator | rebaser; each prints its flags with -help.",
)


app.add_typer(cache)
app.add_typer(buildpack_commands)


def run_commands() -> None:
    """Run the command that the arguments name."""
    app()


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[  # its callback does the work
        bool,
        typer.Option("--version", "-version", help="Print the version.", callback=lambda value: _version(wanted=value)),
    ] = False,
) -> None:
    """Cloud Native Buildpacks: turn an app's source into an OCI image."""


add_build(app)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    process: Annotated[
        str | None, typer.Argument(metavar="PROCESS [ARGS]...", help="A process type; the default one if left out.")
    ] = None,
) -> None:
    """Start a process of the last build on this host."""
    from lifecycle.cli.commands.run import run_last_build

    with reported_errors():
        run_last_build(process, context.args, os.environ)


@app.command(short_help="Put app images on a new run image.")
def rebase(
    apps: Annotated[list[str], typer.Argument(metavar="APP...", help="App images: names, or oci:DIRECTORY.")],
    run_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="The new run image.  [the one that each app image names]")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Also where the two don't fit.")] = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON event a line on standard output.")] = False,  # noqa: FBT002
) -> None:
    """Put app images on a new run image without building them again; their own layers stay as they are."""
    from lifecycle.cli.commands.rebase import RebaseRequest, rebase_images

    log = BuildLog(Style.JSON if as_json else Style.NORMAL)
    log.attach()
    request = RebaseRequest(
        apps=tuple(apps),
        run_image=run_image,
        force=force,
        insecure_registries=insecure_registries(insecure_registry, os.environ),
        as_json=as_json,
    )
    with reported_errors(log):
        if not rebase_images(request, environment=os.environ, log=log):
            raise typer.Exit(exit_code(RebaseError(""), Phase.REBASER))


@app.command(short_help="Say what stands in the way of builds.")
def doctor(
    references: Annotated[
        list[str] | None, typer.Argument(metavar="REF", help="Images whose registries are tried.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Leave out whether they can be pushed.")] = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
    cache_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where layers would be cached.  [one for each app]")
    ] = None,
) -> None:
    """Say what would stand in the way of a build, and what to do about it."""
    from lifecycle.cli.commands.doctor.doctor import DoctorRequest, diagnose

    request = DoctorRequest(
        references=tuple(references or ()),
        read_only=read_only,
        insecure=insecure_registries(insecure_registry, os.environ),
        cache_dir=cache_dir,
    )
    with reported_errors():
        if not diagnose(request, environment=os.environ, out=sys.stdout):
            raise typer.Exit(1)


@app.command(short_help="Put this lifecycle into a build image.")
def install(
    destination: Annotated[
        Path, typer.Option("--dest", metavar="DIR", help="The directory that gets the executables.")
    ] = Path("/cnb/lifecycle"),
    launcher: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another launcher than the packaged one.")
    ] = None,
) -> None:
    """Put this lifecycle where platforms look for it in a build image."""
    from lifecycle.cli.commands.dist import install_here

    with reported_errors():
        install_here(destination, launcher=launcher)


@app.command(short_help="Make the files that platforms take a lifecycle from.")
def dist(
    target: Annotated[
        str, typer.Option(metavar="OS/ARCH,...", help="For which systems and architectures.")
    ] = "linux/amd64,linux/arm64",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The directory that gets the files.")
    ] = Path("dist"),
    tag: Annotated[
        str, typer.Option("--tag", "-t", metavar="NAME", help="Push the images too, as one image for all targets.")
    ] = "",
    insecure_registry: Insecure = None,
) -> None:
    """Make an archive for pack and a lifecycle image for each target, the same bytes every time."""
    from lifecycle.cli.commands.dist import make_distributions
    from lifecycle.cli.stores.remote import RemoteStores

    with reported_errors():
        remote = RemoteStores(os.environ, insecure=insecure_registries(insecure_registry, os.environ))
        make_distributions(target, output, tag=tag, remote=remote, report=typer.echo)


add_comparisons(app)
