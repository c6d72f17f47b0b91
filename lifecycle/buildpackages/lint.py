"""What stands in the way of a buildpack in its own files, before anybody builds with it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lifecycle.buildpackages.module_layer import LEFT_OUT, followed_links, modules_layer
from lifecycle.buildpackages.read import kind_of, read_module
from lifecycle.errors import ExportError, InvalidFileError, InvalidInputError
from lifecycle.files.codec import read_toml
from lifecycle.model.buildpackage import ModuleKind
from lifecycle.rules.descriptor_lint import Finding, Severity, lint_descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.rules.buildpackage import Module

_HEAD = 256
_LARGE = 100 * 2**20
_ELF = b"\x7fELF"
_EXECUTABLES = {ModuleKind.BUILDPACK: ("detect", "build"), ModuleKind.EXTENSION: ("detect", "generate")}
_WINDOWS = (".bat", ".exe")


def lint(root: Path) -> tuple[Finding, ...]:
    """Return what there is to say of the buildpack or extension in ``root``, the worst first.

    Raises ``InvalidFileError`` for a directory that is no module at all.
    """
    kind = kind_of(root)
    try:
        module = read_module(root)
    except InvalidFileError as error:
        found = [Finding(Severity.ERROR, "descriptor", kind.descriptor, error.message, error.remedy or "correct it")]
    else:
        found = [*lint_descriptor(module, read_toml(root / kind.descriptor)), *_files(module, root)]
    return tuple(sorted(found, key=lambda each: list(Severity).index(each.severity)))


def _files(module: Module, root: Path) -> Iterator[Finding]:
    if module.order:
        if (root / "bin").exists():
            yield Finding(Severity.WARNING, "composite", "bin", "a composite buildpack's bin is never run", "remove it")
    else:
        yield from _executables(module, root)
    yield from _packaging(module, root)


def _executables(module: Module, root: Path) -> Iterator[Finding]:
    names = os.listdir(root / "bin") if (root / "bin").is_dir() else []  # noqa: PTH208  # names alone
    for name in _EXECUTABLES[module.kind]:
        if name in names:
            yield from _executable(root, f"bin/{name}")
        elif any(name + suffix in names for suffix in _WINDOWS):
            continue
        elif module.kind is ModuleKind.BUILDPACK:
            yield Finding(
                Severity.ERROR,
                "executable",
                f"bin/{name}",
                "is missing",
                "every buildpack has bin/detect and bin/build",
            )
        elif not (root / name).is_dir():
            yield Finding(
                Severity.ADVICE if name == "detect" else Severity.ERROR,
                "executable",
                f"bin/{name}",
                f"is missing, and so is the directory {name} that may stand for it",
                "an extension without bin/detect always passes" if name == "detect" else "add one of them",
            )


def _executable(root: Path, name: str) -> Iterator[Finding]:
    path = root / name
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        yield Finding(Severity.ERROR, "executable", name, f"can't be read: {error.strerror}", "mend it")
        return
    if not path.stat().st_mode & stat.S_IXUSR:
        yield Finding(Severity.ERROR, "executable", name, "may not be executed", f"run: chmod +x {name}")
    first, newline, _ = head.partition(b"\n")
    if head.startswith(_ELF):
        return
    if not head.startswith(b"#!"):
        yield Finding(
            Severity.ERROR, "shebang", name, "is neither a program nor a script", "begin it with #!, as in #!/bin/sh"
        )
    elif first.endswith(b"\r"):
        yield Finding(Severity.ERROR, "shebang", name, "has lines that end as on Windows", "write it with LF alone")
    elif not first[2:].strip().startswith(b"/"):
        interpreter = os.fsdecode(first[2:].strip())
        yield Finding(
            Severity.ERROR,
            "shebang",
            name,
            f"names the interpreter {interpreter!r} without its directory",
            f"begin it with #!/usr/bin/env {interpreter}" if interpreter else "begin it with #!/bin/sh",
        )
    elif not newline:
        yield Finding(Severity.WARNING, "shebang", name, "has no line but the first", "write what it does")


def _packaging(module: Module, root: Path) -> Iterator[Finding]:
    try:
        members = modules_layer([(module, root)]).members
    except (InvalidInputError, ExportError) as error:
        where = os.path.relpath(error.where, root.resolve()) if error.where else "."
        yield Finding(Severity.ERROR, "package", where, error.message, error.remedy or "mend it")
        return
    if sum(member.entry.size for member in members) > _LARGE:
        yield Finding(
            Severity.ADVICE,
            "size",
            ".",
            f"is larger than {_LARGE // 2**20} MiB",
            "builders hold it and every build loads it: fetch what only some apps need in bin/build",
        )
    for link in followed_links(root):
        yield Finding(
            Severity.ADVICE,
            "package",
            str(link.relative_to(root)),
            "is a link that leads out of the buildpack; pack follows none",
            "give pack what lifecycle buildpack package makes of the directory, or put a copy there",
        )
    names = {os.fsencode(name) for name in (".venv", "node_modules", ".tox")}
    for entry in sorted(os.scandir(root), key=lambda each: each.name):
        if os.fsencode(entry.name) in names - LEFT_OUT and entry.is_dir(follow_symlinks=False):
            yield Finding(
                Severity.WARNING, "package", entry.name, "would be in the package", "keep it outside the buildpack"
            )
