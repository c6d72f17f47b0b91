"""The contract of ``bin/detect``.  Spec: buildpack.md "Phase #1: Detection", "Buildpack Interface"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.executables.process import ending
from lifecycle.testing.contracts.breach import Breach, none_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.model.target import Target, TargetData
    from lifecycle.testing.contracts.runs import Runs
    from lifecycle.testing.detection import Detection

_DETECTION = 'buildpack.md "Detection"'
_STATUSES = (0, 100)


class DetectTests:
    """What any ``bin/detect`` has to keep."""

    def test_detect_and_build_are_executable(self, cnb_runs: Runs) -> None:
        """Both are there, and may be executed."""
        none_of(
            Breach(
                f"bin/{name} of {cnb_runs.buildpack.root} is missing or not executable",
                'buildpack.md "Buildpack Interface"',
                f"chmod +x bin/{name}, and keep the bit when the buildpack is packaged",
            )
            for name in ("detect", "build")
            if not os.access(cnb_runs.buildpack.root / "bin" / name, os.X_OK)
        )

    def test_detect_passes_for_the_app(self, cnb_runs: Runs) -> None:
        """The group with the buildpack passes for the app of the test."""
        found = cnb_runs.detection
        passed = found.passed if cnb_runs.subject.plan is None else _status(found, cnb_runs) == 0
        none_of(
            []
            if passed
            else [
                Breach(
                    f"detection of the app does not pass:\n{found.report}",
                    _DETECTION,
                    "give an app that the buildpack is for; what it requires of others comes from before=, after= or "
                    "plan= (--cnb-plan)",
                )
            ]
        )

    def test_detect_ends_with_0_or_100(self, cnb_runs: Runs) -> None:
        """Any other status is an error, which stops the build of every group that has the buildpack."""
        seen = {
            "the app": _status(cnb_runs.detection, cnb_runs),
            "an empty app": _status(cnb_runs.detection_of_nothing, cnb_runs),
        }
        none_of(
            Breach(
                f"bin/detect {ending(status)} for {app}",
                _DETECTION,
                "end with 0 to take part and with 100 to stay out, also where the files of the app are missing",
            )
            for app, status in seen.items()
            if status not in _STATUSES
        )

    def test_detect_writes_a_build_plan_that_the_specification_knows(self, cnb_runs: Runs) -> None:
        """The plan is TOML, and has no other keys than the Buildpack API."""
        from lifecycle.testing.contracts.toml_keys import plan_breaches  # noqa: PLC0415  # see subject.py

        call = cnb_runs.detection.calls.get(cnb_runs.id)
        none_of(plan_breaches(call.plan) if call else ())

    def test_detect_says_the_same_again(self, cnb_runs: Runs) -> None:
        """Status and plan depend on the app alone."""
        first, second = cnb_runs.detection.calls.get(cnb_runs.id), cnb_runs.detect().calls.get(cnb_runs.id)
        same = first is None or second is None or (first.status, first.plan) == (second.status, second.plan)
        none_of(
            []
            if same or first is None or second is None
            else [
                Breach(
                    f"bin/detect {ending(first.status)} with the plan {first.plan!r}, and then {ending(second.status)} "
                    f"with {second.plan!r}",
                    _DETECTION,
                    "leave times, random values and unsorted listings out of the plan",
                )
            ]
        )

    def test_detect_changes_nothing_but_its_plan(self, cnb_runs: Runs) -> None:
        """App, layers, platform directory and buildpacks stay as they are."""
        none_of(
            Breach(
                f"bin/detect: {change}",
                'buildpack.md "Detection" (the executable may write its plan alone)',
                "leave work to bin/build, and write into a temporary directory what detection needs",
            )
            for change in cnb_runs.disturbed.get("detect", ())
        )

    def test_detect_respects_each_target_it_declares(self, cnb_runs: Runs) -> None:
        """For each declared target ``bin/detect`` decides; it fails with no error."""
        none_of(_of_targets(cnb_runs))


def _status(found: Detection, runs: Runs) -> int:
    return found.calls[runs.id].status if runs.id in found.calls else 0


def _of_targets(runs: Runs) -> Iterator[Breach]:
    for target in runs.buildpack.descriptor.targets:
        if target.os not in {"", "linux"}:
            continue
        for wanted in _variants(target):
            found = runs.detect(target=wanted)
            status = _status(found, runs)
            if status not in _STATUSES:
                yield Breach(
                    f"bin/detect {ending(status)} for the target {wanted}",
                    'buildpack.md "Targets"',
                    "take the target from CNB_TARGET_OS, CNB_TARGET_ARCH and CNB_TARGET_DISTRO_*, or declare fewer",
                )


def _variants(target: Target) -> Iterator[TargetData]:
    from lifecycle.model.target import TargetData  # noqa: PLC0415  # see subject.py

    for distro in target.distros or (None,):
        yield TargetData(os="linux", arch=target.arch or "amd64", arch_variant=target.arch_variant, distro=distro)
