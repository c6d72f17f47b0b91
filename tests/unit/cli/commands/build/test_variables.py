"""Variables for buildpacks from the command line."""

from lifecycle.cli.commands.build.variables import read_variables


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
