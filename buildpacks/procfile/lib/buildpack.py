#!/usr/bin/env python3
"""Turn each line of the Procfile into a process.  Spec: buildpack.md "launch.toml (TOML)".

A Procfile line is a line of shell, so each process is ``sh -c <line>``; the launcher itself runs no shell
for Buildpack API 0.9 and newer.
"""

from __future__ import annotations

import re

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY

PROCFILE = "Procfile"
DEFAULT_TYPE = "web"
EXAMPLE = "web: python3 app.py"
LINE = re.compile(r"(?P<type>[A-Za-z0-9._-]+):\s*(?P<command>\S.*)")
BUILTINS = re.compile(
    r"!|\.|break|case|cd|command|continue|eval|exec|exit|export|for|if|read|return|set|shift|trap|ulimit|umask|unset"
    r"|until|wait|while"
)


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app directory has a Procfile."""
    return context.pass_() if (context.app_dir / PROCFILE).is_file() else context.fail(f"no {PROCFILE}")


def build(context: bp.BuildContext) -> None:
    """Add the processes."""
    try:
        text = (context.app_dir / PROCFILE).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bp.BuildpackError(f"{PROCFILE}: not UTF-8 (byte {error.start})", fix="save it as UTF-8") from None
    for process_type, line in processes(text).items():
        context.launch.process(process_type, ["sh", "-c", script(line)], default=process_type == DEFAULT_TYPE)
        bp.log.info(f"{process_type}: {line}")


def processes(procfile: str) -> dict[str, str]:
    """Return the command line of each process type, in file order; ``BuildpackError`` names a bad line."""
    found: dict[str, str] = {}
    for number, raw in enumerate(procfile.split("\n"), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise bp.BuildpackError(
                f"{PROCFILE}:{number}: expected '<process type>: <command>', got {line!r}",
                fix=f"write a line such as '{EXAMPLE}'",
            )
        if match["type"] in found:
            raise bp.BuildpackError(
                f"{PROCFILE}:{number}: process type {match['type']!r} is already on a line above", fix="rename one"
            )
        found[match["type"]] = match["command"]
    if not found:
        raise bp.BuildpackError(f"{PROCFILE}: no process in it", fix=f"add a line such as '{EXAMPLE}'")
    return found


def script(line: str) -> str:
    """Return the line so that a single program takes the shell's place and so gets the signals of the container."""
    first, _, _ = line.partition(" ")
    single = not any(operator in line for operator in "&|;()\n`")
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", first) is not None and BUILTINS.fullmatch(first) is None
    return f"exec {line}" if single and plain else line


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
