#!/usr/bin/env -S python3 -B
"""Add the certificates of service bindings to those of the system, when the app is built and when it starts.

Bindings: https://servicebinding.io/spec/core/1.1.0/, type ``ca-certificates``, each entry one or more certificates as
PEM.  Programs that read ``SSL_CERT_FILE`` (OpenSSL and what is built on it, Python, Ruby, Go), ``NODE_EXTRA_CA_CERTS``,
``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` follow.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import cnb_buildpack as bp  # missing with pack? It follows no links: run lifecycle buildpack package DIRECTORY
import system_certificates

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE = "ca-certificates"
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
PROGRAM = Path(__file__).resolve().parent / "add-certificates"
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s.+?\s-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass always: bindings may be there only when the app runs; ``BP_CA_CERTIFICATES=false`` opts out."""
    if context.env.get("BP_CA_CERTIFICATES", "true") == "false":
        return context.fail("BP_CA_CERTIFICATES is false")
    return context.pass_()


def build(context: bp.BuildContext) -> None:
    """Write the bundle for later buildpacks, and the program that makes one when the app starts."""
    helper = context.uncached_layer("helper", types=bp.LAUNCH)
    program = PROGRAM.read_text(encoding="utf-8")
    helper.exec_d("add-certificates", program.replace("@SYSTEM@", " ".join(map(str, system_certificates.BUNDLES))))
    found = certificates(context.platform)
    if not found:
        bp.log.info("no binding of type ca-certificates for the build; the app looks for them when it starts")
        return
    bundle = context.uncached_layer("bundle", types=bp.BUILD)
    path = bundle.path / "ca-certificates.pem"
    bp.write_atomic(path, system_bundle(context.env) + b"\n".join(found) + b"\n")
    for name in VARIABLES:
        bundle.env.override(name, path, scope=bp.BUILD)
    bp.log.info(f"{len(found)} certificate{'' if len(found) == 1 else 's'} added for the build")


def certificates(platform: bp.Platform) -> list[bytes]:
    """Return the certificates of all bindings; ``BuildpackError`` for an entry that has none."""
    found = []
    for binding in platform.bindings:
        if binding.type.lower() != TYPE:
            continue
        for key in binding.keys():  # noqa: SIM118  # no mapping
            pems = _PEM.findall(binding.bytes(key))
            if not pems:
                raise bp.BuildpackError(
                    f"binding {binding.name}: {key} has no certificate", fix="put certificates there as PEM"
                )
            found += pems
    return found


def system_bundle(env: Mapping[str, str]) -> bytes:
    """Return the certificates of the build image, if it has any."""
    path = system_certificates.bundle(env)
    return b"" if path is None else path.read_bytes().rstrip(b"\n") + b"\n"


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
