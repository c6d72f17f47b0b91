"""The few requests to a Docker daemon that images need, over ``DOCKER_HOST``; podman's service answers them too.

The only module that imports the ``docker`` package; its errors, and those of the libraries below it, become
``DaemonError`` here.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, DockerException, NotFound, StreamParseError
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from docker.utils import kwargs_from_env, parse_host
from urllib3.exceptions import HTTPError

from lifecycle.errors import DaemonError
from lifecycle.images.daemon.doorkeeper import Doorkeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DEFAULT_HOST = "unix:///var/run/docker.sock"
CONTAINERD_STORE = "io.containerd.snapshotter.v1"

_UNIX = "http+unix://"
_CONNECT_TIMEOUT = 10.0
_TIMEOUT = 600
"""Seconds of silence: a daemon says nothing while it unpacks a layer or collects an image to save."""
_CHUNK = 1 << 20
_PASSWORD = re.compile(r"(?<=//)[^/@]*:[^/]*@")
"""What is not shown of an address."""
_TLS_PORT = 2376
_PORT = 2375


class DaemonClient:
    """A daemon that has answered once."""

    def __init__(self, api: docker.APIClient, *, host: str) -> None:
        self._api = api
        self._host = host

    @property
    def host(self) -> str:
        """Where it is, as in ``DOCKER_HOST``."""
        return self._host

    def inspect(self, image: str) -> Mapping[str, Any] | None:
        """Return what ``docker inspect`` says of a name or id, ``None`` if there is no such image."""
        with _translated(self._host):
            try:
                found: Mapping[str, Any] = self._api.inspect_image(image)  # type: ignore[no-untyped-call]
            except NotFound:
                return None
        return found

    def history(self, image: str) -> Sequence[Mapping[str, Any]]:
        """Return what ``docker history`` says, newest first."""
        with _translated(self._host):
            history: Sequence[Mapping[str, Any]] = self._api.history(image) or ()  # type: ignore[no-untyped-call]
        return history

    def save(self, image: str) -> Iterator[bytes]:
        """Yield the archive of ``docker save``; it has to be read to its end."""
        with _translated(self._host):
            yield from self._api.get_image(image, chunk_size=_CHUNK)

    def load(self, archive: Iterator[bytes]) -> None:
        """Send an archive as ``docker load`` does; errors of ``archive`` itself pass through."""
        with _translated(self._host):
            answer = self._api.load_image(archive, quiet=True)  # type: ignore[no-untyped-call]
            for message in answer:
                problem = _problem(message)
                if problem:
                    raise DaemonError(f"refused the image: {problem}", where=self._host)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name."""
        with _translated(self._host):
            self._api.tag(image, repository, tag)

    def untag(self, name: str) -> None:
        """Take a name away; the image goes too if it was the only one."""
        with _translated(self._host):
            self._api.remove_image(name, noprune=True)

    def keeps_blobs(self) -> bool:
        """Say whether images lie in containerd's store, which takes an image as a whole only."""
        with _translated(self._host):
            status = self._api.info().get("DriverStatus") or []
        return ["driver-type", CONTAINERD_STORE] in status


def connect(environment: Mapping[str, str], *, before_drop: bool = False) -> DaemonClient:
    """Return the daemon of ``DOCKER_HOST``, ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH``.

    The newest API that both sides know is used.  ``before_drop`` says that this process is about to give up the right
    to open the socket, and has one thread.  Raises ``DaemonError``, which says why it can't be reached.
    """
    given = environment.get("DOCKER_HOST") or DEFAULT_HOST
    host = _PASSWORD.sub("", given)
    if host.startswith("ssh://"):
        raise DaemonError(
            "ssh is not supported",
            where=f"DOCKER_HOST={host}",
            remedy="forward the socket with 'ssh -N -L /tmp/docker.sock:/var/run/docker.sock …' and set "
            "DOCKER_HOST=unix:///tmp/docker.sock",
        )
    certificates = environment.get("DOCKER_CERT_PATH") or f"{environment.get('HOME', '')}/.docker"
    asked = {"DOCKER_HOST": given, **({"DOCKER_CERT_PATH": certificates} if _wants_tls(environment) else {})}
    if "DOCKER_TLS_VERIFY" in environment:
        asked["DOCKER_TLS_VERIFY"] = environment["DOCKER_TLS_VERIFY"]
    try:
        url = str(parse_host(given, tls=_wants_tls(environment)))
    except (DockerException, ValueError) as error:
        raise _no_address(host) from error
    try:
        settings = kwargs_from_env(asked)
    except DockerException as error:
        raise DaemonError(
            "lacks the files for TLS",
            where=certificates,
            remedy="put ca.pem, cert.pem and key.pem there, or set DOCKER_CERT_PATH",
        ) from error
    _knock(url, host, environment)
    with _translated(host):
        api = _Api(**settings, version="auto")
        api.timeout = _TIMEOUT
        if url.startswith(_UNIX):
            path = url.removeprefix(_UNIX)
            api.keep_connection(url, Doorkeeper(path).connect if before_drop else partial(_open_socket, path))
    return DaemonClient(api, host=host)


