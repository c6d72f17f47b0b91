"""The cache that builders share: the value of ``-cache-repo``, from inputs to settled steps."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.cli.caches.specs import repository_spec
from lifecycle.errors import LifecycleError
from lifecycle.files.git_state import GitHead, git_head
from lifecycle.files.half_replaced import HalfReplaced
from lifecycle.files.work_dir import work_directory
from lifecycle.images.store import ReusedLayer
from lifecycle.model.cache_report import CacheReport
from lifecycle.oci.digest import DiffId, Digest, is_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.usage import BuildLease
    from lifecycle.cache.specification import CacheSpec
    from lifecycle.cache.store import Cache
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.steps.image_paths import ImagePaths
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import ImageStore, NewImage, WrittenImage
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.api import PlatformApi
    from lifecycle.model.build_metadata import BuildMetadata
    from lifecycle.model.cache_report import SettledRow
    from lifecycle.model.group import Group
    from lifecycle.model.project import Source
    from lifecycle.phases.build import BuildInputs
    from lifecycle.phases.cache_sources import CacheSources
    from lifecycle.phases.converging import StepConverger
    from lifecycle.phases.step_recorder import StepRecorder


_LOG = logging.getLogger(__name__)
_OFTEN_ENOUGH = 600
"""Seconds between notes of one image that are worth having."""


def with_own_layers(sources: CacheSources, cache: Cache | None, analyzed: Analyzed) -> CacheSources:
    """Let shared caches offer the very same steps only, where this builder has layers of the buildpack itself."""
    from lifecycle.cache.sources.distributed import DistributedSource

    known = {each.key for each in analyzed.metadata.buildpacks or ()}
    with contextlib.suppress(LifecycleError):
        known |= {each.key for each in (cache.metadata().buildpacks if cache is not None else None) or ()}
    for each in sources.opened:
        if isinstance(each.source, DistributedSource):
            each.source.known_here = frozenset(known)
    return sources


@dataclass(slots=True)
class SharedBuild:
    """One build's part in a cache that builders share.

    ``reused`` gives, by ids, the layers of which buildpacks may leave the metadata only.  ``source_dir`` has the app
    as it is under version control, where the build has a copy without that.
    """

    spec: CacheSpec
    repository: Repository
    reused: Mapping[str, ReusedLayer]
    uid: int
    gid: int
    lease: BuildLease | None = None
    converger: StepConverger | None = None
    published: tuple[SettledRow, ...] = ()
    image_key: str = ""
    source_dir: Path | None = None

    @property
    def rows(self) -> tuple[SettledRow, ...]:
        """What became of the steps."""
        return tuple(self.converger.rows) if self.converger is not None else self.published

    @property
    def _strict(self) -> bool:
        return not self.spec.enabled("ignore-error", default=True)

    @contextlib.contextmanager
    def converging(self, inputs: BuildInputs, recorder: StepRecorder, paths: ImagePaths) -> Iterator[StepConverger]:
        """Settle the steps of a build."""
        from lifecycle.cache.distributed.own_step import LayerPlaces
        from lifecycle.cache.distributed.shared_steps import ConvergingSteps
        from lifecycle.phases.converging import StepConverger

        places = LayerPlaces(
            layers_dir=inputs.layers_dir.resolve(),
            image_layers_dir=paths.layers_dir,
            uid=self.uid,
            gid=self.gid,
            normalise_ancestors=paths.normalise_ancestors,
        )
        with work_directory("cache-repo") as work_dir:
            self.converger = StepConverger(
                ConvergingSteps(self.repository, places, work_dir, self.lease),
                recorder,
                reused=self.reused,
                strict=self._strict,
            )
            yield self.converger

    def publish(self, layers_dir: Path, group: Group, metadata: BuildMetadata, api: PlatformApi) -> BuildMetadata:
        """Settle the steps of a build that another process ran; return metadata.toml as they leave it."""
        from lifecycle.cache.distributed.own_step import LayerPlaces
        from lifecycle.cache.distributed.shared_steps import ConvergingSteps
        from lifecycle.files.build_metadata import metadata_path, save_metadata
        from lifecycle.files.observed_steps import load_observed
        from lifecycle.phases.build_results import collect_again
        from lifecycle.phases.publishing import publish_steps

        places = LayerPlaces(layers_dir=layers_dir.resolve(), uid=self.uid, gid=self.gid)
        replacing = HalfReplaced(layers_dir)
        with work_directory("cache-repo") as work_dir:
            self.published = publish_steps(
                ConvergingSteps(self.repository, places, work_dir, self.lease, replacing.begin),
                group.group,
                load_observed(layers_dir),
                layers_dir=layers_dir,
                reused=self.reused,
                cache_version=self.spec.get("cache-version"),
                strict=self._strict,
            )
        if any(row.outcome == "adopted" for row in self.published):
            metadata = collect_again(layers_dir, group, api)
            save_metadata(metadata_path(layers_dir), metadata, api)
        replacing.end()
        return metadata

    def before_write(self, image: NewImage) -> NewImage:
        """Return the image with the blobs that all builders have for it, if all of its steps are shared."""
        from lifecycle.cache.distributed.image_outcome import image_key, settle_image

        if any(not row.record for row in self.rows):
            return image
        try:
            settled = settle_image(self.repository, image, self.lease.snapshot if self.lease else frozenset())
        except LifecycleError as error:
            if self._strict:
                raise
            _LOG.warning("The blobs of the image stay with this builder: %s", error)
            return image
        self.image_key = image_key(image)
        return settled

    def after_write(self, written: WrittenImage, app_dir: Path, source: Source | None) -> None:
        """Leave word of what the image was made of, for those who decide how long that is kept, and end the lease."""
        self._note_image(written, git_source(self.source_dir or app_dir, source))
        if self.lease is not None:
            self.lease.end()

    def _note_image(self, written: WrittenImage, git: GitHead | None) -> None:
        from lifecycle.cache.distributed.model import Fate
        from lifecycle.cache.distributed.usage import BuildNote, put_note

        image = written.digest or written.image_id
        records = {Digest(row.record): row.buildpack for row in self.rows if row.record}
        if not (is_digest(image) and records):
            return
        try:
            now = self.repository.log.now()
            is_new = any(row.outcome == Fate.WON for row in self.rows)
            note = BuildNote(
                image=Digest(image),
                # Images are kept by their age; of those that make one again, a note in ten minutes is enough.
                time=now if is_new else now - now % _OFTEN_ENOUGH,
                names=written.names,
                records=records,
                key=self.image_key,
                commit=git.commit if git else "",
                branches=git.branches if git else (),
                git_tags=git.tags if git else (),
            )
            put_note(self.repository, note)
        except LifecycleError as error:
            _LOG.debug("no note of the image: %s", error)

    def reported(self, report: CacheReport | None) -> CacheReport:
        """Return the report with what became of the steps."""
        return (report or CacheReport()).model_copy(update={"settled": self.rows})


def share_build(
    settings: Settings,
    remote: RemoteStores,
    analyzed: Analyzed,
    *,
    images: ImageStore,
    taken: Mapping[str, ReusedLayer],
    lease: BuildLease | None = None,
    source_dir: Path | None = None,
) -> SharedBuild | None:
    """Return the build's part in the cache that ``-cache-repo`` names, ``None`` where there is none.

    ``lease`` was begun before the sources were opened; ``taken`` are the launch layers that come from named sources;
    others may come from the previous image.
    """
    spec = repository_spec(settings)
    if spec is None:
        return None
    from lifecycle.cache.distributed.open import open_repository

    repository = open_repository(spec, lambda: remote.client)
    reused = {**_of_previous(analyzed, images), **taken}
    return SharedBuild(
        spec, repository, reused, settings.number("uid"), settings.number("gid"), lease, source_dir=source_dir
    )


def lease_cache(settings: Settings, remote: RemoteStores, former: str = "") -> BuildLease | None:
    """Let nothing be deleted from the cache of ``-cache-repo`` that this build may use; ``None`` where that fails.

    ``former`` is the name of the lease with which this build goes on.
    """
    spec = repository_spec(settings)
    if spec is None:
        return None
    from lifecycle.cache.distributed.open import open_repository
    from lifecycle.cache.distributed.usage import resume_lease

    try:
        return resume_lease(open_repository(spec, lambda: remote.client).log, former)
    except LifecycleError as error:
        _LOG.debug("no lease: %s", error)
        return None


def git_source(app_dir: Path, source: Source | None) -> GitHead | None:
    """Return the commit that an app is of: as project-metadata.toml says, else as its ``.git`` does."""
    version, metadata = (source.version or {}, source.metadata or {}) if source is not None else ({}, {})
    commit = version.get("commit")
    if isinstance(commit, str) and commit:
        refs = metadata.get("refs")
        names = [each for each in refs if isinstance(each, str)] if isinstance(refs, list) else []
        tags = tuple(sorted(each.removeprefix("refs/tags/") for each in names if each.startswith("refs/tags/")))
        branches = {each.removeprefix("refs/heads/") for each in names if not each.startswith("refs/tags/")}
        return GitHead(commit, tuple(sorted(branches)), tags)
    return git_head(app_dir / ".git")


def _of_previous(analyzed: Analyzed, images: ImageStore) -> dict[str, ReusedLayer]:
    previous = images.find(analyzed.image.reference) if analyzed.image and analyzed.image.reference else None
    if previous is None:
        return {}
    return {
        f"{buildpack.key}:{name}": ReusedLayer(previous, DiffId(layer.sha))
        for buildpack in analyzed.metadata.buildpacks or ()
        for name, layer in buildpack.layers.items()
        if is_digest(layer.sha) and layer.sha in previous.config.diff_ids
    }
