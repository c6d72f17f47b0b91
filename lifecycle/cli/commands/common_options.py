"""What commands for people have in common: options of one meaning, and how errors are told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lifecycle.cli.exit_codes import exit_code
from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.cli.refusals import refusals_as_errors
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
def reported_errors(log: BuildLog | None = None) -> Iterator[None]:
    """Tell an expected failure, in ``log`` if there is one, and end the command with its exit code."""
    log = log or BuildLog(Style.NORMAL)
    try:
        with refusals_as_errors():
            yield
    except LifecycleError as error:
        log.error(error)
        raise typer.Exit(exit_code(error, None)) from None
    finally:
        log.progress.close()
