"""``lifecycle buildpack``: what people who write buildpacks do with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle.cli.commands.common_options import Insecure, Json, reported_errors
from lifecycle.cli.inputs.flags import insecure_registries

if TYPE_CHECKING:
    from lifecycle.cli.stores.remote import RemoteStores

buildpack = typer.Typer(
    name="buildpack",
    short_help="Begin, check and package buildpacks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write buildpacks and image extensions: begin one, check it, package it.",
)


@buildpack.command(short_help="Begin a buildpack, with its tests.")
def new(
    root: Annotated[Path, typer.Argument(metavar="DIR", help="The new directory.")],
    module_id: Annotated[str, typer.Option("--id", metavar="ID", help="Its id.  [<user>/<name of DIR>]")] = "",
    extension: Annotated[bool, typer.Option("--extension", help="An image extension instead.")] = False,  # noqa: FBT002
) -> None:
    """Write a small buildpack in Python that works, with the SDK in it and tests beside it."""
    from lifecycle.buildpackages.scaffold import scaffold
    from lifecycle.model.buildpackage import ModuleKind

    kind = ModuleKind.EXTENSION if extension else ModuleKind.BUILDPACK
    with reported_errors():
        written = scaffold(root, module_id or _own_id(root), kind)
    typer.echo(f"{kind} {module_id or _own_id(root)} is in {root}:")
    for path in written:
        typer.echo(f"  {path}")
    typer.echo("try it:")
    typer.echo(f"  pytest {root}")
    if kind is ModuleKind.BUILDPACK:
        typer.echo(f"  lifecycle build {root}/tests/app --buildpack {root} --watch")


def _own_id(root: Path) -> str:
    import getpass
    import re

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "me"
    return "/".join(re.sub(r"[^A-Za-z0-9.-]+", "-", part).strip("-.") or "x" for part in (user, root.resolve().name))


@buildpack.command(short_help="Write a package that pack and lifecycle build take.")
def package(  # noqa: PLR0917  # one parameter for each option
    root: Annotated[Path, typer.Argument(metavar="DIR", help="Its directory.  [.]", show_default=False)] = Path(),
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="package.toml with its dependencies.  [DIR/package.toml if there]"),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PLACE",
            help="FILE.cnb, registry, daemon, or a layout directory.  [<id>_<version>.cnb]",
        ),
    ] = "",
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", "-t", metavar="NAME", help="Name of the image in a registry or daemon; repeatable."),
    ] = None,
    target: Annotated[str, typer.Option(metavar="OS/ARCH", help="What the image is for.  [this machine's]")] = "",
    flatten: Annotated[bool, typer.Option("--flatten", help="Put all buildpacks into one layer.")] = False,  # noqa: FBT002
    flatten_exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="ID@VERSION", help="A buildpack that keeps a layer of its own; repeatable."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label of the image; repeatable.")
    ] = None,
    insecure_registry: Insecure = None,
) -> None:
    """Write the buildpack or extension in DIR, and what a composite buildpack refers to, as one image.

    The same files give the same image, whoever packages them and where.  Links that lead out of DIR are followed;
    DIR/tests, DIR/*.cnb, version control and caches of Python's tools stay out.
    """
    from lifecycle.cli.commands.buildpack.packages import PackageOptions
    from lifecycle.cli.commands.buildpack.packages import package as write

    options = PackageOptions(
        config=config,
        output=output,
        tags=tuple(tag or ()),
        platform=target,
        flatten=flatten,
        apart=tuple(flatten_exclude or ()),
        labels=tuple(label or ()),
    )
    with reported_errors():
        write(root, options, remote=_remote(insecure_registry), out=sys.stdout)


@buildpack.command(short_help="Say what is in a package or directory.")
def inspect(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE",
            help="A directory, FILE.cnb, a layout, an image's name in a registry, or docker-daemon:NAME.",
        ),
    ],
    as_json: Json = False,  # noqa: FBT002
    insecure_registry: Insecure = None,
) -> None:
    """Say what a buildpack is for, what it refers to, and in which layers all that is."""
    from lifecycle.cli.commands.buildpack.packages import inspect as show

    with reported_errors():
        show(place, remote=_remote(insecure_registry), out=sys.stdout, as_json=as_json)


@buildpack.command(short_help="Check a buildpack's files against the specification.")
def lint(
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR", help="Their directories.  [.]", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as errors do.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Check descriptors, executables and links; exit code 1 for errors.  Nothing of the buildpack is run."""
    from lifecycle.cli.commands.buildpack.packages import show_lint

    with reported_errors():
        if not show_lint(roots or [Path()], out=sys.stdout, strict=strict, as_json=as_json):
            raise typer.Exit(1)


def _remote(insecure: list[str] | None) -> RemoteStores:
    from lifecycle.cli.stores.remote import RemoteStores

    return RemoteStores(os.environ, insecure=insecure_registries(insecure, os.environ))
