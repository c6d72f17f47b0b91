"""Carries out the steps of Dockerfiles on the file system of an image and makes their layers.

Reference: the extender's Dockerfile applier; what it ignores is no part of any layer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from lifecycle.errors import ExtendError, LifecycleError
from lifecycle.executables.process import Command, ProcessUser, ending
from lifecycle.rootfs.apply import apply_layer
from lifecycle.rootfs.changes import ChangesLayer
from lifecycle.rootfs.container import is_ignored, make_mount_points
from lifecycle.rootfs.copy import FetchedFile, copy_into, make_directory
from lifecycle.rootfs.emptied import bring_back, set_aside
from lifecycle.rootfs.paths import resolved
from lifecycle.rootfs.snapshot import Changes, Snapshot, in_order, take_snapshot
from lifecycle.rootfs.users import find_identity
from lifecycle.rules.extensions.dockerfile_steps import CopyAction, RunAction
from lifecycle.rules.extensions.step_chain import step_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lifecycle.cache.extension_steps import ExtensionCache, MadeLayer
    from lifecycle.executables.process import Runner
    from lifecycle.images.store import Image
    from lifecycle.layers.blob import LayerBlob
    from lifecycle.oci.digest import DiffId
    from lifecycle.rootfs.context import BuildContext, Source
    from lifecycle.rootfs.users import Identity
    from lifecycle.rules.extensions.dockerfile_steps import Step

_LOG = logging.getLogger(__name__)
_WORK_DIR_MODE = 0o711
_SCRIPT = "script"
_SCRIPT_MODE = 0o755
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRoot:
    """The file system of an image that is being extended: ``path`` is ``/`` in a container of it.

    Paths that are ``ignored``, absolute in the image, become no part of a layer.  ``work_dir`` is for scripts; commands
    see it as ``work_dir_inside``, which has to be among those.  The layers of ``missing`` are yet to be unpacked.
    At ``mounted`` commands see something else than the image's files; a directory's name ends with a slash.
    """

    path: Path = Path("/")
    ignored: frozenset[bytes]
    work_dir: Path
    work_dir_inside: str
    missing: Image | None = None
    mounted: tuple[str, ...] = ()


class Fetcher(Protocol):
    """Gets files from elsewhere."""

    def __call__(self, url: str, target: Path) -> str:
        """Write the file that ``url`` names to ``target`` and return its digest; raise ``ExtendError``."""
        ...


@dataclass(slots=True)
class StepRunner:
    """An image that is being extended.

    Steps that the cache knows are put onto the file system only when somebody has to see what they did; so are the
    layers that it lacks.
    """

    image: ImageRoot
    cache: ExtensionCache
    run: Runner
    output: Callable[[bytes], None]
    process_env: Mapping[str, str]
    fetch: Fetcher
    _snapshot: Snapshot | None = None
    _pending: list[LayerBlob] = field(default_factory=list)
    _complete: bool = False
    _ignored: frozenset[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._ignored = self.image.ignored

    @property
    def root(self) -> Path:
        """Where the file system is."""
        return self.image.path

    def carry_out(
        self, step: Step, context: BuildContext, *, previous: str, layers: Sequence[DiffId], where: str
    ) -> tuple[str, MadeLayer]:
        """Carry out a step, or take what it made in an earlier build; return its key and what it made.

        ``previous`` is the key of the step before, ``layers`` are those made so far, ``where`` is file and line.
        Raises ``ExtendError`` if it fails.
        """
        sources: tuple[Source, ...] = ()
        fingerprint = ""
        if isinstance(step.action, CopyAction):
            sources = context.find(step.action.sources, where=where)
            fingerprint = context.fingerprint(sources)
            if not step.action.checksum:
                fingerprint = " ".join((fingerprint, *self._fetched(step.action, where)))
        key = step_key(previous, layers, step, context=fingerprint)
        made = self.cache.find(key)
        if made is not None:
            _LOG.info("Using the cached layer of %s", shown(step))
            if made.blob is not None:
                self._pending.append(made.blob)
            return key, made
        _LOG.info("%s", shown(step))
        self.settle()
        try:
            with_changes = self._changes(step, context, sources, where)
        except ExtendError as error:
            raise ExtendError(error.message, where=error.where or where, remedy=error.remedy) from error
        changes = Changes(in_order(self._kept(with_changes.changed)), in_order(self._kept(with_changes.removed)))
        if not changes:
            _LOG.debug("No files were changed, so there is no layer")
        return key, self.cache.add(key, ChangesLayer(self.root, changes) if changes else None)

    def settle(self) -> None:
        """Put onto the file system what it lacks, and what cached steps made."""
        base = self.image.missing
        if base is not None and not self._complete:
            for diff_id in base.config.diff_ids:
                apply_layer(base.layer(diff_id), self.root, where=f"{base.name}: {diff_id}", keeps_times=True)
            self._complete = True
            self._make_mount_points()
        for blob in self._pending:
            apply_layer(blob.uncompressed(), self.root, where=blob.digest)
            self._snapshot = None
        self._pending.clear()

    def identity(self, user: str) -> Identity:
        """Return who ``user`` is; names and their groups are those of the file system as steps left it."""
        if not all(part.isdecimal() for part in user.split(":")) or ":" not in user:
            self.settle()
        return find_identity(self.root, user)

    def _changes(self, step: Step, context: BuildContext, sources: Sequence[Source], where: str) -> Changes:
        if isinstance(step.action, RunAction):
            return self._run(step, step.action, where)
        if isinstance(step.action, CopyAction):
            written = self._copy(step.action, sources, context, where)
        else:
            identity = find_identity(self.root, step.user)
            written = make_directory(self.root, step.action.path, (identity.uid, identity.gid))
        if self._snapshot is not None:
            self._snapshot = self._snapshot.with_paths(self.root, self._kept(written))
        return Changes(tuple(written))

    def _copy(self, action: CopyAction, sources: Sequence[Source], context: BuildContext, where: str) -> set[bytes]:
        if action.checksum:
            self._fetched(action, where)
        fetched = [FetchedFile(_name_of(url), self._place_of(number)) for number, url in enumerate(action.urls)]
        written = copy_into(self.root, action, sources, context, where=where, fetched=fetched)
        for each in fetched:
            each.path.unlink()
        return written

    def _fetched(self, action: CopyAction, where: str) -> list[str]:
        """Get what an instruction fetches, and return the digests."""
        digests = []
        for number, url in enumerate(action.urls):
            _LOG.debug("Fetching %s", url)
            try:
                digests.append(self.fetch(url, self._place_of(number)))
            except ExtendError as error:
                raise ExtendError(f"can't fetch {url}: {error.message}", where=where, remedy=error.remedy) from error
            if action.checksum not in {"", digests[-1]}:
                raise ExtendError(f"{url} has the digest {digests[-1]}, expected {action.checksum}", where=where)
        return digests

    def _place_of(self, number: int) -> Path:
        return self._made_work_dir() / f"fetched-{number}"

    def _made_work_dir(self) -> Path:
        # A command before may have emptied /tmp.
        self.image.work_dir.mkdir(_WORK_DIR_MODE, exist_ok=True)
        return self.image.work_dir

    def _run(self, step: Step, action: RunAction, where: str) -> Changes:
        self._make_mount_points()
        before = self._snapshot or take_snapshot(self.root, ignored=self._ignored)
        self._snapshot = None
        identity = find_identity(self.root, step.user)
        make_directory(self.root, step.working_dir, (0, 0))
        argv = action.argv
        if action.script:
            script = self._made_work_dir() / _SCRIPT
            script.write_text(action.script)
            script.chmod(_SCRIPT_MODE)
            argv = (f"{self.image.work_dir_inside}/{_SCRIPT}",)
        command = Command(
            argv,
            resolved(self.root, step.working_dir),
            self._environment(step, identity),
            ProcessUser(identity.uid, identity.gid, identity.groups),
            leaves_nothing=True,
        )
        emptied = [
            set_aside(self.root, each, before, ignored=self._ignored, work_dir=self._made_work_dir())
            for each in action.emptied
        ]
        try:
            status = self.run(command, output=self.output)
        except LifecycleError as error:
            raise ExtendError(f"{shown(step)}: {error.message}", where=where, remedy=error.remedy) from error
        if status != 0:
            raise ExtendError(f"{shown(step)} {ending(status)}", where=where)
        for each in reversed(emptied):
            bring_back(self.root, each, ignored=self._ignored)
        self._snapshot = take_snapshot(self.root, ignored=self._ignored)
        return before.changes_to(self._snapshot).without_content_of([each.path for each in emptied])

    def _make_mount_points(self) -> None:
        self._ignored |= make_mount_points(self.root, self.image.mounted)

    def _environment(self, step: Step, identity: Identity) -> dict[str, str]:
        """Return the variables of the image and its arguments, a home, and the proxies of this process.

        Reference: Docker, whose arguments for proxies need no declaration and leave no trace in an image.
        """
        proxies = {name: value for name, value in self.process_env.items() if name.upper() in _PROXIES}
        home = "/root" if identity.uid == 0 and identity.home == "/" else identity.home
        return {**proxies, "HOME": home, **step.env}

    def _kept(self, paths: Iterable[bytes]) -> list[bytes]:
        return [path for path in paths if not is_ignored(path, self._ignored)]


def _name_of(url: str) -> str:
    """Return the name of the file that a URL names, ``""`` if it names none."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return "" if name in {".", ".."} or "\0" in name else name


def shown(step: Step) -> str:
    """Return a step as a log line tells it."""
    text = str(step.instruction)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