class _Api(docker.APIClient):
    """The library's client without two of its habits."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Keep to the certificates of ``DOCKER_CERT_PATH``, which ``REQUESTS_CA_BUNDLE`` would replace."""
        verify = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def keep_connection(self, url: str, open_socket: Callable[[], socket.socket]) -> None:
        """Open a connection that later requests use; the library would keep one for each path it asks for."""
        prefix = f"{self.base_url.partition('://')[0]}://"
        self.get_adapter(prefix).close()
        self.mount(prefix, _KeptConnections(url, open_socket))
        self.ping()


class _KeptConnections(UnixHTTPAdapter):
    def __init__(self, url: str, open_socket: Callable[[], socket.socket]) -> None:
        super().__init__(url, _TIMEOUT)
        self._pool = _Pool(url, open_socket)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        del url, proxies
        return self._pool

    def close(self) -> None:
        super().close()
        self._pool.close()


class _Pool(UnixHTTPConnectionPool):
    def __init__(self, url: str, open_socket: Callable[[], socket.socket]) -> None:
        super().__init__(url, url.removeprefix(_UNIX), _TIMEOUT)
        self._open_socket = open_socket

    def _new_conn(self) -> Any:
        return _Connection(self.base_url, self.socket_path, self._open_socket)


class _Connection(UnixHTTPConnection):
    def __init__(self, url: str, path: str, open_socket: Callable[[], socket.socket]) -> None:
        super().__init__(url, path, _TIMEOUT)
        self._open_socket = open_socket

    def connect(self) -> None:
        self.sock = self._open_socket()
        self.sock.settimeout(_TIMEOUT)


def _open_socket(path: str) -> socket.socket:
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        unix.settimeout(_CONNECT_TIMEOUT)
        unix.connect(path)
    except BaseException:
        unix.close()
        raise
    return unix


def _wants_tls(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_CERT_PATH"))


def _no_address(host: str) -> DaemonError:
    return DaemonError(
        "is not the address of a daemon",
        where=f"DOCKER_HOST={host}",
        remedy="write it as unix:///path/of/docker.sock or tcp://host:port",
    )


def _knock(url: str, host: str, environment: Mapping[str, str]) -> None:
    """Raise an error that says what to do if nobody listens at ``url``."""
    try:
        if url.startswith(_UNIX):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
                unix.settimeout(_CONNECT_TIMEOUT)
                unix.connect(url.removeprefix(_UNIX))
            return
        parts = urlsplit(url)
        port = parts.port or (_TLS_PORT if parts.scheme == "https" else _PORT)
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_TIMEOUT).close()
    except PermissionError as error:
        raise DaemonError(
            f"may not be used by this user (uid {os.geteuid()})",
            where=host,
            remedy="add the user to the group that owns the socket, or name a socket of its own in DOCKER_HOST",
        ) from error
    except UnicodeError as error:  # a name that no host can have
        raise _no_address(host) from error
    except OSError as error:
        raise DaemonError(
            f"no container daemon can be reached there: {error.strerror or error}",
            where=host,
            remedy=_other_socket(host, environment) or "start the daemon, or say in DOCKER_HOST where it is",
        ) from error


def _other_socket(host: str, environment: Mapping[str, str]) -> str:
    """Return advice where podman's service listens, though nobody asked for it."""
    if host != DEFAULT_HOST:
        return ""
    runtime = environment.get("XDG_RUNTIME_DIR")
    for path in (*([Path(runtime, "podman/podman.sock")] if runtime else []), Path("/run/podman/podman.sock")):
        if path.is_socket():
            return f"for podman's service set DOCKER_HOST=unix://{path}"
    return ""


def _problem(message: object) -> str:
    """Return the error that a message of a load's answer tells of, or nothing."""
    if not isinstance(message, dict):
        return ""
    # containerd's store reports an image that it could not unpack, and so can't run, among its good news.
    news = str(message.get("stream") or "").strip()
    broken = news if news.startswith("Error unpacking image") else ""
    return str(message.get("error") or message.get("message") or broken)


@contextlib.contextmanager
def _translated(host: str) -> Iterator[None]:
    try:
        yield
    except APIError as error:
        raise DaemonError(f"refused: {error.explanation or error}", where=host) from error
    except (DockerException, StreamParseError, HTTPError, OSError, ValueError, KeyError) as error:
        raise DaemonError(f"does not answer as a container daemon does: {_root(error)}", where=host) from error


def _root(error: BaseException) -> str:
    """Return the system's own words where the libraries wrapped them."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)
