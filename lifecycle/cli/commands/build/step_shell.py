"""A shell in the place of a buildpack's executable: its environment, its plan, its directory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from lifecycle.executables.attached import run_attached
from lifecycle.files.work_dir import work_directory

if TYPE_CHECKING:
    from lifecycle.executables.process import Command

AGAIN: Final = 64
"""The exit status of a shell that asks to run the executable again."""

_START = f"PS1='(build) \\w \\$ '\nagain() {{ exit {AGAIN}; }}\n"
_FROM_TERMINAL: Final = ("TERM", "COLORTERM", "LANG", "LC_ALL")


def open_shell(command: Command, terminal: dict[str, str]) -> int:
    """Let a person, or a script on standard input, look around where ``command`` runs; return the exit status.

    ``terminal`` is the environment of this program, from which the shell learns on what it is.
    """
    env = {name: terminal[name] for name in _FROM_TERMINAL if name in terminal} | dict(command.env)
    with work_directory("shell") as directory:
        start = directory / "start"
        start.write_text(_START, encoding="utf-8")
        # Bash reads the one, any other shell the other.
        argv = ["bash", "--rcfile", str(start), "-i"] if sys.stdin.isatty() else ["sh"]
        env["ENV"] = str(start)
        return run_attached(argv, cwd=command.cwd, env=env, interactive=True)
