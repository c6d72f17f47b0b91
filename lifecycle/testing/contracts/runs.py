"""What the tests of a contract look at: the runs of the buildpack, each made once when it is first asked for."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.errors import DetectionError, LifecycleError
from lifecycle.files.modules import Buildpack
from lifecycle.model.ids import directory_name
from lifecycle.rules.targets import buildpack_targets, nearest
from lifecycle.testing.cnb import Cnb
from lifecycle.testing.conditions import Conditions, namespaces_refused
from lifecycle.testing.contracts.snapshot import changes, snapshot
from lifecycle.testing.modules import read_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.executables.process import Command
    from lifecycle.model.api import BuildpackApi
    from lifecycle.model.target import Target
    from lifecycle.testing.build import Build
    from lifecycle.testing.contracts.subject import Subject
    from lifecycle.testing.detection import Detection
    from lifecycle.testing.modules import TestedModule
    from lifecycle.testing.place import Place

_USERS = range(100_000, 1_000_000)


class Runs:
    """The runs of a buildpack: on the app as it is, once more, and under other conditions."""

    def __init__(self, subject: Subject, root: Path) -> None:
        self.subject = subject
        self._root = root
        self._made: dict[str, Build | LifecycleError] = {}

    @cached_property
    def _ordinary(self) -> Cnb:
        return self.under(Conditions(), "ordinary")

    @property
    def buildpack(self) -> Buildpack:
        """The buildpack."""
        module = read_module(self.subject.buildpack)
        if not isinstance(module, Buildpack):
            raise TypeError(f"{module} is no buildpack")
        return module

    @property
    def api(self) -> BuildpackApi:
        """Its Buildpack API."""
        return self.buildpack.api

    @property
    def id(self) -> str:
        """Its id."""
        return self.buildpack.descriptor.buildpack.id

    @cached_property
    def _targets(self) -> tuple[Target, ...]:
        descriptor = self.buildpack.descriptor
        executables = {path.name for path in self.buildpack.root.glob("bin/*")}
        return buildpack_targets(descriptor.targets, descriptor.stacks, executables, api=self.api)

    def outputs(self, build: Build) -> Path:
        """Return where the buildpack left its layers and files in a build."""
        return build.layers_dir / directory_name(self.id)

    @cached_property
    def detection(self) -> Detection:
        """Detection of the app."""
        return self.detect()

    @cached_property
    def detection_of_nothing(self) -> Detection:
        """Detection of an empty app, by the buildpack alone."""
        return self._ordinary.detect(self.subject.buildpack, env=self.subject.env)

    def detect(self, **platform: Any) -> Detection:
        """Run detection of the app; ``platform`` are attributes of ``Cnb`` that differ, such as ``target``."""
        given = {name: getattr(self._ordinary, name) for name in platform}
        try:
            for name, value in platform.items():
                setattr(self._ordinary, name, value)
            subject = self.subject
            return self._ordinary.detect(self._group, subject.app, files=subject.files, env=subject.env)
        finally:
            for name, value in given.items():
                setattr(self._ordinary, name, value)

    @property
    def _group(self) -> list[Path]:
        return [*self.subject.before, self.subject.buildpack, *self.subject.after]

    @property
    def first(self) -> Build:
        """The first build of the app; the test is skipped where it fails, for another one says so."""
        found = self._first_or_error
        error = found if isinstance(found, LifecycleError) else found.error
        if error is not None:
            pytest.skip(f"the app is not built: {error.message}")
        return self.tried_first

    @cached_property
    def _first_or_error(self) -> Build | LifecycleError:
        return self._tried(self._ordinary)

    @property
    def tried_first(self) -> Build:
        """The first build of the app; raises ``LifecycleError`` if detection fails."""
        return _raised(self._first_or_error)

    @cached_property
    def second(self) -> Build:
        """The build after the first, with its image and cache."""
        return self.first.rebuild(check=False)

    @cached_property
    def without_cache(self) -> Build:
        """A build after the second, with its image alone; after the first if the second failed."""
        before = self.second if self.second.error is None else self.first
        return before.rebuild(cached=False, check=False)

    @cached_property
    def anew(self) -> tuple[Build, Build]:
        """Two first builds in different places at the paths of the image, or one after the other in one place."""
        self._require_first()
        if self.namespaces_refused:
            one = self._built(self.under(Conditions(), "one"))
            return one, one.rebuild(cached=False, with_image=False, check=False)
        conditions = Conditions(as_in_image=True)
        return self._built(self.under(conditions, "one")), self._built(self.under(conditions, "other"))

    @cached_property
    def broken(self) -> Build:
        """The build of an app that can't be built."""
        self._require_first()
        files = {**self.subject.files, **(self.subject.broken or {})}
        return self._built(self._ordinary, replace(self.subject, files=files))

    @property
    def namespaces_refused(self) -> str:
        """Why this host gives processes no view of their own, ``""`` if it does."""
        return namespaces_refused()

    @cached_property
    def user(self) -> int:
        """A user id that nobody has; the test is skipped where none can be had."""
        if os.geteuid() != 0:
            pytest.skip("only root can run a buildpack as another user")
        if self.namespaces_refused:
            pytest.skip(f"this host has no mount namespaces: {self.namespaces_refused}")
        return random.SystemRandom().choice(_USERS)

    def under(self, conditions: Conditions, name: str) -> Cnb:
        """Return what builds under other conditions, below a directory of that name.

        It builds for this host, or for a distribution that the buildpack declares if that of the host is not among
        them: what an author declares is no reason to leave the buildpack untested here.
        """
        cnb = Cnb(self._root / name, conditions=conditions)
        cnb.target = nearest(self._targets, cnb.target)
        return cnb

    def build_under(self, conditions: Conditions, name: str) -> Build:
        """Build the app under other conditions; skip the test where it is not built under ordinary ones."""
        self._require_first()
        return self._built(self.under(conditions, name))

    @cached_property
    def under_all(self) -> Build:
        """The build under all the conditions at once under which each build has to pass.

        They are another user, umask 077, no ``HOME`` and a buildpack that can't be written.
        """
        user = self.user if os.geteuid() == 0 and not self.namespaces_refused else None
        conditions = Conditions(
            as_in_image=user is not None,
            user=user,
            umask=0o077,
            with_home=False,
            copied=True,
            writable_modules=False,
        )
        return self.build_under(conditions, "all at once")

    @property
    def in_a_path_with_a_space(self) -> Build:
        """A build in a directory whose name has spaces."""
        self._require_first()
        beside = self._beside_a_neighbour[1]
        if beside is not None and beside.error is None:
            return beside
        return self.build_under(Conditions(copied=True), "path with a space")

    @property
    def disturbed(self) -> Mapping[str, Sequence[str]]:
        """What ``detect`` and ``build`` of the buildpack changed that is not theirs, beside a buildpack with layers."""
        return self._beside_a_neighbour[0]

    @cached_property
    def _beside_a_neighbour(self) -> tuple[Mapping[str, Sequence[str]], Build | None]:
        cnb = self.under(Conditions(copied=True), "beside a neighbour")
        own = f"layers/{directory_name(self.id)}"
        found: dict[str, list[str]] = {}

        @contextmanager
        def watched(command: Command, place: Place) -> Iterator[None]:
            executable = Path(command.argv[0])
            phase = executable.name
            mine = executable.parents[2].name == directory_name(self.id)
            before = _others(place, own, phase) if mine else {}
            yield
            if mine:
                found[phase] = changes(before, _others(place, own, phase))

        cnb.around = watched
        neighbour = cnb.script("contract/neighbour", build=_NEIGHBOUR)
        tried = self._tried(cnb, group=[neighbour, *self._group])
        return found, None if isinstance(tried, LifecycleError) else tried

    def _require_first(self) -> None:
        _ = self.first

    def _built(self, cnb: Cnb, subject: Subject | None = None) -> Build:
        return _raised(self._tried(cnb, subject))

    def _tried(
        self, cnb: Cnb, subject: Subject | None = None, *, group: Sequence[TestedModule | Path | str] | None = None
    ) -> Build | LifecycleError:
        given = subject or self.subject
        try:
            return cnb.build(
                group or self._group, given.app, files=given.files, env=given.env, plan=given.plan, check=False
            )
        except DetectionError as error:
            return error


def _raised(found: Build | LifecycleError) -> Build:
    if isinstance(found, LifecycleError):
        raise found
    return found


_NEIGHBOUR = """
mkdir -p "$1/tool/bin"
echo tool > "$1/tool/bin/tool"
printf '[types]\\nbuild = true\\nlaunch = true\\ncache = true\\n' > "$1/tool.toml"
"""


def _others(place: Place, own: str, phase: str) -> dict[str, str]:
    """Return what is below the directories that a phase may not change."""
    tops = ("platform", "cnb", "layers", *(("workspace",) if phase == "detect" else ()))
    found = {f"{top}/{path}": facts for top in tops for path, facts in snapshot(place.root / top).items()}
    return {path: facts for path, facts in found.items() if path != own and not path.startswith(f"{own}/")}
