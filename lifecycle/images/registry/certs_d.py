"""Certificates of one host, in the directories ``certs.d/<host[:port]>`` that docker and podman read.

Sources: docker docs "Verify repository client with certificates"; containers/image docs ``containers-certs.d.5``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidFileError
from lifecycle.oci.reference import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)

SYSTEM_DIRS = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))
_HUB_NAMES = ("docker.io", "registry-1.docker.io", DEFAULT_REGISTRY)


@dataclass(frozen=True, slots=True)
class HostCertificates:
    """CAs to trust for a host besides the others, and the certificate and key to show to it."""

    ca_files: tuple[Path, ...] = ()
    client_cert: tuple[Path, Path] | None = None


def certs_dirs(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where the directories of hosts are, the user's first."""
    home = environment.get("HOME")
    config = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    return ((Path(config, "containers", "certs.d"),) if config else ()) + SYSTEM_DIRS


def host_certificates(registry: str, dirs: tuple[Path, ...]) -> HostCertificates:
    """Return what the first directory for ``registry`` holds: ``*.crt``, and ``*.cert`` with ``*.key``.

    A directory that this user may not read counts as none.  Raises ``InvalidFileError`` if it can't be read for
    another reason, or a certificate lacks its key.
    """
    names = _HUB_NAMES if registry == DEFAULT_REGISTRY else (registry,)
    for directory in (parent / name for parent in dirs for name in names):
        try:
            files = sorted(directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            # A phase that gave up root's rights can't look into root's home, and rarely has to.
            _LOG.debug("%s may not be read; it is ignored", directory)
            continue
        except OSError as error:
            raise InvalidFileError(
                f"can't be read: {error.strerror}", where=directory, remedy="let this user read it"
            ) from error
        pairs = [(path, path.with_suffix(".key")) for path in files if path.suffix == ".cert"]
        for certificate, key in pairs:
            if key not in files:
                raise InvalidFileError(
                    "has no key beside it", where=certificate, remedy=f"add {key.name}, or call a CA *.crt"
                )
        return HostCertificates(
            ca_files=tuple(path for path in files if path.suffix == ".crt"),
            client_cert=pairs[0] if pairs else None,
        )
    return HostCertificates()


def remedy_for(problem: str, registry: str) -> str:
    """Return what to do about a certificate, or one of its authorities, that OpenSSL has this problem with."""
    if "expired" in problem or "not yet valid" in problem:
        return f"renew the certificate of {registry}, or correct the clock of this host"
    if "mismatch" in problem:
        return f"name {registry} as its certificate does, or give it a certificate for this name"
    return f"store the certificate of its authority as {SYSTEM_DIRS[0]}/{registry}/ca.crt, or name it in SSL_CERT_FILE"
