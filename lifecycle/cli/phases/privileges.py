"""From root to the user of a build: what needs root is opened, directories are given away, then there is no way back.

Spec: platform.md "Usage" of each phase (``-uid``, ``-gid``).  Reference: priv, and ``Privileges`` of each command.
ADR 0008 says where we differ.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cli.caches.specs import cache_names, shared_specs, target_specs
from lifecycle.cli.phase_names import Phase
from lifecycle.errors import LifecycleError
from lifecycle.files.ownership import Owner, give_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.oci.reference import Reference

_GIVEN = {
    Phase.ANALYZER: ("layers", "cache_dir", "launch_cache"),
    Phase.RESTORER: ("layers", "cache_dir"),
    Phase.EXPORTER: ("cache_dir", "launch_cache"),
    Phase.CREATOR: ("cache_dir", "launch_cache", "layers"),
}
_ALSO_GIVEN = {Phase.RESTORER: (Path("/kaniko"),)}

_WRITTEN = {
    Phase.ANALYZER: (("layers",), ("analyzed",)),
    Phase.DETECTOR: ((), ("group", "plan")),
    Phase.RESTORER: (("layers",), ("analyzed",)),
    Phase.EXTENDER: (("layers",), ()),
    Phase.BUILDER: (("layers",), ()),
    Phase.EXPORTER: ((), ("report",)),
    Phase.CREATOR: (("layers",), ("report",)),
    Phase.REBASER: ((), ("report",)),
}
"""Directories, and files whose directories a phase has to write to.  A cache that can't be written to is a warning."""

_WRITE_IMAGES = (Phase.EXPORTER, Phase.CREATOR)

_RUN_BUILDPACKS_ONLY = {Phase.DETECTOR: "detect", Phase.BUILDER: "build"}
"""Phases that need nothing of root's, and their verbs."""

_SECRET = "CNB_REGISTRY_AUTH"  # noqa: S105  # its name


def _refuse_root(verb: str) -> None:
    if os.geteuid() == 0:
        raise LifecycleError(f"failed to {verb}: refusing to run as root", remedy="run this phase as another user")


def take_user(
    settings: Settings, environment: Mapping[str, str], remote: RemoteStores, *, more_images: Sequence[str] = ()
) -> tuple[RemoteStores, Mapping[str, str]]:
    """Become the user whom the platform asked for, if this process is root; check what that user has to write to.

    ``more_images`` are used besides those that inputs and files name.  Returns stores that the user can still reach,
    and the environment of buildpacks.  Raises ``LifecycleError``.
    """
    owner = Owner(settings.number("uid"), settings.number("gid"))
    if settings.phase is Phase.EXTENDER:
        # Root extends; take_build_user follows.
        _hide()
        return remote, environment
    if settings.phase in _RUN_BUILDPACKS_ONLY:
        _refuse_root(_RUN_BUILDPACKS_ONLY[settings.phase])
    elif os.geteuid() != 0:
        _must_not_be_asked_for_another(settings, environment)
    elif owner != Owner(0, os.getegid()):
        daemon = settings.switch("daemon")
        references = _references((*_images(settings), *more_images))
        remote = remote.before_drop(references, daemon=daemon) if owner.uid else remote
        if owner.uid:
            _give_directories(settings, owner)
        _drop(owner)
    check_writable(settings)
    if settings.phase is Phase.CREATOR:
        environment = _of_user(environment)
    if settings.phase in (*_RUN_BUILDPACKS_ONLY, Phase.CREATOR) or _SECRET in environment:
        _hide()
    return remote, environment


