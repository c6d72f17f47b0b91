"""A whole build of a case by one lifecycle: five phases or the creator, images in a layout or a registry."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from parity.case import Case, Tree, filled
from parity.images import AppImage, app_in_layout, app_in_registry
from parity.runner import Call, Lifecycle, Result, make_directories

CACHE_IMAGE = "localhost:5000/cache"


class Place(Enum):
    """Where images are."""

    LAYOUT = "layout"
    REGISTRY = "registry"

    @property
    def names(self) -> dict[str, str]:
        """The names of images, for flags and files."""
        if self is Place.LAYOUT:
            return {"run": "run", "mirror": "mirror.example/run", "app": "app"}
        return {"run": "localhost:5000/run", "mirror": "mirror.example/run", "app": "localhost:5000/app"}

    def flags(self) -> tuple[str, ...]:
        return ("-layout", "-layout-dir", "/layout") if self is Place.LAYOUT else ()

    def put(self, case: Case, root: Path) -> None:
        """Put the run image and the previous image where phases find them."""
        images = {"run": case.run_image, "app": case.previous}
        if self is Place.LAYOUT:
            for name, image in images.items():
                if image is not None:
                    image.put_layout(root / "layout" / "index.docker.io" / "library" / name / "latest")
            for path in (root / "layout").rglob("*"):
                path.chmod(0o777)
            (root / "layout").chmod(0o777)
        else:
            for name, image in images.items():
                if image is not None:
                    image.put_registry(root / "registry", name)

    def app(self, root: Path) -> AppImage | None:
        """Read the app image."""
        if self is Place.LAYOUT:
            return app_in_layout(root / "layout" / "index.docker.io" / "library" / "app" / "latest")
        return app_in_registry(root / "registry", "app")


@dataclass(frozen=True)
class Build:
    """What a build left."""

    calls: Sequence[Call]
    results: Sequence[Result]
    app: AppImage | None

    @property
    def failed(self) -> str | None:
        """What the first failing phase said."""
        for call, result in zip(self.calls, self.results, strict=False):
            if result.code:
                return f"{call.phase} exited with {result.code}:\n{result.out}{result.err}"
        return None

    @property
    def codes(self) -> list[tuple[str, int]]:
        return [(call.phase, result.code) for call, result in zip(self.calls, self.results, strict=False)]

    def log(self, phase: str) -> str:
        """What a phase wrote to standard output."""
        return next(result.out for call, result in zip(self.calls, self.results, strict=False) if call.phase == phase)

    def file(self, phase: str, name: str) -> str | None:
        """A file of the layers directory as it was after a phase."""
        return next(
            result.files.get(name)
            for call, result in zip(self.calls, self.results, strict=False)
            if call.phase == phase
        )


def calls(case: Case, api: str, place: Place, *, creator: bool) -> list[Call]:
    """Return the phases as a platform calls them."""
    env = {"CNB_PLATFORM_API": api, **{key: filled(value, place.names) for key, value in case.env.items()}}
    images = place.flags()
    export = (*images, *case.ids, *case.export, "-launcher", "/cnb/lifecycle/launcher")
    by_image = case.cache_image and place is Place.REGISTRY
    caches = ("-cache-image", CACHE_IMAGE) if by_image else ("-cache-dir", "/cache")
    app = place.names["app"]
    starter = (0, 0) if case.as_root else case.user
    if creator:
        return [Call("creator", (*export, *caches, app), env, user=starter)]
    analysed = ("-cache-image", CACHE_IMAGE) if by_image else ()
    return [
        Call("analyzer", (*images, *case.ids, *analysed, app), env, user=starter),
        Call("detector", (), env, user=case.user),
        Call("restorer", (*images, *case.ids, *caches), env, user=starter),
        Call("builder", (), env, user=case.user),
        Call("exporter", (*export, *caches, app), env, user=starter),
    ]


def prepare(case: Case, place: Place, root: Path) -> None:
    """Write all that the first build finds."""
    make_directories(root)
    case.put(root, place.names)
    place.put(case, root)


def build(
    case: Case, api: str, place: Place, root: Path, lifecycle: Lifecycle, *, creator: bool = False
) -> list[Build]:
    """Build once or, if the case says so, twice; return what each build left."""
    prepare(case, place, root)
    builds = [_once(case, api, place, root, lifecycle, creator=creator)]
    if case.change is not None and builds[0].failed is None:
        renew(case, place, root)
        builds.append(_once(case, api, place, root, lifecycle, creator=creator))
    return builds


def renew(case: Case, place: Place, root: Path) -> None:
    """Change the app, and give the next build a layers directory as a new container has it."""
    shutil.rmtree(root / "layers")
    make_directories(root)
    case.put_files(root, place.names)
    if case.change is not None:
        case.change(Tree(root / "workspace"))


def _once(case: Case, api: str, place: Place, root: Path, lifecycle: Lifecycle, *, creator: bool) -> Build:
    todo = calls(case, api, place, creator=creator)
    results = lifecycle.run(root, todo, registry=place is Place.REGISTRY)
    return Build(todo, results, place.app(root))
