"""Who we are to a registry: every place in which users keep credentials, asked in a fixed order.

The first of these that has something for a registry is used:

1. ``CNB_REGISTRY_AUTH`` (``registry_auth``);
2. Docker's ``config.json``, then podman's ``auth.json`` (``auth_files``), each with its credential helpers;
3. for Amazon's and Azure's registries their credential helpers, where these are installed; the reference has them
   built in, and the same two variables switch them off.

Spec: platform.md "Registry Authentication".
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Protocol

from lifecycle.images.registry.auth_files import read_auth_files
from lifecycle.images.registry.credential import ANONYMOUS, Credential
from lifecycle.images.registry.credential_helper import ask_helper, find_helper
from lifecycle.images.registry.registry_auth import VARIABLE, header_credential, read_registry_auth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.images.registry.auth_files import AuthFile

__all__ = ["ANONYMOUS", "Credential", "Keychain", "default_keychain", "resolved"]

_CLOUDS = (
    (
        re.compile(r"\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)\Z"),
        "ecr-login",
        "CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON",
    ),
    (
        re.compile(r"[a-z0-9.-]+\.azurecr\.(io|cn|de|us)\Z"),
        "acr-env",
        "CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE",
    ),
)


class Keychain(Protocol):
    """Knows credentials by registry."""

    def credential(self, registry: str) -> Credential:
        """Return what to tell ``registry`` (as ``Reference.registry``); ``ANONYMOUS`` if nothing is known.

        Raises ``InvalidInputError`` if ``CNB_REGISTRY_AUTH`` has a malformed value for it.
        """
        ...


def default_keychain(environment: Mapping[str, str]) -> Keychain:
    """Return the keychain of a user's environment: files are read now, helpers asked once for each registry.

    Raises ``InvalidInputError`` if ``CNB_REGISTRY_AUTH`` is no JSON object of strings.
    """
    return _UserKeychain(
        headers=read_registry_auth(environment.get(VARIABLE, "")),
        files=read_auth_files(environment),
        environment=environment,
    )


def resolved(keychain: Keychain, registries: Iterable[str]) -> Keychain:
    """Return a keychain that knows what ``keychain`` knows now of ``registries``, and nothing else.

    For phases that give up privileges afterwards and could no longer read the files.
    """
    return _FixedKeychain({registry: keychain.credential(registry) for registry in dict.fromkeys(registries)})


class _FixedKeychain:
    def __init__(self, credentials: Mapping[str, Credential]) -> None:
        self._credentials = credentials

    def credential(self, registry: str) -> Credential:
        return self._credentials.get(registry, ANONYMOUS)


class _UserKeychain:
    def __init__(
        self, *, headers: Mapping[str, str], files: tuple[AuthFile, ...], environment: Mapping[str, str]
    ) -> None:
        self._headers = headers
        self._files = files
        self._environment = dict(environment)
        self._known: dict[str, Credential] = {}
        self._lock = threading.Lock()

    def credential(self, registry: str) -> Credential:
        with self._lock:
            if registry not in self._known:
                self._known[registry] = self._look_up(registry)
            return self._known[registry]

    def _look_up(self, registry: str) -> Credential:
        if registry in self._headers:
            found = header_credential(registry, self._headers[registry])
            if not found.anonymous:
                return found
        for file in self._files:
            found = file.credential(registry, self._environment)
            if not found.anonymous:
                return found
        return self._of_cloud(registry)

    def _of_cloud(self, registry: str) -> Credential:
        for registries, helper, skip in _CLOUDS:
            if (
                registries.match(registry)
                and self._environment.get(skip, "") != "true"
                and find_helper(helper, self._environment)
            ):
                return ask_helper(helper, registry, self._environment, configured_in="found on PATH")
        return ANONYMOUS