def take_build_user(settings: Settings, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Become the user of the build for good, once the build image is extended; return the environment of buildpacks.

    Raises ``LifecycleError``, also where that user would be root.
    """
    owner = Owner(settings.number("uid"), settings.number("gid"))
    if os.geteuid() == 0 and owner.uid:
        give_directory(settings.path("layers"), owner)
        _drop(owner)
    _refuse_root("build")
    _hide()
    check_writable(settings)
    return _of_user(environment)


def _must_not_be_asked_for_another(settings: Settings, environment: Mapping[str, str]) -> None:
    """Refuse a user whom ``-uid`` names and who can't be had.

    ``CNB_USER_ID`` comes with every build image, also where a cluster chooses the user itself, so it only tells whose
    files the image has.
    """
    uid = settings.texts["uid"]
    asked_by_flag = uid != (environment.get("CNB_USER_ID") or "0")
    if asked_by_flag and settings.number("uid") != os.geteuid():
        gid = settings.number("gid")
        raise LifecycleError(
            f"failed to exec as user {uid}:{gid}: operation not permitted: this process is user {os.geteuid()}, "
            "and only root may become another",
            remedy=f"start the phase as root or as user {uid}, or leave out -uid to stay who it is",
        )


def _images(settings: Settings) -> Iterator[str]:
    """Yield the names of the images in registries that a phase may ask for."""
    yield settings.text("cache_image")
    yield from cache_names(settings)
    with contextlib.suppress(LifecycleError):
        yield from (spec.get("ref") for spec in target_specs(settings))
        yield from (spec.get("ref") for spec in shared_specs(settings))
    # Base images that are to be extended come from a registry in any case.
    if (settings.switch("daemon") or settings.switch("layout")) and settings.phase is not Phase.RESTORER:
        return
    yield from (*settings.images, *settings.list("tag"))
    for name in ("previous_image", "build_image", "run_image", "image"):
        yield settings.text(name)
    from lifecycle.files.codec import load
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.run import Run, Stack

    # A file that can't be used is told by who uses it.
    with contextlib.suppress(LifecycleError):
        run = load(Run, settings.path("run"), missing_ok=True) or Run()
        yield from (name for each in run.images for name in each.names())
    with contextlib.suppress(LifecycleError):
        stack = load(Stack, settings.path("stack"), missing_ok=True) or Stack()
        yield from stack.run_image.names()
    with contextlib.suppress(LifecycleError):
        analyzed = load(Analyzed, settings.path("analyzed"), missing_ok=True) or Analyzed()
        if analyzed.image is not None:
            yield analyzed.image.reference
        if analyzed.run_image is not None:
            yield from (analyzed.run_image.reference, analyzed.run_image.image)


def _references(names: Sequence[str]) -> list[Reference]:
    from lifecycle.oci.reference import parse_reference

    references = []
    for name in filter(None, dict.fromkeys(names)):
        with contextlib.suppress(LifecycleError):
            references.append(parse_reference(name))
    return references


def _give_directories(settings: Settings, owner: Owner) -> None:
    paths = [settings.optional_path(name) for name in _GIVEN.get(settings.phase, ())]
    if settings.phase in _WRITE_IMAGES:
        paths += [Path(spec.get("dest")) for spec in target_specs(settings) if spec.get("dest")]
        paths += _shared_directories(settings)
    for path in (*paths, *_ALSO_GIVEN.get(settings.phase, ())):
        if path is not None:
            give_directory(path, owner)


def _shared_directories(settings: Settings) -> list[Path]:
    specs = shared_specs(settings)
    if not specs:
        return []
    from lifecycle.cache.specification import is_path

    return [Path(spec.get("ref")) for spec in specs if is_path(spec.get("ref"))]


def _drop(owner: Owner) -> None:
    """Become ``owner`` for good.

    Of the groups that root is in, those go that ``/etc/group`` gives to root; what a platform added, such as the
    group that owns a volume, stays.
    """
    of_root = {0, os.getegid()}
    with contextlib.suppress(KeyError):
        of_root.update(os.getgrouplist(pwd.getpwuid(0).pw_name, 0))
    groups = sorted({owner.gid, *(set(os.getgroups()) - of_root)})
    try:
        if sorted(os.getgroups()) != groups:
            os.setgroups(groups)
        os.setresgid(owner.gid, owner.gid, owner.gid)
        os.setresuid(owner.uid, owner.uid, owner.uid)
    except OSError as error:
        raise LifecycleError(
            f"failed to exec as user {owner.uid}:{owner.gid}: {error.strerror}",
            remedy=f"let the container keep CAP_SETUID and CAP_SETGID, or start it as {owner.uid}:{owner.gid}",
        ) from error
    if not _dropped(owner, groups):
        raise LifecycleError(f"failed to exec as user {owner.uid}:{owner.gid}: root's rights came back")


def _dropped(owner: Owner, groups: list[int]) -> bool:
    ids = (os.getresuid(), os.getresgid(), sorted(os.getgroups()))
    if ids != ((owner.uid,) * 3, (owner.gid,) * 3, groups):
        return False
    if owner.uid == 0:
        return True
    try:
        os.setresuid(-1, 0, -1)
    except PermissionError:
        return True
    return False


def check_writable(settings: Settings) -> None:
    """Raise ``LifecycleError`` naming every directory that the phase has to write to and this user may not."""
    directories, files = _WRITTEN.get(settings.phase, ((), ()))
    paths = [*map(settings.path, directories), *(settings.path(name).parent for name in files)]
    if settings.switch("layout") and settings.phase in _WRITE_IMAGES and settings.text("layout_dir"):
        from lifecycle.images.layout import locate

        # The directory above them may be root's, where a platform mounts each image by itself.
        names = (*settings.images, *settings.list("tag"))
        paths += [locate(name, settings.path("layout_dir")).path for name in names]
    problems = {found: _problem(found) for path in paths if not os.access(found := _existing(path), os.W_OK | os.X_OK)}
    if not problems:
        return
    uid, gid = os.geteuid(), os.getegid()
    read_only = all(os.statvfs(path).f_flag & os.ST_RDONLY for path in problems)
    raise LifecycleError(
        f"user {uid}:{gid} can't write to {' and '.join(problems.values())}",
        remedy="mount it so that it can be written to"
        if read_only
        else f"give it to {uid}:{gid}, or let group {gid} write to it (chgrp -R {gid}, chmod -R g+rwX)",
    )


def _existing(path: Path) -> Path:
    """Return the directory itself, or the one in which it will be made."""
    return next(each for each in (path, *path.parents) if os.access(each, os.F_OK) or each == each.parent)


def _problem(path: Path) -> str:
    status = path.stat()
    kind = "" if stat.S_ISDIR(status.st_mode) else ", which is no directory"
    return f"{path} (of {status.st_uid}:{status.st_gid}, mode {stat.S_IMODE(status.st_mode):04o}){kind}"


def _of_user(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the home and the name of this process's user.

    A user without an entry in ``/etc/passwd`` keeps a home that is writable, and has the home that container
    engines give to such users if it is not: it may be root's.
    """
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        home = environment.get("HOME", "")
        return environment if home and os.access(home, os.W_OK | os.X_OK) else {**environment, "HOME": "/"}
    return {**environment, "HOME": entry.pw_dir, "USER": entry.pw_name}


def _hide() -> None:
    from lifecycle.executables.hidden import hide_from_programs

    hide_from_programs()
