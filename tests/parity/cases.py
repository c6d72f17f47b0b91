"""The matrix: every input by name."""

from parity import cases_app, cases_buildpacks, cases_detection, cases_platform, cases_previous

CASES = (
    *cases_app.CASES,
    *cases_buildpacks.CASES,
    *cases_detection.CASES,
    *cases_platform.CASES,
    *cases_previous.CASES,
)
assert len({case.name for case in CASES}) == len(CASES)
