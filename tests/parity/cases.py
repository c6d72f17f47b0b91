"""The matrix: every input by name."""

from parity import cases_app, cases_buildpacks, cases_platform

CASES = (*cases_app.CASES, *cases_buildpacks.CASES, *cases_platform.CASES)
assert len({case.name for case in CASES}) == len(CASES)
