"""Peak memory of Python functions and of commands, each in a fresh process."""

import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1024 * 1024

_CALLING = """\
import json as _json, pathlib as _pathlib, sys as _sys
_result = {name}(*_json.loads(_sys.argv[1]))
_status = _pathlib.Path("/proc/self/status").read_text()
_peak = int(_status.partition("VmHWM:")[2].split()[0]) * 1024
_pathlib.Path(_sys.argv[2]).write_text(_json.dumps([_peak, _result]))
"""

# A process counts what its memory was before its exec, which is what the starter's was. So a small starter is between.
_STARTER = """\
import os, sys
report, command = int(sys.argv[1]), sys.argv[2:]
child = os.fork()
if not child:
    os.close(report)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr, flush=True)
        os._exit(127)
_, status, usage = os.wait4(child, 0)
os.write(report, f"{usage.ru_maxrss * 1024} {os.waitstatus_to_exitcode(status)}".encode())
"""


@dataclass(frozen=True)
class CallMemory:
    """Peak of the resident memory of a process that made one call, in bytes, and what the call returned."""

    peak: int
    result: Any


@dataclass(frozen=True)
class CommandMemory:
    """Peak of the resident memory, in bytes, of the largest process of a command, and its outcome.

    The smallest that can be seen is what a Python interpreter needs (about 10 MB).
    """

    peak: int
    exit_code: int
    """Negative: the signal that ended it."""
    stdout: str
    stderr: str


def memory_of_call(function: Callable[..., object], *arguments: object, timeout: float = 600) -> CallMemory:
    """Run `function(*arguments)` in a fresh interpreter that imports only what the function's own body imports.

    The function is taken by its source text: no decorators, no lambda, no names from around it. Arguments and result
    go as JSON. `ValueError` for a function that can't be taken, `RuntimeError` with its traceback when it fails.
    """
    if inspect.getclosurevars(function).nonlocals or "<" in function.__name__:
        raise ValueError(f"{function!r} needs names from around it and can't run in another process")
    source = textwrap.dedent(inspect.getsource(function))
    if not source.startswith("def "):
        raise ValueError(f"{function!r} is not a plain function")
    with tempfile.TemporaryDirectory() as directory:
        program, answer = Path(directory) / "program.py", Path(directory) / "answer.json"
        program.write_text(
            f"from __future__ import annotations\n{source}\n\n{_CALLING.format(name=function.__name__)}",
            encoding="utf-8",
        )
        done = subprocess.run(
            [sys.executable, program, json.dumps(arguments), answer],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode:
            raise RuntimeError(f"{function.__name__} failed in its process:\n{done.stderr}")
        peak, result = json.loads(answer.read_text(encoding="utf-8"))
    return CallMemory(peak, result)


def memory_of_command(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600,
) -> CommandMemory:
    """Run a command to its end; `subprocess.TimeoutExpired` ends it and what it started."""
    reading, writing = os.pipe()
    with open(reading, "rb") as report:  # noqa: PTH123 - a descriptor
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _STARTER, str(writing), *command],
                env=environment,
                cwd=cwd,
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        with process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        peak, exit_code = map(int, report.read().split())
    return CommandMemory(peak, exit_code, stdout, stderr)
