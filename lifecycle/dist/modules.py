"""Which modules, extension modules and files an executable carries, and their code.

The index that is made of them says where each is; ``importer.py`` reads it.
"""

from __future__ import annotations

import json
import marshal
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.dist.tools import run_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_UNUSED = frozenset(
    {
        *("idlelib", "lib2to3", "test", "tkinter", "turtle", "turtledemo", "ensurepip", "venv", "pydoc", "pydoc_data"),
        *("distutils", "unittest", "doctest", "sqlite3", "curses", "dbm", "xmlrpc", "wsgiref", "antigravity", "this"),
        *("cProfile", "profile", "pstats", "trace", "imghdr", "sndhdr", "nntplib", "smtpd", "telnetlib", "mailbox"),
        *("cgi", "cgitb", "chunk", "sunau", "wave", "aifc", "crypt", "msilib", "uu", "xdrlib", "pipes", "asyncore"),
        *("asynchat", "smtplib", "ftplib", "poplib", "imaplib", "tabnanny", "timeit", "webbrowser", "zipapp"),
        *("pip", "setuptools", "pkg_resources", "pygments", "rich", "markdown_it", "mdurl"),
    }
)
"""Top-level modules that no phase or command imports; without rich, typer prints plain help."""
_UNUSED_EXTENSIONS = (
    *("_test", "_curses", "_sqlite", "_dbm", "_tkinter", "_gdbm", "_crypt", "_xx", "xx", "_ctypes_test", "_codecs_"),
    *("_bz2", "_lzma", "_uuid", "readline", "nis", "audioop", "ossaudiodev", "_multibytecodec", "_cffi"),
)
_UNUSED_HERE = ("testing", "dist", "launcher/bin")
"""Parts of this package that make distributions or test, or belong to one target alone."""
_CODE = (".py", ".pyi", ".pyc", ".pyx", ".pxd", ".c", ".h", ".typed", ".a", ".txt", ".md", ".rst")
FROZEN = ("__future__", "encodings", "encodings.aliases", "encodings.utf_8")
"""What the interpreter imports before there is an importer."""

_COMPILE = """
import json, marshal, sys
sources = json.load(open(sys.argv[1]))
done = {path: marshal.dumps(compile(text, path, "exec", dont_inherit=True)) for path, text in sources}
open(sys.argv[2], "wb").write(marshal.dumps(done))
"""


@dataclass(frozen=True, slots=True)
class Module:
    """A module's code as marshal writes it; ``path`` is relative, as in ``json/__init__.py``."""

    path: str
    is_package: bool
    code: bytes


@dataclass(frozen=True, slots=True)
class Carried:
    """What an executable carries, by module name, by path or by name of a shared library."""

    modules: dict[str, Module] = field(default_factory=dict)
    extensions: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """File name and content."""
    files: dict[str, bytes] = field(default_factory=dict)


def collect(standard: Mapping[str, bytes], wheels: Mapping[str, bytes], work_dir: Path, python: str) -> Carried:
    """Gather the standard library, the wheels' files and this package; raises ``DistributionError``."""
    library = f"usr/lib/python{python}/"
    found: dict[str, bytes] = {}
    for path, content in standard.items():
        relative = path.removeprefix(library).removeprefix("lib-dynload/")
        if path.startswith(library) and not relative.startswith("config-"):
            found[relative] = content
    found |= {path: content for path, content in wheels.items() if ".dist-info/" not in path}
    found |= _own_files()
    carried = Carried()
    sources = []
    for path, content in sorted(found.items()):
        if path.partition("/")[0].partition(".")[0] in _UNUSED or "/tests/" in path:
            continue
        name = _module_name(path)
        if path.endswith(".so"):
            if not name.rpartition(".")[2].startswith(_UNUSED_EXTENSIONS):
                carried.extensions[name] = (PurePosixPath(path).name, content)
        elif path.endswith(".py"):
            sources.append((path, content.decode("utf-8")))
        elif "/" in path and not path.endswith(_CODE):
            carried.files[path] = content
    for path, code in _compiled(sources, work_dir).items():
        carried.modules[_module_name(path)] = Module(path, path.endswith("__init__.py"), code)
    return carried


def frozen_importer(work_dir: Path) -> bytes:
    """Return the code of the importer, the first module of all."""
    path = "lifecycle/dist/importer.py"
    text = Path(__file__).with_name("importer.py").read_text(encoding="utf-8")
    return _compiled([(path, text)], work_dir)[path]


def _own_files() -> dict[str, bytes]:
    root = Path(__file__).resolve().parents[1]
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {
        f"lifecycle/{relative}": path.read_bytes()
        for relative, path in paths.items()
        if "__pycache__" not in relative and not relative.startswith(_UNUSED_HERE)
    }


def _compiled(sources: list[tuple[str, str]], work_dir: Path) -> dict[str, bytes]:
    """Compile in a process of its own: what marshal writes depends on all that a process has done before."""
    given, made = work_dir / "sources.json", work_dir / "code.marshal"
    given.write_text(json.dumps(sources), encoding="utf-8")
    run_python(
        ["-I", "-S", "-W", "ignore", "-c", _COMPILE, str(given), str(made)],
        purpose="the modules can't be compiled",
        remedy="install the libraries anew",
    )
    code: dict[str, bytes] = marshal.loads(made.read_bytes())  # noqa: S302  # written by the process above
    return code


def _module_name(path: str) -> str:
    pure = PurePosixPath(path)
    name = pure.name.partition(".")[0]
    return ".".join(pure.parts[:-1] if name == "__init__" else (*pure.parts[:-1], name))


def index(
    spans: Iterable[tuple[str, str, tuple[int, int]]], carried: Carried, needed: Mapping[str, tuple[str, ...]]
) -> bytes:
    """Return the index: ``spans`` are kind, name, and offset and size; ``needed`` what a library is linked with."""
    made: dict[str, dict[str, object]] = {"modules": {}, "extensions": {}, "libraries": {}, "files": {}}
    for kind, name, (offset, size) in spans:
        if kind == "modules":
            module = carried.modules[name]
            made[kind][name] = (module.is_package, module.path, offset, size)
        elif kind == "extensions":
            made[kind][name] = (carried.extensions[name][0], offset, size, needed[name])
        elif kind == "libraries":
            made[kind][name] = (offset, size, needed[name])
        else:
            made[kind][name] = (offset, size)
    return marshal.dumps(made, 2)
