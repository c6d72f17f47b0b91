"""The shell of shell processes.  Spec: README.md "Operating System Conventions"."""

from typing import Any

import pytest


@pytest.mark.requirement("PLAT-OS-001")
@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_shell_commands_and_profiles_are_bash_3_or_newer(image: Any, api: str) -> None:
    image.process("command = '[[ abc == a* ]] && list=(1 2) && echo ${#list[@]} ${BASH_VERSINFO[0]} $PROFILE'", api=api)
    image.file("a_b/layer/profile.d/x", "[[ abc == a* ]] && list=(a b c) && export PROFILE=${#list[@]}\n")
    done = image.run("web")
    assert done.returncode == 0, done.stdout + done.stderr
    count, version, profile = done.stdout.split()
    assert (count, profile) == ("2", "3")
    assert int(version) >= 3
