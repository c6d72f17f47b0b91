"""Where a phase keeps images and caches, as its inputs say.

Spec: platform.md "Usage" of each phase (``-daemon``, ``-layout``, ``-cache-dir``, ``-cache-image``, ``-launch-cache``).
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidInputError
from lifecycle.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from lifecycle.cache.store import Cache
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import ImageStore

_LOG = logging.getLogger(__name__)


def open_images(settings: Settings, remote: RemoteStores) -> ImageStore:
    """Return where app, run and previous image are: layouts, the daemon with its launch cache, or registries."""
    launch_cache = settings.optional_path("launch_cache")
    if launch_cache is not None and not settings.switch("daemon"):
        _LOG.warning("Ignoring -launch-cache, only intended for use with -daemon")
    if settings.switch("layout"):
        from lifecycle.images.layout import LayoutStore

        directory = settings.optional_path("layout_dir")
        if directory is None:
            raise InvalidInputError("-layout needs a directory", remedy="give it with -layout-dir")
        return LayoutStore(directory)
    if not settings.switch("daemon"):
        return remote.registry
    if launch_cache is None:
        return remote.daemon
    from lifecycle.cache.launch import LaunchCachedStore
    from lifecycle.cache.volume import VolumeCache

    return LaunchCachedStore(remote.daemon, VolumeCache(launch_cache))


def by_path(settings: Settings) -> Settings:
    """Name images in a layout directory by their paths, as the reference's log, report and analyzed.toml do."""
    from lifecycle.images.layout import locate

    directory = settings.optional_path("layout_dir")
    if directory is None:
        return settings
    images = tuple(str(locate(name, directory).path) for name in settings.images)
    tags = tuple(str(locate(name, directory).path) for name in settings.list("tag"))
    previous = settings.text("previous_image")
    texts = {**settings.texts, "previous_image": previous and str(locate(previous, directory).path)}
    lists = {**settings.lists, "tag": tags}
    return replace(settings, images=images, image_names=settings.images, texts=texts, lists=lists)


def cache_images(settings: Settings, remote: RemoteStores) -> ImageStore | None:
    """Return where the cache image is, ``None`` where the cache is none: always a registry, as in the reference."""
    return remote.registry if settings.text("cache_image") else None


def open_cache(settings: Settings, remote: RemoteStores, *, progress: Progress = NO_PROGRESS) -> Cache | None:
    """Return the cache image, else the cache directory; ``None`` with a warning where neither is given."""
    images = cache_images(settings, remote)
    if images is not None:
        from lifecycle.cache.image import image_cache

        name = settings.text("cache_image")
        return image_cache(name, images=images, api=settings.api, work_dir=Path(tempfile.gettempdir()))
    directory = settings.optional_path("cache_dir")
    if directory is not None:
        from lifecycle.cache.volume import VolumeCache

        return VolumeCache(directory, progress=progress)
    _LOG.warning("No cached data will be used, no cache specified.")
    return None
