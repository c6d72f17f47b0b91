#!/usr/bin/env -S python3 -B
"""Serve the files of an app with nginx from Debian's packages."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY
import debian_packages

INDEX = "index.html"
ROOTS = ("public", "dist", "build", ".")
SITE = Path(__file__).resolve().parent / "site"


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when one of the directories has an index.html."""
    root = site_root(context)
    return context.fail(f"no {INDEX} in {', '.join(ROOTS)}") if root is None else context.pass_()


def build(context: bp.BuildContext) -> None:
    """Install nginx and its configuration."""
    root = site_root(context)
    if root is None:
        raise bp.BuildpackError(f"there is no {INDEX} any more", fix="set BP_STATIC_ROOT to the directory that has it")
    debian_packages.install(context, "nginx", ["nginx"], types=bp.LAUNCH)
    layer = context.uncached_layer("site", types=bp.LAUNCH)
    bp.write_atomic(layer.path / "nginx.conf", configuration(fallback(context)).encode())
    serve = layer.path / "bin" / "serve-site"
    bp.write_atomic(serve, (SITE / "serve-site").read_bytes())
    serve.chmod(0o755)
    context.launch.process("web", ["serve-site", root], default=True)
    bp.log.info(f"serving {root} on $PORT, 8080 if that is not set")


def site_root(context: bp.DetectContext | bp.BuildContext) -> str | None:
    """Return the directory that is served, relative to the app; ``BuildpackError`` for one that is set wrongly."""
    wanted = context.env.get("BP_STATIC_ROOT")
    if wanted:
        if not (context.app_dir / inside(wanted, "BP_STATIC_ROOT")).is_dir():
            raise bp.BuildpackError(f"BP_STATIC_ROOT is {wanted}, which is no directory of the app", fix="correct it")
        return wanted
    return next((root for root in ROOTS if (context.app_dir / root / INDEX).is_file()), None)


def fallback(context: bp.BuildContext) -> str:
    """Return the file that stands for addresses without one, for apps that route in the browser."""
    wanted = context.env.get("BP_STATIC_FALLBACK", "")
    return str(inside(wanted, "BP_STATIC_FALLBACK")) if wanted else ""


def inside(text: str, variable: str) -> PurePosixPath:
    """Return a path below the app; ``BuildpackError`` for any other."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not set(text).isdisjoint("\\\"'{};$ \n"):
        raise bp.BuildpackError(f"{variable} is {text!r}", fix="name a path below the app, without quotes and spaces")
    return path


def configuration(fallback_file: str) -> str:
    """Return nginx.conf; ``@PORT@`` is filled in when the app starts."""
    last = f"/{fallback_file}" if fallback_file else "=404"
    return (SITE / "nginx.conf").read_text(encoding="utf-8").replace("@LAST@", last)


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
