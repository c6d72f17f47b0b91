"""The start of an executable under other conditions: directories, user, umask.  Runs in a process of its own.

Imports next to nothing, so that a test pays milliseconds for it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from lifecycle.errors import LifecycleError
from lifecycle.executables import namespace

REFUSED = 125
NOT_STARTED = 126


def main() -> None:
    """Become the command that the first argument describes in JSON; exit with 125 or 126 where that fails."""
    given = json.loads(sys.argv[1])
    command = given["argv"]
    try:
        if given["mounts"]:
            mounts = {name: Path(path) for name, path in given["mounts"].items()}
            namespace.enter(mounts, Path(given["view"]))
        os.chdir(given["cwd"])
        os.umask(given["umask"])
        if given["user"] is not None:
            os.setgroups([])
            os.setresgid(*[given["user"]] * 3)
            os.setresuid(*[given["user"]] * 3)
    except (LifecycleError, OSError) as error:
        sys.stderr.write(f"lifecycle.testing: these conditions can't be had here: {error}\n")
        sys.exit(REFUSED)
    try:
        os.execve(given["executable"], command, given["env"])  # noqa: S606  # no shell is meant
    except OSError as error:
        sys.stderr.write(f"lifecycle.testing: {command[0]} can't be started: {error.strerror}\n")
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
