"""The certificates that programs of the build image trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
"""Where Debian and Fedora, and what is made of them, keep all in one file."""


def bundle(env: Mapping[str, str]) -> Path | None:
    """Return the file of ``SSL_CERT_FILE``, else of the system, ``None`` if it has none.

    Raises ``BuildpackError`` if the variable names no file.
    """
    given = env.get("SSL_CERT_FILE")
    if not given:
        return next((each for each in BUNDLES if each.is_file()), None)
    if not Path(given).is_file():
        raise bp.BuildpackError(f"there are no certificates in {given}", fix="correct SSL_CERT_FILE")
    return Path(given)
