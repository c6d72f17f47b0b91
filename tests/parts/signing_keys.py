"""Keys of signatures, made by openssl."""

import shutil
import subprocess
from pathlib import Path

import pytest


class SigningKeys:
    """`private` and `public` files by name, in `directory`."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: apt-get install openssl")
        self.directory = directory

    def make(self, name: str, algorithm: str = "ed25519") -> tuple[Path, Path]:
        """Make a pair and return its files, `NAME.key` and `NAME.pub`."""
        private, public = self.directory / f"{name}.key", self.directory / f"{name}.pub"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", algorithm, "-out", private], check=True, capture_output=True
        )
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        return private, public

    def options(self, name: str, *more: str) -> str:
        """What the name of a cache says whose builder signs as `name` and trusts `more` too."""
        trusted = ":".join(str(self.directory / f"{each}.pub") for each in (name, *more))
        return f",sign-key={self.directory / f'{name}.key'},verify-key={trusted}"
