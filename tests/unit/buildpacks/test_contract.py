"""This project's buildpacks that need no network keep the contract of the specification."""

from __future__ import annotations

from pathlib import Path

from lifecycle.testing import contract

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "buildpacks"

TestProcfile = contract(
    ROOT / "buildpacks" / "procfile",
    files={"Procfile": "web: echo hello\njob: sleep 1\n"},
    broken={"Procfile": "nonsense"},
)
TestKeptLayers = contract(FIXTURES / "kept-layers")
