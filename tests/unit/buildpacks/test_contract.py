"""This project's buildpacks that need no network keep the contract of the specification."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from lifecycle.testing import contract

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "buildpacks"

TestProcfile = contract(
    ROOT / "buildpacks" / "procfile",
    files={"Procfile": "web: echo hello\njob: sleep 1\n"},
    broken={"Procfile": "nonsense"},
)
TestCaCertificates = contract(ROOT / "buildpacks" / "ca-certificates")


def wheel() -> bytes:
    """A package of one module."""
    info = "hello-1.0.dist-info"
    files = {
        "hello.py": "print('hello')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"hello.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


TestPythonPip = contract(
    ROOT / "buildpacks" / "python-pip",
    files={"requirements.txt": "--find-links ./wheels\nhello\n", "wheels/hello-1.0-py3-none-any.whl": wheel()},
    env={"PIP_NO_INDEX": "1"},
    broken={"requirements.txt": "nowhere==1.0\n"},
)
TestKeptLayers = contract(FIXTURES / "kept-layers")
