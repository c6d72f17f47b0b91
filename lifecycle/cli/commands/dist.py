"""``lifecycle dist`` and ``lifecycle install``: the forms in which platforms take a lifecycle."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lifecycle.cli.phase_names import Phase
from lifecycle.errors import DistributionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.dist.target import Target
    from lifecycle.images.store import NewImage


def make_distributions(
    targets: str, output: Path, *, tag: str, remote: RemoteStores, report: Callable[[str], None]
) -> None:
    """Write archive and image for each of ``linux/amd64,linux/arm64``; raises ``LifecycleError``.

    With ``tag`` the images are pushed too, and their index under that name.
    """
    _refuse_inside_executable()
    from lifecycle.dist.publish import push_images
    from lifecycle.dist.release import make_release
    from lifecycle.dist.target import parse_targets
    from lifecycle.oci.reference import parse_tag

    def publish(images: Mapping[Target, NewImage]) -> None:
        if tag:
            digest = push_images(tag, images, store=remote.registry, client=remote.client)
            report(f"{parse_tag(tag).name}: pushed for {', '.join(each.value for each in images)}, {digest}")

    if tag:
        remote.registry.check_write([tag])
    make_release(parse_targets(targets), output, phases=list(Phase), report=report, publish=publish)


def install_here(destination: Path, *, launcher: Path | None) -> None:
    """Install the running lifecycle to ``destination``; raises ``LifecycleError``."""
    _refuse_inside_executable()
    from lifecycle.dist.install import install

    install(destination, phases=list(Phase), launcher=launcher)


def _refuse_inside_executable() -> None:
    if "_carried" in sys.modules:
        raise DistributionError(
            "this lifecycle is a single file that can't make others",
            where=sys.executable,
            remedy="copy it, or use one that pip installed",
        )
