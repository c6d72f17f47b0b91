"""The contract of a buildpack with its surroundings: users, paths, variables.  Spec: buildpack.md "Environment"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lifecycle.testing.conditions import Conditions
from lifecycle.testing.contracts.breach import Breach, none_of

if TYPE_CHECKING:
    from lifecycle.testing.build import Build
    from lifecycle.testing.contracts.runs import Runs


class SurroundingsTests:
    """Under which conditions a buildpack has to work."""

    def test_it_works_in_a_path_with_a_space(self, cnb_runs: Runs) -> None:
        """No directory is taken apart at spaces."""
        _passes(
            cnb_runs.in_a_path_with_a_space,
            "in a path with a space",
            spec='buildpack.md "Buildpack Interface" (paths are absolute, and otherwise any)',
            remedy='quote variables: "$CNB_LAYERS_DIR", not $CNB_LAYERS_DIR',
        )

    def test_it_works_at_the_paths_of_the_image(self, cnb_runs: Runs) -> None:
        """The directories are /layers, /workspace and /platform."""
        if cnb_runs.namespaces_refused:
            pytest.skip(f"this host has no mount namespaces: {cnb_runs.namespaces_refused}")
        _passes(
            cnb_runs.anew[0],
            "at the paths of the image",
            spec='buildpack.md "Buildpack Interface"',
            remedy="take all directories from CNB_* variables or arguments",
        )

    def test_it_works_under_any_user(self, cnb_runs: Runs) -> None:
        """The platform chooses user and group; nobody else's files are needed."""
        _works(
            cnb_runs,
            Conditions(as_in_image=True, user=cnb_runs.user),
            "under another user",
            spec='platform.md "Security Considerations" (CNB_USER_ID)',
            remedy="need no name for the user, no root, and no directory but layers, app and temporary ones",
        )

    def test_it_works_with_a_strict_umask(self, cnb_runs: Runs) -> None:
        """Files that it makes are its user's alone."""
        _works(
            cnb_runs,
            Conditions(umask=0o077),
            "with umask 077",
            spec='buildpack.md "Build"',
            remedy="set modes where others have to read what you write",
        )

    def test_it_works_without_a_home(self, cnb_runs: Runs) -> None:
        """``HOME`` may be unset."""
        _works(
            cnb_runs,
            Conditions(with_home=False),
            "without HOME",
            spec='buildpack.md "Provided by the Lifecycle" (HOME is passed on if it is set)',
            remedy="give tools a HOME below CNB_LAYERS_DIR or a temporary directory",
        )

    def test_it_works_from_a_directory_that_it_can_not_write(self, cnb_runs: Runs) -> None:
        """The buildpack belongs to another user in a builder image."""
        user = cnb_runs.user if os.geteuid() == 0 else None
        _works(
            cnb_runs,
            Conditions(as_in_image=user is not None, user=user, copied=True, writable_modules=False),
            "from a read-only directory",
            spec='buildpack.md "Build" (a buildpack writes into <layers> and <app> alone)',
            remedy="write no caches, logs or bytecode into CNB_BUILDPACK_DIR",
        )


def _works(runs: Runs, conditions: Conditions, name: str, *, spec: str, remedy: str) -> None:
    """Build under these conditions alone, unless all at once do no harm."""
    if runs.under_all.error is not None:
        _passes(runs.build_under(conditions, name.replace(" ", "-")), name, spec=spec, remedy=remedy)


def _passes(build: Build, condition: str, *, spec: str, remedy: str) -> None:
    what = f"the build fails {condition}: {build.error}"
    none_of([] if build.error is None else [Breach(what, spec, remedy, build.log)])
