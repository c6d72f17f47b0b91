"""Colors, and output without any."""

import pytest

ESCAPE = "\x1b"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [((), {"CNB_NO_COLOR": "true"}), ((), {"NO_COLOR": "1"}), (("-no-color",), {}), (("-no-color=true",), {})],
)
@pytest.mark.parametrize("api", ["99.9", "0.15"])
def test_errors_have_no_colors_where_they_are_not_wanted(phase, api, arguments, variables):
    """The first is found before the flags are read, the second after that."""
    done = phase("analyzer", *arguments, api=api, **variables)
    assert done.code in {3, 11}
    assert done.errors
    assert ESCAPE not in done.colored


@pytest.mark.parametrize("variables", [{}, {"CNB_NO_COLOR": ""}, {"CNB_NO_COLOR": "false"}])
@pytest.mark.parametrize("api", ["99.9", "0.15"])
def test_errors_have_colors_otherwise(phase, api, variables):
    assert "\x1b[31;1mERROR: \x1b[0m" in phase("analyzer", api=api, **variables).colored


@pytest.mark.parametrize("name", ["detector", "builder"])
@pytest.mark.parametrize("flags", [("-no-color",), ()])
def test_colors_of_buildpacks_pass_or_go_as_those_of_the_lifecycle(place, name, flags):
    script = r"printf '\033[31mred\033[0m\n'; exit 1"
    place.buildpack(detect=script, build=script)
    done = place.run(name, *flags)
    assert "red" in done.output
    assert (ESCAPE in done.colored) is not bool(flags)
