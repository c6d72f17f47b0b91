"""The door of the program: which executable was called, and what becomes of an error.

Phases are found before any client or command library is loaded: they start often and have little to do.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lifecycle.cli.exit_codes import GENERIC, SIGNALLED
from lifecycle.cli.phase_names import Phase

if TYPE_CHECKING:
    from types import FrameType

    from lifecycle.executables.process import RunningProcesses

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PROCESSES = "lifecycle.executables.process"


class _EndedError(SystemExit):
    """A signal ends the program, which tidies up while this passes through it."""


def main() -> None:
    """Run the phase that the executable's name or the first argument names, else the commands for people."""
    _open_closed_streams()
    _end_with_readers()
    name = Path(sys.argv[0]).stem
    arguments = sys.argv[1:]
    if name not in list(Phase) and arguments and arguments[0] in list(Phase):
        name, arguments = arguments[0], arguments[1:]
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        if name in list(Phase):
            gc.disable()  # modules are no garbage; once they are loaded, the phase goes on with it
            from lifecycle.cli.model_plugins import leave_out_plugins
            from lifecycle.cli.phases.running import run_phase

            leave_out_plugins()
            _leave(run_phase(Phase(name), arguments, os.environ))
        from lifecycle.cli.commands.program import run_commands

        run_commands()
    except _EndedError:
        sys.stderr.write("interrupted\n")
        raise
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        if _Output.lost and not end.code:
            raise SystemExit(GENERIC) from None
        raise


def _open_closed_streams() -> None:
    """Let standard streams that the caller closed lead nowhere, before a file of ours takes their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            if opened > number:
                os.close(opened)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  # stays open


class _Output(io.FileIO):
    """A standard stream; when its reader goes, the program ends as by SIGPIPE, and the buildpacks that it runs.

    Where it can't be written for another reason, that is told once, and what more is said goes nowhere: no build is
    lost for its log.
    """

    lost = False
    """Whether something that was to be said could not be said."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            _end_at_once(signal.SIGPIPE, None)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            _Output.lost = True
            if self.fileno() == 1:
                sys.stderr.write(f"error: standard output can't be written: {error.strerror}\n")
            return len(data)


def _end_with_readers() -> None:
    """Let the end of who reads our output end the program.

    SIGPIPE itself would also end it where a registry or a credential helper hangs up, which is an error like others.
    """
    for name in ("stdout", "stderr"):
        stream: io.TextIOWrapper = getattr(sys, name)
        buffer = io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False))
        by_line = stream.line_buffering or stream.write_through
        setattr(sys, name, io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=by_line))


def _leave(code: int) -> NoReturn:
    """End as ``sys.exit`` does, without taking all modules apart: a tenth of what a phase with little to do costs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end(number: int, _: FrameType | None) -> None:
    for each in _ENDING:
        signal.signal(each, _end_at_once)
    processes = _processes()
    if processes is not None:
        processes.end()
    raise _EndedError(SIGNALLED + number)


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    """Lose patience, as whoever sends a second signal does."""
    processes = _processes()
    if processes is not None:
        processes.kill()
    os._exit(SIGNALLED + number)


def _processes() -> RunningProcesses | None:
    """Return the processes of buildpacks, if the module that runs them is loaded."""
    module = sys.modules.get(_PROCESSES)
    return None if module is None else module.RUNNING


if __name__ == "__main__":
    main()
