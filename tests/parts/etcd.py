"""Debian's etcd as a process: the server of locks."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

import pytest

_STARTS_WITHIN = 120.0
_TRIES = 3


class Etcd:
    """One etcd with its data in `directory`; `url`, which stays over restarts, serves its JSON API."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("etcd") is None:
            pytest.skip("etcd is not installed: apt-get install etcd-server")
        self._directory = directory
        self.url = self._peer = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for _ in range(_TRIES):
            # Another process may take a port that was free.
            self.url, self._peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
            if self._starts():
                return self
            shutil.rmtree(self._directory / "data", ignore_errors=True)
        return pytest.fail(self._log)

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        if not self._starts():
            pytest.fail(self._log)

    @property
    def _log(self) -> str:
        return (self._directory / "etcd.log").read_text()[-2000:]

    def _starts(self) -> bool:
        with (self._directory / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "etcd", "--data-dir", self._directory / "data", "--listen-client-urls", self.url,
                    "--advertise-client-urls", self.url, "--listen-peer-urls", self._peer,
                    "--initial-advertise-peer-urls", self._peer, "--initial-cluster", f"default={self._peer}",
                    "--unsafe-no-fsync" if "unsafe-no-fsync" in _help() else "--logger=zap",
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        until = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                    if b"true" in answer.read():
                        return True
            except OSError:
                time.sleep(0.05)
        self.kill()
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _help() -> str:
    return subprocess.run(["etcd", "--help"], capture_output=True, text=True, check=False).stdout


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
