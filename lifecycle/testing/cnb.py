"""The fixture ``cnb``: a buildpack under test through the phases of a platform, without one.

Spec: buildpack.md "Phase #1: Detection" to "Phase #5: Build"; platform.md "Operations".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError
from lifecycle.files.codec import save
from lifecycle.files.os_release import read_distro
from lifecycle.images.image_platform import host_platform
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.model.plan import Require
from lifecycle.oci.gojson import Struct
from lifecycle.rules.targets import complete_target
from lifecycle.testing.build import Build, Outcome, Request
from lifecycle.testing.conditions import ORDINARY, Conditions
from lifecycle.testing.images import MemoryImages
from lifecycle.testing.log import Log, LogBook
from lifecycle.testing.modules import TestedModule, read_module
from lifecycle.testing.place import Place
from lifecycle.testing.session import RUN_IMAGE, Around, Given, Session, nothing_around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lifecycle.phases.generate import Generated
    from lifecycle.testing.detection import Detection
    from lifecycle.testing.place import Bindings

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What run images have."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What image extensions generated: Dockerfiles, the run image they chose, and what they printed."""

    generated: Generated
    log: Log

    def dockerfile(self, kind: str) -> str:
        """Return the text of the last ``build`` or ``run`` Dockerfile; raise ``KeyError`` if there is none."""
        found = [each for each in self.generated.dockerfiles if each.kind == kind and not each.ignored]
        if not found:
            raise KeyError(f"no extension wrote a {kind}.Dockerfile")
        return found[-1].path.read_text(encoding="utf-8")

    @property
    def run_image(self) -> str:
        """The run image that the extensions leave."""
        chosen = self.generated.analyzed.run_image
        return chosen.image or chosen.reference if chosen else ""


