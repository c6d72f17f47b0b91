"""The door of the program: which executable was called, and what becomes of an error.

Phases are found before any client or command library is loaded: they start often and have little to do.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lifecycle.cli.exit_codes import INTERRUPTED
from lifecycle.cli.phase_names import Phase


def main() -> None:
    """Run the phase that the executable's name or the first argument names, else the commands for people."""
    name = Path(sys.argv[0]).stem
    arguments = sys.argv[1:]
    if name not in list(Phase) and arguments and arguments[0] in list(Phase):
        name, arguments = arguments[0], arguments[1:]
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if name in list(Phase):
            from lifecycle.cli.phases import run_phase

            sys.exit(run_phase(Phase(name), arguments, os.environ))
        from lifecycle.cli.commands import run_commands

        run_commands()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
