"""The one file that is every phase: a static program, and behind it the interpreter, libraries and modules it starts.

Layout: native/carried.h.  Decision: spec/decisions/0007-distribution.md.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.dist.elf import needed_libraries, without_sections
from lifecycle.dist.modules import FROZEN, frozen_importer, index
from lifecycle.dist.tools import compile_c

if TYPE_CHECKING:
    from lifecycle.dist.debian import PackageFiles
    from lifecycle.dist.modules import Carried
    from lifecycle.dist.target import Target

_NATIVE = Path(__file__).resolve().parent / "native"
_MAGIC = b"CNBLIFE1"
_RECORD = struct.Struct("<40sQQQ")
_TRAILER = struct.Struct("<8sQQQQ")
_LOADER, _PROGRAM, _LIBRARY, _FROZEN = range(4)
_WORD, _PAGE = 8, 4096
_FLAGS = ("-std=c11", "-Os", "-g0", "-s", "-fstack-protector-strong")
_WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wshadow")
_GLIBC = "2.34"
"""The program is linked for it; the C library that is carried is at least as new."""


class _Parts:
    """The file while it is put together."""

    def __init__(self, start: bytes) -> None:
        self.content = bytearray(start)

    def add(self, part: bytes, *, boundary: int = _WORD) -> tuple[int, int]:
        """Append a part and return its offset, a multiple of ``boundary``, and size."""
        self.content += bytes(-len(self.content) % boundary)
        offset = len(self.content)
        self.content += part
        return offset, len(part)


def make_executable(target: Target, packages: PackageFiles, carried: Carried, python: str, work_dir: Path) -> bytes:
    """Return the executable for ``target``; raises ``DistributionError``."""
    program = _compile_program(target, packages, python, work_dir)
    parts = _Parts(_compile_carrier(target, work_dir))
    records: list[bytes] = []

    def record(kind: int, name: str, part: bytes) -> None:
        records.append(_RECORD.pack(name.encode(), kind, *parts.add(part, boundary=_PAGE)))

    def library(name: str) -> bytes:
        return without_sections(packages.named(name), where=name)

    record(_LOADER, target.c_library_loader, library(target.c_library_loader))
    record(_PROGRAM, "lifecycle", program)
    first = _closure(needed_libraries(program, where="program"), packages, ignored={target.c_library_loader})
    for name in first:
        record(_LIBRARY, name, library(name))
    for name in FROZEN:
        record(_FROZEN, name, carried.modules[name].code)
    record(_FROZEN, "_carried_importer", frozen_importer(work_dir))

    known = {*first, target.c_library_loader}
    needed = {
        name: tuple(each for each in needed_libraries(content, where=name) if each not in known)
        for name, (_, content) in carried.extensions.items()
    }
    wanted = tuple(sorted({each for names in needed.values() for each in names}))
    later = _closure(wanted, packages, ignored=known)
    needed |= {
        name: tuple(each for each in needed_libraries(packages.named(name), where=name) if each not in known)
        for name in later
    }
    spans = [
        ("extensions", name, parts.add(without_sections(content, where=name), boundary=_PAGE))
        for name, (_, content) in sorted(carried.extensions.items())
    ]
    spans += [("libraries", name, parts.add(library(name), boundary=_PAGE)) for name in later]
    spans += [("modules", name, parts.add(module.code)) for name, module in sorted(carried.modules.items())]
    spans += [("files", path, parts.add(content)) for path, content in sorted(carried.files.items())]
    index_span = parts.add(index(spans, carried, needed))
    table, _ = parts.add(b"".join(records))
    return bytes(parts.content) + _TRAILER.pack(_MAGIC, table, len(records), *index_span)


def _closure(names: tuple[str, ...], packages: PackageFiles, *, ignored: set[str]) -> tuple[str, ...]:
    """Return ``names`` and all they are linked with, sorted; the order does not matter to the loader."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name in ignored:
            continue
        found.add(name)
        waiting += needed_libraries(packages.named(name), where=name)
    return tuple(sorted(found))


def _compile_carrier(target: Target, work_dir: Path) -> bytes:
    output = work_dir / f"carrier-{target.arch}"
    compile_c(
        ("carrier.c", "carried.c"),
        output,
        compiler_target=f"{target.machine}-linux-musl",
        flags=(*_FLAGS, *_WARNINGS, "-static"),
        directory=_NATIVE,
    )
    return output.read_bytes()


def _compile_program(target: Target, packages: PackageFiles, python: str, work_dir: Path) -> bytes:
    root = work_dir / f"python-{target.arch}"
    for path, content in packages.files.items():
        if path.startswith("usr/include/") or path.endswith(f"/libpython{python}.so.1.0"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    libraries = root / "usr" / "lib" / f"{target.machine}-linux-gnu"
    output = work_dir / f"program-{target.arch}"
    include = root / "usr" / "include"
    compile_c(
        ("python_main.c", "carried.c", str(libraries / f"libpython{python}.so.1.0")),
        output,
        compiler_target=f"{target.machine}-linux-gnu.{_GLIBC}",
        flags=(
            *_FLAGS,
            *_WARNINGS,
            "-Wno-shadow",
            f"-I{include}/python{python}",
            f"-isystem{include}",
            "-fPIE",
            "-pie",
        ),
        directory=_NATIVE,
    )
    return without_sections(output.read_bytes(), where="program")
