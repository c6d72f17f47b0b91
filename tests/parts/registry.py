"""Debian's docker-registry as a process on loopback."""

import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

EXECUTABLE = "docker-registry"
_STARTS_WITHIN = 120.0
"""Seconds; far more than a start takes, so that a busy machine fails no test."""
_ADDRESS = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


def docker_registry() -> str:
    """Path of the executable; skips the test where it isn't installed."""
    found = shutil.which(EXECUTABLE)
    if found is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    return found


def _ends_with_us() -> list[str]:
    """A prefix that ends the process even where ours is killed: the kernel does so when the starting thread ends."""
    found = shutil.which("setpriv") if threading.current_thread() is threading.main_thread() else None
    return [found, "--pdeathsig", "KILL", "--"] if found else []


@dataclass
class RegistryServer:
    """One docker-registry with its storage in `directory`, configured as Debian packages it, and deletion enabled.

    `host` is "127.0.0.1:PORT" with a port that the kernel chose at the first start and that stays over restarts.
    `http` and `auth` are those sections of the configuration: see docker-registry's configuration reference.
    `with RegistryServer(directory) as registry:` starts it, waits until it answers, and kills it at the end.
    """

    directory: Path
    http: Mapping[str, object] = field(default_factory=dict)
    auth: Mapping[str, object] | None = None
    ca_file: Path | None = None
    client_cert: tuple[Path, Path] | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    host: str = field(default="", init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://{self.host}"

    @property
    def storage(self) -> Path:
        return self.directory / "storage"

    @property
    def log(self) -> str:
        """All that docker-registry wrote so far: its own log and one line for each request."""
        path = self.directory / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def blob_path(self, digest: str) -> Path:
        """Where a blob's bytes lie; a test may look, damage or remove them (see `restart` for the registry's cache)."""
        algorithm, hexadecimal = digest.split(":")
        blobs = self.storage / "docker/registry/v2/blobs"
        return blobs / algorithm / hexadecimal[:2] / hexadecimal / "data"

    def start(self) -> None:
        """Start the process and wait until `/v2/` answers; `RuntimeError` with its log when it doesn't."""
        if self._process is not None:
            raise RuntimeError(f"the registry on {self.host} is running")
        executable = docker_registry()
        self.storage.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "config.yml"
        configuration.write_text(json.dumps(self._configuration(), indent=2), encoding="utf-8")
        already = len(self.log)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_ends_with_us(), executable, "serve", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        try:
            self._wait(already)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process at once, as a crash would; storage and log stay."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def restart(self) -> None:
        """Kill the process if it runs, start it again on the same port and storage, with empty caches in memory."""
        self.kill()
        self.start()

    def _configuration(self) -> dict[str, object]:
        chosen: dict[str, object] = {
            "version": "0.1",
            "log": {"fields": {"service": "registry"}},
            "storage": {
                "cache": {"blobdescriptor": "inmemory"},
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": True},
            },
            "http": {
                "addr": self.host or "127.0.0.1:0",
                "headers": {"X-Content-Type-Options": ["nosniff"]},
                **self.http,
            },
            "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
        }
        return chosen if self.auth is None else {**chosen, "auth": self.auth}

    def _wait(self, already: int) -> None:
        assert self._process is not None
        until = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            said = _ADDRESS.search(self.log, already)
            if said is not None:
                self.host = f"127.0.0.1:{said[1]}"
                if self._answers():
                    return
            time.sleep(0.02)
        raise RuntimeError(f"docker-registry in {self.directory} did not start:\n{self.log[already:]}")

    def _answers(self) -> bool:
        if self.ca_file is None:
            connection = http.client.HTTPConnection(self.host, timeout=5)
        else:
            trusted = ssl.create_default_context(cafile=self.ca_file)
            if self.client_cert is not None:
                trusted.load_cert_chain(*self.client_cert)
            connection = http.client.HTTPSConnection(self.host, timeout=5, context=trusted)
        try:
            connection.request("GET", "/v2/")
            with connection.getresponse() as answer:
                return answer.status in {200, 401}
        except OSError:
            return False
        finally:
            connection.close()