class Cnb:
    """Builds apps below a temporary directory, with images and caches in memory.

    ``target``, ``exec_env`` and ``platform_api`` are what the platform says; they may be set before a build.
    ``conditions`` are those of all executables, each of which runs within ``around``.
    """

    def __init__(self, root: Path, *, conditions: Conditions = ORDINARY, redirects: bool = True) -> None:
        self.root = root
        self.platform_api = LATEST_PLATFORM_API
        self.target = complete_target(None, distro=read_distro(), arch=host_platform().architecture)
        self.exec_env = "production"
        self.conditions = conditions
        self.images = MemoryImages()
        self.images.put(RUN_IMAGE, architecture=host_platform().architecture, run={"Env": [_PATH]})
        self.logs = LogBook()
        self.around: Around = nothing_around
        self._redirects = redirects
        self._sessions = 0

    def buildpack(
        self,
        root: Path | str,
        *,
        in_process: bool = False,
        main: Callable[[], object] | None = None,
        optional: bool = False,
    ) -> TestedModule:
        """Return the buildpack in ``root``.

        Its executables run as processes; ``in_process`` runs those, which have to be Python, in this process, where
        breakpoints and coverage work, and ``main`` is called instead of them: it finds ``sys.argv``, ``os.environ``
        and the working directory as they would, ``sys.argv[0]`` being ``<root>/bin/detect`` or ``<root>/bin/build``.
        ``optional`` is what an order says of it.  Raises ``InvalidInputError`` if there is no buildpack.
        """
        return TestedModule(read_module(root), in_process=in_process, main=main, optional=optional)

    def extension(
        self, root: Path | str, *, in_process: bool = False, main: Callable[[], object] | None = None
    ) -> TestedModule:
        """Return the image extension in ``root``; see ``buildpack``."""
        return TestedModule(read_module(root, extension=True), in_process=in_process, main=main)

    def script(
        self,
        buildpack_id: str,
        *,
        detect: str = "exit 0",
        build: str = "exit 0",
        api: str = "0.10",
        optional: bool = False,
        **descriptor: Any,
    ) -> TestedModule:
        """Return a buildpack made of two shell scripts, to stand beside one under test.

        ``descriptor`` are further keys of its table ``[buildpack]``.
        """
        root = self.root / "scripts" / buildpack_id.replace("/", "_")
        info = {
            "id": buildpack_id,
            "version": "0.0.0",
            **{key.replace("_", "-"): descriptor[key] for key in descriptor},
        }
        save(root / "buildpack.toml", Struct(api=api, buildpack=Struct(info), targets=[Struct(os="linux")]))
        (root / "bin").mkdir(exist_ok=True)
        for name, text in (("detect", detect), ("build", build)):
            path = root / "bin" / name
            path.write_text(f"#!/bin/sh\nset -e\n{text}\n", encoding="utf-8")
            path.chmod(0o755)
        return self.buildpack(root, optional=optional)

    def detect(
        self,
        buildpacks: TestedModule | Path | str | Sequence[TestedModule | Path | str],
        app: Path | str | None = None,
        *,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        bindings: Bindings | None = None,
        extensions: Sequence[TestedModule | Path | str] = (),
    ) -> Detection:
        """Run ``bin/detect`` of the buildpacks, one group in this order, on a copy of ``app``.

        Without ``app`` it is empty; ``files`` are written into the copy.  ``env`` are variables of the user,
        ``bindings`` service bindings by name, each with its entries, of which ``type`` has to be one.
        """
        session = self._session(buildpacks, extensions)
        session.place.fill_app(None if app is None else Path(app), files or {})
        session.place.fill_platform(env or {}, bindings or {})
        return session.detect()

    def build(
        self,
        buildpacks: TestedModule | Path | str | Sequence[TestedModule | Path | str],
        app: Path | str | None = None,
        *,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        bindings: Bindings | None = None,
        plan: Iterable[str | Mapping[str, Any]] | None = None,
        check: bool = True,
    ) -> Build:
        """Detect and build with the buildpacks, one group in this order, on a copy of ``app``.

        With ``plan`` detection is left out: all of the group take part, and the last has to meet these requirements
        (names, or tables with ``name`` and ``metadata``).  Raises ``DetectionError`` if detection fails and, unless
        ``check`` is false, ``BuildError`` if a buildpack does.
        """
        session = self._session(buildpacks, ())
        request = Request(
            app=None if app is None else Path(app),
            files=files or {},
            env=env or {},
            bindings=bindings or {},
            plan=None if plan is None else tuple(map(_require, plan)),
            check=check,
        )
        return run_build(session, request, cached=True)

    def generate(
        self,
        extensions: Sequence[TestedModule | Path | str],
        buildpacks: TestedModule | Path | str | Sequence[TestedModule | Path | str],
        app: Path | str | None = None,
        *,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        bindings: Bindings | None = None,
    ) -> Generation:
        """Detect with extensions and buildpacks and let the extensions of the group generate.

        Raises ``DetectionError`` if detection fails and ``GenerateError`` if an extension does.
        """
        session = self._session(buildpacks, extensions)
        session.place.fill_app(None if app is None else Path(app), files or {})
        session.place.fill_platform(env or {}, bindings or {})
        group, plan = session.require_detection()
        output: list[bytes] = []
        return Generation(session.generate(group, plan, output), Log.of(b"".join(output)))

    def _session(
        self,
        buildpacks: TestedModule | Path | str | Sequence[TestedModule | Path | str],
        extensions: Sequence[TestedModule | Path | str],
    ) -> Session:
        self._sessions += 1
        given = Given(
            platform_api=self.platform_api,
            target=self.target,
            exec_env=self.exec_env,
            conditions=self.conditions,
            images=self.images,
            logs=self.logs,
            redirects=self._redirects,
            around=self.around,
        )
        listed = [buildpacks] if isinstance(buildpacks, TestedModule | Path | str) else list(buildpacks)
        return Session(
            given,
            Place(self.root / str(self._sessions)),
            [each if isinstance(each, TestedModule) else self.buildpack(each) for each in listed],
            [each if isinstance(each, TestedModule) else self.extension(each) for each in extensions],
            f"app-{self._sessions}",
        )


def run_build(session: Session, request: Request, *, cached: bool) -> Build:
    """Run the phases from analysis to build once."""
    session.place.fill_app(request.app, request.files)
    session.place.fill_platform(request.env, request.bindings)
    analyzed = session.analyze()
    group, plan = session.require_detection() if request.plan is None else session.planned(request.plan)
    restored = session.restore(analyzed, group, cached=cached)
    outcome = Outcome(group, plan, analyzed, restored.layers)
    calls = len(session.recorder.calls)
    output: list[bytes] = []
    try:
        outcome.built = session.build(group, plan, output)
    except LifecycleError as error:
        if request.check:
            raise
        outcome.error = error
    finally:
        outcome.output = b"".join(output)
        outcome.calls = tuple(session.recorder.calls[calls:])
        outcome.left_env = session.environment.left
    return Build(session, request, outcome)


def _require(wanted: str | Mapping[str, Any]) -> Require:
    return Require(name=wanted) if isinstance(wanted, str) else Require.model_validate(dict(wanted))
