"""Docker's ``config.json`` and podman's ``auth.json``, which have one format.

Sources: docker docs "docker login", "Credential stores"; containers/image docs ``containers-auth.json.5``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.images.registry.credential import ANONYMOUS, Credential
from lifecycle.images.registry.credential_helper import ask_helper
from lifecycle.images.registry.registry_auth import decode_basic, is_header_text, registry_of
from lifecycle.oci.reference import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOG = logging.getLogger(__name__)

_HUB_KEYS = ("https://index.docker.io/v1/", DEFAULT_REGISTRY, "docker.io", "registry-1.docker.io")
_HUB_SERVERS = (_HUB_KEYS[0], "docker.io")
"""The names by which docker and podman give Docker Hub's credentials to a helper."""


@dataclass(frozen=True, slots=True)
class AuthFile:
    """The parts of such a file that concern registries; ``auths`` are secrets."""

    path: Path
    auths: Mapping[str, Mapping[str, str]] = field(repr=False)
    helpers: Mapping[str, str]
    store: str

    def credential(self, registry: str, environment: Mapping[str, str]) -> Credential:
        """Return what the file has for ``registry``: from its helper, else from its own entries.

        Looked up by registry alone, as in the reference; of podman's entries for parts of a registry the one
        with the shortest path counts for all of it.
        """
        found = self._from_helper(registry, environment)
        return self._from_entries(registry) if found.anonymous else found

    def _from_helper(self, registry: str, environment: Mapping[str, str]) -> Credential:
        keys, servers = (_HUB_KEYS, _HUB_SERVERS) if registry == DEFAULT_REGISTRY else ((registry,), (registry,))
        named = next((key for key in keys if self.helpers.get(key)), None)
        helper, member = (self.store, "credsStore") if named is None else (self.helpers[named], "credHelpers")
        if not helper:
            return ANONYMOUS
        for server in servers:
            found = ask_helper(helper, server, environment, configured_in=f"{member} of {self.path}")
            if not found.anonymous:
                return found
        return ANONYMOUS

    def _from_entries(self, registry: str) -> Credential:
        names = _HUB_KEYS if registry == DEFAULT_REGISTRY else (registry,)
        exact = [key for key in names if key in self.auths]
        others = sorted((key for key in self.auths if registry_of(key) in names), key=lambda key: (len(key), key))
        for key in dict.fromkeys([*exact, *others]):
            found = self._entry(key)
            if not found.anonymous:
                return found
        return ANONYMOUS

    def _entry(self, key: str) -> Credential:
        entry = self.auths[key]
        username, password = entry.get("username", ""), entry.get("password", "")
        if entry.get("auth"):
            pair = decode_basic(entry["auth"])
            if pair is None:
                _LOG.warning('%s: auths."%s".auth is not the base64 of user:password; log in again', self.path, key)
                return ANONYMOUS
            username, password = pair
        if not is_header_text(entry.get("registrytoken", "")):
            _LOG.warning('%s: auths."%s".registrytoken is no token; log in again', self.path, key)
            return ANONYMOUS
        return Credential(
            username=username,
            password=password,
            identity_token=entry.get("identitytoken", ""),
            registry_token=entry.get("registrytoken", ""),
            source=f"auths of {self.path}",
        )


def read_auth_files(environment: Mapping[str, str]) -> tuple[AuthFile, ...]:
    """Return the files that there are, Docker's first.

    A file that can't be read or understood is a warning that names it, and counts as empty: so do docker and the
    reference, because most images need no credentials, and one that does says so when it is refused.
    """
    return tuple(found for path in _paths(environment) if (found := _read(path)) is not None)


def _paths(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where the files may be.  A user without ``HOME`` has none there."""
    home = environment.get("HOME")
    if environment.get("DOCKER_CONFIG"):
        yield Path(environment["DOCKER_CONFIG"], "config.json")
    elif home:
        yield Path(home, ".docker", "config.json")
    if environment.get("REGISTRY_AUTH_FILE"):
        yield Path(environment["REGISTRY_AUTH_FILE"])
    if environment.get("XDG_RUNTIME_DIR"):
        yield Path(environment["XDG_RUNTIME_DIR"], "containers", "auth.json")
    if environment.get("XDG_CONFIG_HOME"):
        yield Path(environment["XDG_CONFIG_HOME"], "containers", "auth.json")
    elif home:
        yield Path(home, ".config", "containers", "auth.json")


def _read(path: Path) -> AuthFile | None:
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        _LOG.warning("%s can't be read: %s; going on without its credentials", path, error.strerror)
        return None
    except (ValueError, RecursionError):
        _LOG.warning("%s is not valid JSON; going on without its credentials", path)
        return None
    if not isinstance(value, dict):
        _LOG.warning("%s is not a JSON object; going on without its credentials", path)
        return None
    auths = _table(value, "auths", path)
    store = value.get("credsStore", "")
    return AuthFile(
        path=path,
        auths={key: _strings(entry) for key, entry in auths.items() if isinstance(entry, dict)},
        helpers=_strings(_table(value, "credHelpers", path)),
        store=store if isinstance(store, str) else "",
    )


def _table(value: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    found = value.get(name)
    if found is not None and not isinstance(found, dict):
        _LOG.warning("%s: %s is not a JSON object; going on without it", path, name)
    return found if isinstance(found, dict) else {}


def _strings(value: Mapping[str, Any]) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)}
