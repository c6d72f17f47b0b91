"""The program of a buildpack: one file that bin/detect, bin/build and bin/generate are links to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cnb_buildpack import log
from cnb_buildpack.errors import BuildpackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cnb_buildpack.building import BuildContext
    from cnb_buildpack.context import DetectContext, Detected
    from cnb_buildpack.generating import GenerateContext
    from cnb_buildpack.plan import Plan

    Detect = Callable[[DetectContext], Detected]
    Build = Callable[[BuildContext], None]
    Generate = Callable[[GenerateContext], None]

_PYTHON = Path(os.__file__).parent
PASS, FAIL, ERROR, BUG = 0, 100, 1, 2
"""Exit statuses.  Spec: buildpack.md "Detection": all others than 0 and 100 are errors."""


def main(*, detect: Detect | None = None, build: Build | None = None, generate: Generate | None = None) -> NoReturn:
    """Run the phase that this program is called by the name of, and exit.

    A phase without a function has nothing to do.  The process gets umask 022.
    """
    os.umask(0o022)
    for stream in (sys.stdout, sys.stderr):
        # Lines of programs and of the buildpack reach the log in the order in which they were written.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    program = Path(sys.argv[0])
    sys.exit(
        run_phase(
            program.name,
            argv=sys.argv[1:],
            env=os.environ,
            cwd=Path.cwd(),
            root=program.absolute().parent.parent,
            detect=detect,
            build=build,
            generate=generate,
        )
    )


def run_phase(
    phase: str,
    *,
    argv: Sequence[str] = (),
    env: Mapping[str, str],
    cwd: Path,
    root: Path | None = None,
    detect: Detect | None = None,
    build: Build | None = None,
    generate: Generate | None = None,
) -> int:
    """Run a phase in this process, with the app in ``cwd``, and return the exit status.

    Inputs are taken from ``CNB_*`` in ``env`` and else from ``argv``, as each Buildpack API has it; ``root`` is the
    directory of the buildpack where no variable tells it.  Failures are printed.
    """
    name = phase
    try:
        inputs = _Inputs(_root(env, root), cwd, env, argv)
        name = _name(inputs.root)
        match phase:
            case "detect":
                return _detect(inputs, detect)
            case "build":
                _build(inputs, build)
            case "generate":
                _generate(inputs, generate)
            case _:
                _refuse(phase)
    except BuildpackError as error:
        log.error(f"{name}: {error}")
        _trace()
        return ERROR
    except Exception as error:  # noqa: BLE001  # the outermost place: nobody else can say it
        log.error(f"{name}: {_unexpected(error)}")
        _trace()
        return BUG
    return PASS


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a lifecycle gives to an executable."""

    root: Path
    app_dir: Path
    env: Mapping[str, str]
    argv: Sequence[str]

    def path(self, name: str, position: int) -> Path:
        """Return a path that Buildpack API 0.8 gives as a variable and 0.7 as an argument."""
        given = self.env.get(name) or (self.argv[position] if position < len(self.argv) else None)
        if not given:
            raise BuildpackError(f"{name} is not set", fix="let a lifecycle run the buildpack, or set it")
        return Path(given).absolute()

    def plan(self) -> Plan:
        """Return the plan for bin/build or bin/generate."""
        from cnb_buildpack.files import read_toml  # noqa: PLC0415  # each phase loads its own
        from cnb_buildpack.plan import Plan  # noqa: PLC0415  # as above

        path = self.path("CNB_BP_PLAN_PATH", 2)
        try:
            return Plan.parse(read_toml(path))
        except FileNotFoundError:
            raise BuildpackError(f"{path} does not exist", fix="CNB_BP_PLAN_PATH names the buildpack plan") from None


def _detect(inputs: _Inputs, detect: Detect | None) -> int:
    from cnb_buildpack.context import DetectContext, Detected  # noqa: PLC0415  # each phase loads its own

    platform_dir = inputs.path("CNB_PLATFORM_DIR", 0)
    plan_path = inputs.path("CNB_BUILD_PLAN_PATH", 1)
    context = DetectContext.at(root=inputs.root, app_dir=inputs.app_dir, platform_dir=platform_dir, env=inputs.env)
    answer = Detected(passed=True) if detect is None else detect(context)
    if not isinstance(answer, Detected):
        raise BuildpackError(
            f"detect returned {answer!r}", fix="return context.pass_(plan) or context.fail(reason) on every way"
        )
    if not answer.passed:
        log.info(answer.reason)
        return FAIL
    if answer.plan is not None:
        from cnb_buildpack.files import write_toml  # noqa: PLC0415  # as above

        write_toml(plan_path, answer.plan.table())
    return PASS


def _build(inputs: _Inputs, build: Build | None) -> None:
    from cnb_buildpack.building import BuildContext  # noqa: PLC0415  # each phase loads its own

    context = BuildContext.at(
        root=inputs.root,
        app_dir=inputs.app_dir,
        layers_dir=inputs.path("CNB_LAYERS_DIR", 0),
        platform_dir=inputs.path("CNB_PLATFORM_DIR", 1),
        plan=inputs.plan(),
        env=inputs.env,
    )
    if build is not None:
        build(context)
    context.finish()


def _generate(inputs: _Inputs, generate: Generate | None) -> None:
    from cnb_buildpack.generating import GenerateContext  # noqa: PLC0415  # each phase loads its own

    context = GenerateContext.at(
        root=inputs.root,
        app_dir=inputs.app_dir,
        output_dir=inputs.path("CNB_OUTPUT_DIR", 0),
        platform_dir=inputs.path("CNB_PLATFORM_DIR", 1),
        plan=inputs.plan(),
        env=inputs.env,
    )
    if generate is not None:
        generate(context)
    context.finish()


def _refuse(phase: str) -> NoReturn:
    raise BuildpackError(f"{phase!r} is no phase", fix="call the buildpack as detect, build or generate")


def _root(env: Mapping[str, str], known: Path | None) -> Path:
    given = env.get("CNB_EXTENSION_DIR") or env.get("CNB_BUILDPACK_DIR") or known
    if given is None:
        raise BuildpackError("CNB_BUILDPACK_DIR is not set", fix="let a lifecycle run the buildpack")
    return Path(given)


def _name(root: Path) -> str:
    """Return the last part of the id, by which a log tells who speaks."""
    from cnb_buildpack.descriptor import Descriptor  # noqa: PLC0415  # as above

    return Descriptor.read(root).id.rpartition("/")[2]


def _unexpected(error: Exception) -> str:
    """Return one line on what nobody provided for: a bug, or the host."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        # The line of the buildpack says more than that of the SDK or of Python that it led to.
        if not place or not (
            path.parent == Path(__file__).parent or path.is_relative_to(_PYTHON) or path.name[0] == "<"
        ):
            place = f" ({path.name}:{trace.tb_lineno})"
        trace = trace.tb_next
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, OSError) else f"unexpected {type(error).__name__}: "
    return f"{kind}{text}{place}; build again with BP_LOG_LEVEL=debug for more, and tell the buildpack's authors"


def _trace() -> None:
    if log.is_debug():
        import traceback  # noqa: PLC0415  # seldom needed

        traceback.print_exc()
