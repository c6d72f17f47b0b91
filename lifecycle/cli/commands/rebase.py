"""``lifecycle rebase``: app images, wherever they are, each on a new run image under its own names.

Spec: platform.md "Rebase" (operation).
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cli.commands.build.workspace import state_dir
from lifecycle.cli.refusals import refusals_as_errors
from lifecycle.cli.stores.locations import IN_FILES, Location, Place, read_source
from lifecycle.cli.stores.opening import open_store
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import InvalidInputError, LifecycleError
from lifecycle.images.layout import DirectoryStore, LayoutStore
from lifecycle.images.scratch import SCRATCH
from lifecycle.model.api import LATEST_PLATFORM_API
from lifecycle.phases.rebase import Rebased, RebaseInputs, find_run_image, plan_rebase, rebase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cli.logs.build_log import BuildLog
    from lifecycle.images.store import Image, ImageStore, NewImage, WrittenImage

_FLAG: Final = re.compile(r"(?<!\S)-(force|run-image)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebaseRequest:
    """What a person asked for on the command line."""

    apps: tuple[str, ...]
    run_image: str = ""
    force: bool = False
    insecure_registries: tuple[str, ...] = ()
    as_json: bool = False


def rebase_images(request: RebaseRequest, *, environment: Mapping[str, str], log: BuildLog) -> bool:
    """Rebase every app image; say whether all could be.  One that can't be does not stop the others."""
    remote = RemoteStores(environment, insecure=request.insecure_registries, progress=log.progress)
    local = LayoutStore(state_dir(environment) / "images")
    complete = True
    for app in request.apps:
        try:
            with refusals_as_errors():
                done = _rebase(app, request, remote, local)
        except LifecycleError as error:
            complete = False
            log.error(LifecycleError(error.message, where=error.where or app, remedy=_for_people(error.remedy)))
            continue
        _report(app, done, as_json=request.as_json)
    return complete


def _rebase(app: str, request: RebaseRequest, remote: RemoteStores, local: LayoutStore) -> Rebased:
    store, names = _place(app, remote, local)
    images = _Images(store, names, remote)
    inputs = RebaseInputs(api=LATEST_PLATFORM_API, names=names, run_image=request.run_image, force=request.force)
    plan = plan_rebase(inputs, images=images)
    return rebase(inputs, plan, find_run_image(plan, images=images), images=images)


def _place(app: str, remote: RemoteStores, local: LayoutStore) -> tuple[ImageStore, tuple[str, ...]]:
    """Return where an app image is and the names that it has there: a bare name may be of this user's images."""
    location = read_source(app)
    if location == Location(Place.REGISTRY, app) and local.readable(app):
        return local, (app,)
    if location.place is Place.LAYOUT:
        layout = DirectoryStore(location.path)
        return layout, _names_in_layout(layout, location)
    if location.place in IN_FILES or location.place is Place.SCRATCH:
        raise InvalidInputError(
            "is not a place where images are rebased",
            where=app,
            remedy="name an image in a registry, docker-daemon:NAME or oci:DIRECTORY",
        )
    return open_store(location, remote), (location.name,)


def _names_in_layout(layout: DirectoryStore, location: Location) -> tuple[str, ...]:
    """Return the name that was asked for, or all names of the only image."""
    names = layout.names()
    if not names:
        raise InvalidInputError(
            "is no OCI layout with an image that has a name", where=location.path, remedy="name another directory"
        )
    if location.image in names:
        return (location.image,)
    several = len({image.reference for image in map(layout.find, names) if image is not None}) > 1
    if location.image or several:
        told = "has no such image" if location.image else "holds several images"
        raise InvalidInputError(
            f"{told}: {', '.join(names)}", where=str(location), remedy=f"name one: oci:{location.name}:NAME"
        )
    return names


class _Images:
    """The store of an app image, with run images from anywhere."""

    def __init__(self, apps: ImageStore, names: tuple[str, ...], remote: RemoteStores) -> None:
        self._apps = apps
        self._names = names
        self._remote = remote

    def find(self, name: str) -> Image | None:
        """Return an app image from its store, a run image from where its name says."""
        if name in self._names:
            return self._apps.find(name)
        location = read_source(name)
        if location.place is Place.SCRATCH:
            raise InvalidInputError(f"'{SCRATCH}' has no layers", remedy="name another image with --run-image")
        return open_store(location, self._remote).find(location.name_in_store)

    def readable(self, name: str) -> bool:
        """Say whether a run image could be read."""
        location = read_source(name)
        return open_store(location, self._remote).readable(location.name_in_store)

    def check_write(self, names: Sequence[str]) -> None:
        """Raise ``ImageError`` unless the app image could be written."""
        self._apps.check_write(names)

    def write(self, image: NewImage, names: Sequence[str]) -> WrittenImage:
        """Write the app image."""
        return self._apps.write(image, names)


def _for_people(remedy: str | None) -> str | None:
    """Return a remedy with the flags of phases written as options of commands."""
    return remedy and _FLAG.sub(r"--\1", remedy)


def _report(app: str, done: Rebased, *, as_json: bool) -> None:
    written = done.written
    if as_json:
        event = {"event": "rebased", "app": app, "reference": written.reference, "image_id": written.image_id}
        sys.stdout.write(json.dumps({**event, "names": list(written.names)}) + "\n")
        return
    sys.stdout.write(f"rebased   {app}\nimage     {written.reference}\nimage id  {written.image_id}\n")
