"""What came of a build, as values that tests compare, and what can follow it: another build, an image."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import BuildError
from lifecycle.files.codec import load
from lifecycle.model.ids import directory_name
from lifecycle.model.launch import Build as BuildToml
from lifecycle.model.launch import Launch
from lifecycle.model.layer import Store
from lifecycle.testing.layer import Layers, LayersDir, files_below, read_layers
from lifecycle.testing.log import Log
from lifecycle.testing.named import Named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.errors import LifecycleError
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.build_metadata import Process
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan
    from lifecycle.phases.build import Built
    from lifecycle.phases.restore import RestoredLayer
    from lifecycle.testing.conditions import Call
    from lifecycle.testing.image import AppImage
    from lifecycle.testing.place import Bindings
    from lifecycle.testing.session import Session


_MOST_STEPS = 1000
"""Components of a path, with those of the links in it: more are a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a build was asked for, for the build after it to ask again."""

    app: Path | None
    files: Mapping[str, str | bytes]
    env: Mapping[str, str]
    bindings: Bindings
    plan: tuple[Any, ...] | None
    check: bool


@dataclass(slots=True)
class Outcome:
    """How the phases of a build ended."""

    group: Group
    plan: Plan
    analyzed: Analyzed
    restored: tuple[RestoredLayer, ...]
    output: bytes = b""
    calls: tuple[Call, ...] = ()
    built: Built | None = None
    error: LifecycleError | None = None
    left_env: Mapping[str, str] = field(default_factory=dict)


class Build:
    """A build that ran: ``error`` is ``None`` unless it failed, ``plan`` is the resolved plan it got.

    ``restored`` tells by name of each layer of the build before it whether ``contents``, ``metadata`` or ``nothing``
    came back.  What a failed build would have left can't be asked for: ``BuildError`` says why it failed.
    """

    def __init__(self, session: Session, request: Request, outcome: Outcome) -> None:
        self._session = session
        self._request = request
        self._outcome = outcome
        self._at = session.latest = LayersDir(session.place.layers)
        self.error = outcome.error
        self.group: list[str] = [element.id for element in outcome.group.group]
        self.plan = outcome.plan
        self.restored: dict[str, str] = Named(
            "layer of the last build", {layer.name: layer.restored.value for layer in outcome.restored}
        )
        self.calls = outcome.calls
        self.layers: Layers = Layers() if self.error else read_layers(self._at, self.group)

    @property
    def log(self) -> Log:
        """All that the buildpacks printed."""
        return Log.of(self._outcome.output)

    @property
    def exit_code(self) -> int:
        """The status of the last ``bin/build`` that ran."""
        return self.calls[-1].status if self.calls else 0

    @property
    def layers_dir(self) -> Path:
        """Where its layers are now: a later build moves them aside."""
        return self._at.path

    def now(self, path: Path | str) -> Path:
        """Return where a path in its layers is now, all links followed."""
        followed, rest = Path("/"), list(self._moved(Path(path)).parts[1:])
        for _ in range(_MOST_STEPS):
            if not rest:
                break
            step = followed / rest.pop(0)
            if step.is_symlink():
                rest[:0] = self._moved(followed / step.readlink()).parts[1:]
                step = Path("/")
            followed = step
        return followed.joinpath(*rest)

    def _moved(self, path: Path) -> Path:
        """Return where a path is that the executables saw."""
        place = self._session.place
        seen = place.mounts if self._session.given.conditions.as_in_image else {}
        for name, directory in {**seen, str(place.layers): self._at.path}.items():
            if path.is_relative_to(name):
                path = directory / path.relative_to(name)
        return path

    @property
    def app_dir(self) -> Path:
        """The app as the buildpacks left it, until the next build."""
        return self._session.place.app

    @property
    def processes(self) -> dict[str, Process]:
        """The processes of the image by type."""
        return Named("process", {process.type: process for process in self._built.metadata.processes or ()})

    @property
    def default_process(self) -> str:
        """The type of the default process, ``""`` without one."""
        return self._built.metadata.default_process_type

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the buildpacks give to the image."""
        return Named("label", {label.key: label.value for label in self._built.metadata.labels})

    @property
    def slices(self) -> list[list[str]]:
        """The globs of each slice of the app."""
        return [list(each.paths or ()) for each in self._built.metadata.slices]

    @property
    def env(self) -> Mapping[str, str]:
        """The environment that a next buildpack would have: what build layers say is in it."""
        self._require()
        return Named("variable", self._outcome.left_env)

    @property
    def unmet(self) -> list[str]:
        """What of the plan nobody met."""
        return [require.name for entry in self._built.plan.entries for require in entry.requires]

    @property
    def sboms(self) -> dict[str, Any]:
        """The SBOM documents of the buildpacks by path below ``<layers>/sbom``, for image and cache."""
        self._require()
        directory = self.layers_dir / "sbom"
        names = [name for name in files_below(directory) if not name.endswith("sbom.legacy.json")]
        return {name: json.loads((directory / name).read_text(encoding="utf-8")) for name in names}

    def store(self, buildpack_id: str = "") -> Mapping[str, Any]:
        """Return the metadata of a buildpack's store.toml, the first one's unless named."""
        found = load(Store, self._file(buildpack_id, "store.toml"), missing_ok=True)
        return (found.metadata if found else None) or {}

    def launch_toml(self, buildpack_id: str = "") -> Launch:
        """Return a buildpack's launch.toml."""
        return load(Launch, self._file(buildpack_id, "launch.toml"), missing_ok=True) or Launch()

    def build_toml(self, buildpack_id: str = "") -> BuildToml:
        """Return a buildpack's build.toml."""
        return load(BuildToml, self._file(buildpack_id, "build.toml"), missing_ok=True) or BuildToml()

    def _file(self, buildpack_id: str, name: str) -> Path:
        self._require()
        if buildpack_id and buildpack_id not in self.group:
            raise KeyError(f"no buildpack {buildpack_id!r} took part; there are {', '.join(self.group)}")
        return self.layers_dir / directory_name(buildpack_id or self.group[0]) / name

    def export(self) -> AppImage:
        """Return the app image of this build; what it has in common with the one before is reused."""
        return self._image

    @cached_property
    def _image(self) -> AppImage:
        outcome = self._outcome
        return self._session.export(outcome.analyzed, outcome.group, self._built)

    def rebuild(
        self,
        *,
        app: Path | str | None = None,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        bindings: Bindings | None = None,
        cached: bool = True,
        with_image: bool = True,
        check: bool | None = None,
    ) -> Build:
        """Build once more, after the export of this build: with the last image and cache, unless told otherwise.

        The layers directory starts empty but for what is restored; ``app``, ``files``, ``env`` and ``bindings`` are
        those of this build unless given (``files`` are written in addition).  Raises as ``Cnb.build``.
        """
        from lifecycle.testing.cnb import run_build  # noqa: PLC0415  # the two call each other

        self.export()
        before = self._request
        request = Request(
            app=Path(app) if app is not None else before.app,
            files={**before.files, **(files or {})},
            env=before.env if env is None else env,
            bindings=before.bindings if bindings is None else bindings,
            plan=before.plan,
            check=before.check if check is None else check,
        )
        place = self._session.place
        # What lies there is of the last build, which need not be this one.
        aside = place.root / f"build-{sum(1 for _ in place.root.glob('build-*')) + 1}"
        place.layers.rename(aside)
        self._session.latest.path = aside
        if not with_image:
            del self._session.given.images.images[self._session.image]
        place.make()
        return run_build(self._session, request, cached=cached)

    @property
    def _built(self) -> Built:
        self._require()
        if self._outcome.built is None:
            raise AssertionError
        return self._outcome.built

    def _require(self) -> None:
        if self.error is not None:
            raise BuildError(f"the build failed: {self.error}\n{self.log.tail}") from self.error

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<build failed: {self.error}\n{self.log.tail}\n>"
        rows = [f"  {layer!r}" for layer in self.layers.all]
        rows += [f"  process {name}: {each.command} {each.args or ()}" for name, each in self.processes.items()]
        return "\n".join([f"<build of {', '.join(self.group)}", *rows, ">"])
