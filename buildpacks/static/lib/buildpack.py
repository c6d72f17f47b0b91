#!/usr/bin/env -S python3 -B
"""Serve the files of an app with nginx from Debian's packages."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY
import debian_packages

INDEX = "index.html"
ROOT = "BP_WEB_SERVER_ROOT"
ROOTS = ("public", "dist", "build", ".")
SITE = Path(__file__).resolve().parent / "site"


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when one of the directories has an index.html, or the one is named that a buildpack before may make."""
    if wanted_root(context) or site_root(context):
        return context.pass_()
    return context.fail(f"no {INDEX} in {', '.join(ROOTS)}")


def build(context: bp.BuildContext) -> None:
    """Install nginx and its configuration."""
    root = site_root(context)
    if root is None:
        raise bp.BuildpackError(f"there is no {INDEX} any more", fix=f"set {ROOT} to the directory that has it")
    debian_packages.install(context, "nginx", ["nginx"], types=bp.LAUNCH)
    layer = context.uncached_layer("site", types=bp.LAUNCH)
    push_state = context.env.get("BP_WEB_SERVER_ENABLE_PUSH_STATE") == "true"
    bp.write_atomic(layer.path / "nginx.conf", configuration(push_state=push_state).encode())
    serve = layer.path / "bin" / "serve-site"
    bp.write_atomic(serve, (SITE / "serve-site").read_bytes())
    serve.chmod(0o755)
    context.launch.process("web", ["serve-site", root], default=True)
    bp.log.info(f"serving {root} on $PORT, 8080 if that is not set")


def site_root(context: bp.DetectContext | bp.BuildContext) -> str | None:
    """Return the directory that is served, relative to the app; ``BuildpackError`` for one that is set wrongly."""
    wanted = wanted_root(context)
    if wanted and not (context.app_dir / wanted).is_dir():
        raise _no_directory(wanted)
    return wanted or next((root for root in ROOTS if (context.app_dir / root / INDEX).is_file()), None)


def wanted_root(context: bp.DetectContext | bp.BuildContext) -> str:
    """Return the directory that is asked for, empty if none is; ``BuildpackError`` for one outside of the app."""
    wanted = context.env.get(ROOT, "")
    path = PurePosixPath(wanted)
    if path.is_absolute() or ".." in path.parts:
        raise _no_directory(wanted)
    return wanted


def _no_directory(wanted: str) -> bp.BuildpackError:
    return bp.BuildpackError(f"{ROOT} is {wanted}, which is no directory of the app", fix="name one that is")


def configuration(*, push_state: bool) -> str:
    """Return nginx.conf, in which ``@PORT@`` is filled in when the app starts.

    With ``push_state`` addresses without a file are answered by the index, for apps that route in the browser.
    """
    last = f"/{INDEX}" if push_state else "=404"
    return (SITE / "nginx.conf").read_text(encoding="utf-8").replace("@LAST@", last)


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
