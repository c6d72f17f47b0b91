"""Executables written in Python, run inside the test's own process: breakpoints, coverage and monkeypatches work."""

from __future__ import annotations

import atexit
import os
import runpy
import sys
import tempfile
import traceback
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import ModuleType, TracebackType
    from typing import TextIO

    from lifecycle.executables.process import Command, Runner

_T = TypeVar("_T")


class OneByOne(Executor):
    """Runs what is submitted at once, in the thread that submits it: a process has one working directory."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Run ``fn``; its outcome is the future's."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # whoever asks for the result gets it
            future.set_exception(error)
        return future


@dataclass(slots=True)
class InProcessRunner:
    """A ``Runner`` that runs the executables below ``roots`` in this process, and others by ``otherwise``.

    They run as scripts, unless the root comes with a function that stands for them: it finds arguments, environment
    and working directory as a process would, and its name in ``sys.argv[0]``.  ``redirects`` says whether what child
    processes print may be taken from the descriptors 1 and 2 of this process.
    ``raised`` is the last exception that an executable let through.
    """

    roots: Mapping[Path, Callable[[], object] | None]
    otherwise: Runner
    redirects: bool = True
    raised: BaseException | None = field(default=None, init=False)

    def __call__(self, command: Command, *, output: Callable[[bytes], None]) -> int:
        """Run the command; see ``Runner``."""
        root = Path(command.argv[0]).parents[1].resolve()
        if root not in self.roots:
            return self.otherwise(command, output=output)
        main = self.roots[root]
        executable = Path(command.argv[0]).resolve()
        self.raised = None
        with _printing(output, redirects=self.redirects), _as_process(command, executable, root):
            try:
                if main is None:
                    runpy.run_path(command.argv[0], run_name="__main__")
                else:
                    return _status(main())
            except SystemExit as end:
                return _status(end.code)
            except Exception as error:  # noqa: BLE001  # a process would show its traceback and end with 1
                self.raised = error
                traceback.print_exc()
                return 1
        return 0


def _status(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


@contextmanager
def _as_process(command: Command, executable: Path, root: Path) -> Iterator[None]:
    """Give this process the arguments, environment and directory of another."""
    argv, path, modules = sys.argv, list(sys.path), set(sys.modules)
    before, umask, cwd = dict(os.environ), os.umask(0o022), Path.cwd()
    compiled, compiles_not = sys.pycache_prefix, sys.dont_write_bytecode
    sys.modules.update(_sdk_of(root, modules))
    with ExitStack() as stack:
        stack.callback(os.chdir, cwd)
        stack.callback(os.umask, umask)
        stack.callback(_set_environment, before)
        os.chdir(command.cwd)
        _set_environment(command.env)
        sys.argv = list(command.argv)
        sys.path.insert(0, str(executable.parent))
        # A buildpack stays as it is, and is not compiled anew for each of its phases.
        sys.pycache_prefix = os.path.join(_compiled(), _state_of(root))  # noqa: PTH118  # the variable is text
        sys.dont_write_bytecode = False
        try:
            yield
        finally:
            sys.argv, sys.path[:] = argv, path
            sys.pycache_prefix, sys.dont_write_bytecode = compiled, compiles_not
            _forget(set(sys.modules) - modules, root)


@cache
def _compiled() -> str:
    """Return a directory for the compiled modules of buildpacks, which lasts as long as this process."""
    directory = tempfile.TemporaryDirectory(prefix="cnb-compiled-")
    atexit.register(directory.cleanup)
    return directory.name


def _state_of(root: Path) -> str:
    """Return what differs once a file is written anew: compiled modules tell their sources by size and second alone."""
    return str(max((path.stat().st_mtime_ns for path in root.rglob("*.py")), default=0))


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


_SDK = "cnb_buildpack"
_sdks: dict[Path, list[tuple[str, ModuleType, str, int]]] = {}
"""The SDK of each buildpack as its runs loaded it: names and modules, with their files and when these were changed."""


def _sdk_of(root: Path, loaded: Collection[str]) -> dict[str, ModuleType]:
    """Return the modules of a buildpack's SDK, which keeps nothing from run to run, as the last run left them."""
    kept = _sdks.get(root, [])
    if _SDK in loaded or not all(_changed(file) == changed for _, _, file, changed in kept):
        return {}
    return {name: module for name, module, _, _ in kept}


def _forget(modules: Collection[str], root: Path) -> None:
    """Drop the modules of a buildpack: another may have others of the same names."""
    sdk = _sdks[root] = []
    for name in modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).is_relative_to(root):
            module = sys.modules.pop(name)
            if name.partition(".")[0] == _SDK:
                sdk.append((name, module, file, _changed(file)))


def _changed(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116  # a path object each would take longer
    except OSError:
        return 0


class _Copied:
    """A text stream that is written to another too."""

    def __init__(self, stream: TextIO, copy: Callable[[str], None]) -> None:
        self._stream = stream
        self._copy = copy

    def write(self, text: str) -> int:
        self._copy(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _printing(output: Callable[[bytes], None], *, redirects: bool) -> Iterator[None]:
    """Give ``output`` what is printed meanwhile, by child processes too if ``redirects``."""
    if not redirects:
        with _copying(output):
            yield
        return
    with tempfile.TemporaryFile() as file, _Descriptors(file.fileno()):
        streams = sys.stdout, sys.stderr
        with open(file.fileno(), "w", buffering=1, closefd=False, errors="replace", encoding="utf-8") as text:
            sys.stdout = sys.stderr = text
            try:
                yield
            finally:
                sys.stdout, sys.stderr = streams
                text.flush()
                file.seek(0)
                while chunk := file.read(1 << 16):
                    output(chunk)


@contextmanager
def _copying(output: Callable[[bytes], None]) -> Iterator[None]:
    streams = sys.stdout, sys.stderr

    def copy(text: str) -> None:
        output(text.encode(errors="replace"))

    sys.stdout, sys.stderr = (_Copied(stream, copy) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


class _Descriptors:
    """Lets the descriptors 0, 1 and 2 be those of a process whose output goes to ``descriptor``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[int] = []

    def __enter__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = [os.dup(number) for number in range(3)]
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(self._descriptor, 1)
        os.dup2(self._descriptor, 2)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, saved in enumerate(self._saved):
            os.dup2(saved, number)
            os.close(saved)
