"""Variables for buildpacks from the command line."""

import pytest

from lifecycle.cli.commands.build.variables import read_variables
from lifecycle.errors import InvalidInputError


def test_a_name_alone_takes_the_value_that_is_set_here_and_a_missing_one_is_told(tmp_path):
    file = tmp_path / "vars"
    file.write_text("# none\nSET\nIN_FILE\n")
    warnings = []
    found = read_variables(
        ["SET", "EMPTY", "UNSET", "GIVEN=1"], [file], environment={"SET": "here", "EMPTY": ""}, warn=warnings.append
    )
    assert found == {"SET": "here", "EMPTY": "", "GIVEN": "1"}
    assert warnings == [
        f"{file}: line 3: IN_FILE is not set here, so buildpacks don't get it; write IN_FILE=VALUE, or IN_FILE= for none",
        "--env UNSET is not set here, so buildpacks don't get it; write UNSET=VALUE, or UNSET= for none",
    ]


@pytest.mark.parametrize("line", ["export SECRET=abc", "SECRET: abc", "A\tB=abc"])
def test_a_name_with_white_space_is_refused_and_what_may_be_a_value_not_repeated(tmp_path, line):
    file = tmp_path / "vars"
    file.write_text(f"FIRST=1\n{line}\n")
    with pytest.raises(InvalidInputError, match="white space") as caught:
        read_variables([], [file], environment={}, warn=print)
    assert str(caught.value).startswith(f"{file}: line 2: ")
    assert "abc" not in str(caught.value)
    with pytest.raises(InvalidInputError, match="--env: the name of a variable has white space"):
        read_variables([line], [], environment={}, warn=print)
