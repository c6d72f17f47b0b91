"""The contract of ``bin/build`` on a first build.  Spec: buildpack.md "Phase #5: Build", "Data Format", "Launch"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lifecycle.errors import LifecycleError
from lifecycle.testing.conditions import Conditions
from lifecycle.testing.contracts.breach import Breach, none_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.model.build_metadata import Process
    from lifecycle.testing.build import Build
    from lifecycle.testing.contracts.runs import Runs

_BUILD = 'buildpack.md "Build"'


class BuildTests:
    """What any ``bin/build`` has to keep."""

    def test_the_app_is_built(self, cnb_runs: Runs) -> None:
        """``bin/build`` ends with 0 and leaves what the lifecycle can read."""
        try:
            built = cnb_runs.tried_first
        except LifecycleError as error:
            none_of([Breach(str(error), _BUILD, "see test_detect_passes_for_the_app")])
        else:
            remedy = "its log should tell why"
            none_of([] if built.error is None else [Breach(str(built.error), _BUILD, remedy, built.log)])

    def test_toml_files_have_only_what_the_specification_knows(self, cnb_runs: Runs) -> None:
        """Lifecycles pass over unknown keys: a typing error would go unnoticed.  Flags stand in ``[types]``."""
        from lifecycle.testing.contracts.toml_keys import output_breaches  # noqa: PLC0415  # see subject.py

        try:
            directory = cnb_runs.outputs(cnb_runs.tried_first)
        except LifecycleError as error:
            pytest.skip(f"the app is not built: {error.message}")
        none_of(output_breaches(directory, cnb_runs.api))

    def test_build_touches_nothing_of_others(self, cnb_runs: Runs) -> None:
        """Layers of other buildpacks, the platform directory and the buildpack itself stay as they are."""
        none_of(
            Breach(
                f"bin/build: {change}",
                'buildpack.md "Build" (a buildpack writes into <layers> and <app> alone)',
                "write below CNB_LAYERS_DIR, and ask for another buildpack's layer to be changed by its plan entry",
            )
            for change in cnb_runs.disturbed.get("build", ())
        )

    def test_commands_of_processes_exist(self, cnb_runs: Runs) -> None:
        """What a process starts is in the image, as far as this host can tell."""
        none_of(_of_commands(cnb_runs.first))

    def test_exec_d_programs_can_run(self, cnb_runs: Runs) -> None:
        """They are executable and print a TOML table of strings to descriptor 3."""
        none_of(_of_exec_d(cnb_runs))

    def test_sboms_are_documents_of_the_declared_formats(self, cnb_runs: Runs) -> None:
        """Each SBOM file is JSON; a format that buildpack.toml does not name fails the build already."""
        none_of(_of_sboms(cnb_runs.first))

    def test_a_build_that_can_not_write_its_layers_fails(self, cnb_runs: Runs) -> None:
        """A status of 0 tells the lifecycle that all layers are there."""
        none_of(_of_unwritable_layers(cnb_runs))

    def test_a_build_that_fails_says_so(self, cnb_runs: Runs) -> None:
        """An app that can't be built makes ``bin/build`` end with another status than 0."""
        if cnb_runs.subject.broken is None:
            pytest.skip("no broken app is given: name files that can't be built with broken=")
        built = cnb_runs.broken
        none_of(
            []
            if built.exit_code != 0
            else [
                Breach(
                    "bin/build exited with status 0 for an app that can't be built",
                    _BUILD,
                    "pass the failure of each command on; in a shell script by set -euo pipefail",
                )
            ]
        )


def _of_commands(build: Build) -> Iterator[Breach]:
    spec = 'buildpack.md "launch.toml (TOML)"'
    for name, process in build.processes.items():
        if not process.direct or not process.command:
            continue
        problem = _missing(build, process)
        if problem:
            yield Breach(
                f"process {name}: {problem}", spec, "name a file of a launch layer, of the app or of the run image"
            )
        if process.working_dir and not (build.app_dir / process.working_dir).is_dir():
            yield Breach(f"process {name}: {process.working_dir} is no directory", spec, "correct working-dir")


def _missing(build: Build, process: Process) -> str:
    """Say what is wrong with the program that a process starts, ``""`` if it may be in the run image."""
    program = process.command[0]
    directory = build.app_dir / process.working_dir
    path = build.now(directory / program)
    ours = map(build.now, (build.app_dir, directory, build.layers_dir))
    if "/" in program and any(path.is_relative_to(each) for each in ours):
        if not path.exists():
            return f"{program} does not exist"
        if not os.access(path, os.X_OK):
            return f"{program} is not executable"
        layer = next((each for each in build.layers.all if path.is_relative_to(build.now(each.path))), None)
        if layer is not None and not layer.launch:
            return f"{program} lies in the layer {layer.name}, which no image has"
    return ""


def _of_exec_d(runs: Runs) -> Iterator[Breach]:
    spec = 'buildpack.md "Exec.d", "Exec.d Output (TOML)"'
    # Links between files of a layer lead to where it was built, which has to be where the image has it.
    build = runs.anew[0]
    if build.error is not None:
        pytest.skip(f"the app is not built at the paths of the image: {build.error.message}")
    programs = [
        (layer, name)
        for layer in build.layers.all
        for name in layer.files
        if layer.launch and name.startswith("exec.d/")
    ]
    for layer, name in programs:
        if not os.access(build.now(layer.path / name), os.X_OK):
            yield Breach(f"{name} of layer {layer.name} is not executable", spec, f"chmod +x {name}")
            return
    if not programs:
        return
    image = build.export()
    for process in build.processes or (None,):
        try:
            image.launch_env(process)
        except LifecycleError as error:
            who = f"before process {process}" if process else "of the launcher"
            remedy = 'print lines NAME = "value" to descriptor 3 and nothing else, and end with 0'
            yield Breach(f"the exec.d programs {who} fail: {error.message}", spec, remedy)


def _of_sboms(build: Build) -> Iterator[Breach]:
    try:
        documents = build.sboms
    except ValueError as error:
        yield Breach(
            f"an SBOM is no JSON: {error}",
            'buildpack.md "Software-Bill-of-Materials"',
            "write a CycloneDX, SPDX or Syft document in JSON",
        )
    else:
        for name, document in documents.items():
            if not isinstance(document, dict | list):
                yield Breach(
                    f"{name} holds {document!r}",
                    'buildpack.md "Software-Bill-of-Materials"',
                    "write a CycloneDX, SPDX or Syft document in JSON",
                )


def _of_unwritable_layers(runs: Runs) -> Iterator[Breach]:
    if not any(runs.outputs(runs.first).iterdir()):
        return
    user = runs.user if os.geteuid() == 0 else None
    conditions = Conditions(as_in_image=user is not None, user=user, writable_layers=False)
    built = runs.build_under(conditions, "unwritable")
    if built.exit_code == 0:
        yield Breach(
            "bin/build exited with status 0 though it could write nothing into its layers directory",
            'buildpack.md "Build"',
            "pass the failure of each command on; in a shell script by set -euo pipefail",
        )
