"""The requirement rows and the tests agree."""

import subprocess
import sys
from pathlib import Path

import pytest

SPEC = Path(__file__).parents[2] / "spec"


def test_every_done_row_has_a_test_and_every_marker_a_row():
    check = subprocess.run([sys.executable, SPEC / "status.py", "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize(
    ("rows", "proven", "problem"),
    [
        ([{"id": "A-1", "status": "done"}], {}, "no test"),
        ([{"id": "A-1", "status": "planned"}], {"A-2": ["t"]}, "no requirement"),
        ([{"id": "A-1", "status": "planned"}], {"A-1": ["t"]}, "say done"),
        ([{"id": "A-1", "status": "differs"}], {}, "without a reason"),
        ([{"id": "A-1", "status": "soon"}], {}, "expected one of"),
        ([{"id": "A-1", "status": "planned"}] * 2, {}, "2 times"),
    ],
)
def test_a_contradiction_is_found(rows, proven, problem):
    sys.path.insert(0, str(SPEC))
    try:
        import status
    finally:
        sys.path.remove(str(SPEC))
    assert problem in " ".join(status.problems(rows, proven))
