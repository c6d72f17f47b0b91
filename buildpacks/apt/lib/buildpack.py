#!/usr/bin/env -S python3 -B
"""Unpack the packages that an Aptfile lists, one on a line, into a layer for the build and the app."""

from __future__ import annotations

import re

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY
import debian_packages

APTFILE = "Aptfile"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?")


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app has an Aptfile."""
    return context.pass_() if (context.app_dir / APTFILE).is_file() else context.fail(f"no {APTFILE}")


def build(context: bp.BuildContext) -> None:
    """Make the layer."""
    wanted = packages((context.app_dir / APTFILE).read_text(encoding="utf-8"))
    fix = f"check the names in the {APTFILE} with: apt-cache policy NAME"
    debian_packages.install(context, "packages", wanted, types=bp.BUILD | bp.LAUNCH, fix=fix)


def packages(text: str) -> list[str]:
    """Return the packages of an Aptfile; ``BuildpackError`` names a bad line."""
    found = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if not _PACKAGE.fullmatch(line):
            raise bp.BuildpackError(
                f"{APTFILE}:{number}: {line!r} is no package", fix="write a name, or name=version, on each line"
            )
        found.append(line)
    if not found:
        raise bp.BuildpackError(f"{APTFILE}: no package in it", fix="add the name of one, or remove the file")
    return found


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
