"""The extender: base images are extended by the Dockerfiles of image extensions, in the container of each image.

Spec: platform.md "extender".  Reference: cmd/lifecycle/extender.go.
"""

from __future__ import annotations

import contextlib
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.extension_steps import ExtensionCache, open_extension_cache
from lifecycle.cli.steps.download import Downloader
from lifecycle.errors import ExtendError, InvalidInputError, LifecycleError, PlatformApiError
from lifecycle.files.work_dir import work_directory
from lifecycle.images.sparse_layout import find_base, save_extended
from lifecycle.model.api import BuildpackApi, PlatformFeature
from lifecycle.phases.apply_step import ImageRoot
from lifecycle.phases.extend import ExtendInputs, extend, find_dockerfiles
from lifecycle.rootfs.container import check_container, check_root, ignored_paths
from lifecycle.rules.extensions.dockerfiles import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.executables.process import Runner
    from lifecycle.model.analyzed import Analyzed
    from lifecycle.model.group import Group

KANIKO_DIR = Path("/kaniko")
"""The volume that restorer and extender share.  Its path is part of the specification."""
BASE_DIR = KANIKO_DIR / "cache" / "base"
_CACHE_DIR = KANIKO_DIR / "cache" / "extended"
_WORK_DIR_MODE = 0o711


def extend_kind(settings: Settings) -> Kind:
    """Return which image is to be extended; raise ``InvalidInputError`` for any other."""
    if PlatformFeature.EXTENDER not in settings.api:
        raise PlatformApiError(
            f"platform API {settings.api} has no extender", remedy="speak a newer one, as CNB_PLATFORM_API says"
        )
    if PlatformFeature.RUN_IMAGE_EXTENSION not in settings.api:
        return Kind.BUILD
    text = settings.text("kind")
    if text not in list(Kind):
        raise InvalidInputError(f"-kind is {text!r}, expected one of {', '.join(Kind)}")
    return Kind(text)


def check_extension_apis(group: Group) -> None:
    """Raise ``BuildpackApiError`` unless each extension has an API that is supported."""
    for element in group.group_extensions:
        BuildpackApi.parse(element.api, module=f"Extension '{element}'")


def extend_image(
    settings: Settings,
    kind: Kind,
    analyzed: Analyzed,
    group: Group,
    *,
    environment: Mapping[str, str],
    run: Runner,
    output: Callable[[bytes], None],
) -> Mapping[str, str]:
    """Extend the image; save the run image for the exporter.  Return the environment that a build image has then.

    Raises ``ExtendError``.
    """
    sys.dont_write_bytecode = True  # modules that are imported meanwhile must not leave files in layers
    with _translated():
        image = analyzed.build_image if kind is Kind.BUILD else analyzed.run_image
        base = find_base(BASE_DIR, image.reference if image else "")
        dockerfiles = find_dockerfiles(
            kind,
            group,
            platform_api=settings.api,
            generated_dir=settings.path("generated"),
            app_dir=settings.path("app"),
        )
        if dockerfiles:
            check_container(environment)
            check_root()
        with _work_dir() as work_dir, _open_cache(settings, work_dir) as cache:
            directories = ("app", "layers", "platform", "generated", "extended")
            ignored = ignored_paths([work_dir, KANIKO_DIR, *map(settings.path, directories)])
            inputs = ExtendInputs(
                kind=kind,
                dockerfiles=dockerfiles,
                root=ImageRoot(ignored=ignored, work_dir=work_dir, work_dir_inside=str(work_dir)),
                base=base,
                build_id=str(uuid.uuid4()),
                process_env=environment,
            )
            extended = extend(inputs, run=run, output=output, cache=cache, fetch=Downloader(environment))
            if kind is Kind.RUN:
                save_extended(settings.path("extended") / "run", base, extended.config, extended.layers)
    return {**environment, **extended.config.variables}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except LifecycleError as error:
        raise ExtendError(error.message, where=error.where, remedy=error.remedy) from error


@contextlib.contextmanager
def _work_dir() -> Iterator[Path]:
    """Make a directory whose files every user may run, as scripts in Dockerfiles have to be."""
    with work_directory("extender") as path:
        path.chmod(_WORK_DIR_MODE)
        yield path


@contextlib.contextmanager
def _open_cache(settings: Settings, work_dir: Path) -> Iterator[ExtensionCache]:
    """Open the cache in the volume; without one, layers are kept for this build only."""
    lifetime = settings.seconds("kaniko_cache_ttl")
    with open_extension_cache(_CACHE_DIR, lifetime=lifetime) as cache:
        yield cache or ExtensionCache(work_dir, lifetime, keeps=False)
