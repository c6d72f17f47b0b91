"""What commands for people have in common: options of one meaning, and how errors are told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Insecure = Annotated[
    list[str] | None,
    typer.Option(
        "--insecure-registry", metavar="PREFIX", help="Names that begin so may be reached without TLS; repeatable."
    ),
]


@contextmanager
def reported_errors() -> Iterator[None]:
    """Tell an expected failure and end the command with its exit code."""
    try:
        yield
    except LifecycleError as error:
        BuildLog(Style.NORMAL).error(error)
        raise typer.Exit(exit_code(error, None)) from None
