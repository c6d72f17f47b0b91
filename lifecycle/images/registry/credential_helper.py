"""The door to credential helpers: programs ``docker-credential-<name>`` that keep users' credentials.

The protocol: ``docker-credential-<name> get`` reads a server's name on standard input and prints JSON with
``Username`` and ``Secret``.  Source: docker/docker-credential-helpers, README "Development".
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from lifecycle.images.registry.credential import ANONYMOUS, Credential

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)

TIMEOUT = 60.0
"""Seconds that a helper has; those of cloud providers ask over the network, those of desktops may ask the user."""

_NOT_FOUND = b"credentials not found in native keychain"
_IDENTITY_TOKEN = "<token>"  # noqa: S105  # the user name by which helpers say that the secret is a token
_OURS = "CNB_REGISTRY_AUTH"


def find_helper(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the path of the helper ``name`` on ``PATH``, ``None`` if there is none."""
    if not name or "/" in name:
        return None
    return shutil.which(_program(name), path=environment.get("PATH", os.defpath))


def ask_helper(
    name: str, server: str, environment: Mapping[str, str], *, configured_in: str, timeout: float = TIMEOUT
) -> Credential:
    """Return what the helper ``name`` has for ``server``; anonymous if it has nothing or fails.

    A helper that is missing or fails is a warning without anything that it printed, for that may hold secrets.
    ``configured_in`` says in words why it is asked.  The helper gets ``environment`` without ``CNB_REGISTRY_AUTH``.
    """
    path = find_helper(name, environment)
    if path is None:
        return _failed(name, server, configured_in, "is not on PATH")
    try:
        status, output, errors = _run(path, server, environment, timeout)
    except OSError as error:
        return _failed(name, server, configured_in, f"can't be started: {error.strerror}")
    except subprocess.TimeoutExpired:
        return _failed(name, server, configured_in, f"did not answer within {timeout:g} seconds")
    if status != 0:
        if _NOT_FOUND in output or _NOT_FOUND in errors:
            return ANONYMOUS
        return _failed(name, server, configured_in, f"ended with status {status}")
    return _answer(output, f"{_program(name)}, {configured_in}") or _failed(
        name, server, configured_in, "did not print JSON with Username and Secret"
    )


def _program(name: str) -> str:
    return f"docker-credential-{name}"


def _run(path: str, server: str, environment: Mapping[str, str], timeout: float) -> tuple[int, bytes, bytes]:
    with subprocess.Popen(
        [path, "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={key: value for key, value in environment.items() if key != _OURS},
    ) as process:
        try:
            output, errors = process.communicate(server.encode(), timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return process.returncode, output, errors


def _answer(output: bytes, source: str) -> Credential | None:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return None
    match answer:
        case {"Username": str(username), "Secret": str(secret)} if secret:
            if username == _IDENTITY_TOKEN:
                return Credential(identity_token=secret, source=source)
            return Credential(username=username, password=secret, source=source)
        case {"Username": "", "Secret": ""}:
            return ANONYMOUS
        case _:
            return None


def _failed(name: str, server: str, configured_in: str, problem: str) -> Credential:
    _LOG.warning(
        "%s (%s): %s %s; going on without its credentials; to see why: echo %s | %s get",
        configured_in,
        server,
        _program(name),
        problem,
        server,
        _program(name),
    )
    return ANONYMOUS
