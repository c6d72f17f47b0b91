"""The same exit code as the reference for each failing input; exit_codes.py lists the intended differences.

With ``CNB_REFERENCE_DIR`` the reference runs too, else its recorded code counts.
"""

from pathlib import Path

import pytest

from parity.bad_inputs import BAD_INPUTS
from parity.exit_codes import DIFFERENT, recorded
from parity.failing import fail
from parity.runner import OURS, reference

NAMES = [str(bad) for bad in BAD_INPUTS]


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=str)
def test_the_exit_code_is_that_of_the_reference(bad, new_root):
    result, well = fail(bad, new_root(), OURS)
    assert well
    wanted, reason = DIFFERENT.get(str(bad), (recorded()[str(bad)], ""))
    assert result.code == wanted, (result.out, result.err, reason)
    assert "Traceback" not in result.err
    if result.code not in {0, 2}:
        assert "ERROR: " in result.out
    if reference() is not None:
        theirs, well = fail(bad, new_root(), reference())
        assert well
        assert theirs.code == recorded()[str(bad)], theirs.out


def test_there_is_a_recorded_code_for_each_bad_input_and_none_too_many():
    assert sorted(recorded()) == sorted(NAMES)
    assert len(NAMES) >= 120


def test_differences_are_differences():
    assert {name for name in DIFFERENT if recorded()[name] == DIFFERENT[name][0]} == set()


def test_the_decision_record_tells_each_difference():
    record = Path(__file__).parents[2] / "spec" / "decisions" / "0010-differences-from-the-reference.md"
    text = record.read_text(encoding="utf-8")
    assert [name for name in DIFFERENT if f"`{name}`" not in text] == []
