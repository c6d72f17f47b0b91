"""The run image of ``lifecycle build`` is extended on this host, as the extender would in a container of it.

A process of its own unpacks the image and works on it; to that one the host is read-only.  Commands of Dockerfiles run
in containers, see ``executables.contained``.  Spec: image_extension.md "Phase: Extension".
"""

from __future__ import annotations

import os
import tempfile
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cache.extension_steps import ExtensionCache, open_extension_cache
from lifecycle.cli.commands.build.paths import APP, LAYERS
from lifecycle.cli.steps.download import Downloader
from lifecycle.cli.steps.extend import KANIKO_DIR, check_extension_apis
from lifecycle.errors import ExtendError, GenerateError, LifecycleError
from lifecycle.executables.contained import Container, protect_host
from lifecycle.executables.forked import run_forked
from lifecycle.files.removal import remove_tree
from lifecycle.images.sparse_layout import save_extended
from lifecycle.phases.apply_step import ImageRoot
from lifecycle.phases.extend import ExtendInputs, extend, find_dockerfiles
from lifecycle.rootfs.container import ignored_names
from lifecycle.rootfs.paths import resolved
from lifecycle.rules.extensions.dockerfiles import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cli.commands.build.images import BuildImages
    from lifecycle.cli.inputs.settings import Settings
    from lifecycle.cli.steps.detect import DetectedGroup
    from lifecycle.model.group import Group

_STEPS = "extension-steps"
"""The directory of the cache for the layers of steps."""

_SCRIPTS_MODE = 0o711
_CACHE_MODE = 0o700
_CONTAINER_FILES = (Path("/etc/hosts"), Path("/etc/resolv.conf"))
_ELSEWHERE = "build with an order without this extension, or in a platform that runs the extender"


def check_dockerfiles(found: DetectedGroup) -> bool:
    """Say whether the run image is to be extended; raise ``GenerateError`` for what can't be done on this host.

    What a build.Dockerfile changes is the image that a build runs in, which is here the host itself.
    """
    for dockerfile in found.dockerfiles:
        if dockerfile.applies:
            wrote = f"extension {dockerfile.extension_id} wrote a {dockerfile.kind.file_name} with instructions"
            if dockerfile.kind is Kind.BUILD:
                raise GenerateError(f"{wrote}, which would change this host: it is the build image", remedy=_ELSEWHERE)
            if os.geteuid() != 0:
                raise GenerateError(
                    f"{wrote}, and only root can apply them: files of a run image belong to many users",
                    remedy=f"build as root, or {_ELSEWHERE}",
                )
    return any(dockerfile.applies for dockerfile in found.dockerfiles)


def forget_steps(cache_dir: Path) -> None:
    """Let no step of a Dockerfile be known any more."""
    if (cache_dir / _STEPS).is_dir():
        with open_extension_cache(cache_dir / _STEPS, lifetime=0):
            pass


def extend_run_image(
    settings: Settings,
    group: Group,
    images: BuildImages,
    *,
    work_dir: Path,
    environment: Mapping[str, str],
    output: Callable[[bytes], None],
) -> None:
    """Leave the extended run image where the exporter looks for it; ``work_dir`` is made, and removed in the end.

    Raises ``ExtendError``.
    """
    check_extension_apis(group)
    extension = _HostExtension(
        root=work_dir / "root",
        scripts=work_dir / "scripts",
        extended_dir=settings.path("extended"),
        cache_dir=settings.path("cache_dir") / _STEPS,
    )
    try:
        extension.make_directories()
        run_forked(partial(extension.extend, settings, group, images, environment=environment, output=output))
    except LifecycleError as error:
        raise ExtendError(error.message, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise ExtendError(f"can't be made: {error.strerror}", where=error.filename) from error
    finally:
        remove_tree(work_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class _HostExtension:
    """The directories that an extension writes to."""

    root: Path
    scripts: Path
    extended_dir: Path
    cache_dir: Path

    def make_directories(self) -> None:
        for each in (self.root, self.scripts, self.extended_dir):
            each.mkdir(parents=True, exist_ok=True)
        self.scripts.chmod(_SCRIPTS_MODE)
        self.cache_dir.mkdir(_CACHE_MODE, exist_ok=True)

    def extend(
        self,
        settings: Settings,
        group: Group,
        images: BuildImages,
        *,
        environment: Mapping[str, str],
        output: Callable[[bytes], None],
    ) -> None:
        """Extend the run image; this process can write nowhere else then."""
        try:
            protect_host(self.root, (self.scripts, self.extended_dir, self.cache_dir))
        except LifecycleError as error:
            raise ExtendError(
                f"this host doesn't let its root make the container that a run.Dockerfile needs: {error.message}",
                remedy=f"let it mount (CAP_SYS_ADMIN, Linux 5.12), or {_ELSEWHERE}",
            ) from error
        tempfile.tempdir = str(self.scripts)
        base = images.reopened().run_image
        container = self._container(settings)
        inputs = ExtendInputs(
            kind=Kind.RUN,
            dockerfiles=find_dockerfiles(
                Kind.RUN,
                group,
                platform_api=settings.api,
                generated_dir=settings.path("generated"),
                app_dir=settings.path("app"),
            ),
            root=ImageRoot(
                path=self.root,
                ignored=ignored_names(container.mounted),
                work_dir=self.scripts,
                work_dir_inside=str(KANIKO_DIR),
                missing=base,
                mounted=container.mounted,
            ),
            base=base,
            build_id=str(uuid.uuid4()),
            process_env=environment,
        )
        lifetime = settings.seconds("kaniko_cache_ttl")
        with open_extension_cache(self.cache_dir, lifetime=lifetime) as found:
            cache = found or ExtensionCache(self.scripts, lifetime, keeps=False)
            extended = extend(inputs, run=container.run, output=output, cache=cache, fetch=Downloader(environment))
            save_extended(self.extended_dir / Kind.RUN, base, extended.config, extended.layers)

    def _container(self, settings: Settings) -> Container:
        """Return the container of an extender: it has the volumes of the build, and its host's names of others."""
        shared = {str(APP): settings.path("app"), str(LAYERS): settings.path("layers")}
        shown = {"/platform": settings.path("platform"), str(KANIKO_DIR): self.scripts}
        files = {str(path): path for path in _CONTAINER_FILES if path.exists()}
        return Container(self.root, partial(resolved, self.root), shared, shown | files)
