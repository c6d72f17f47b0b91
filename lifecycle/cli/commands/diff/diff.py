"""``lifecycle diff``: how two images differ, wherever they are, and what put there what differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from lifecycle.cli.commands.diff.compared_images import compare, open_compared
from lifecycle.cli.commands.diff.difference_json import value_of
from lifecycle.cli.commands.diff.difference_view import lines_of
from lifecycle.cli.stores.locations import read_platform
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRequest:
    """What a person asked for; ``ignore_storage`` takes images with one id for identical, however they are stored."""

    first: str
    second: str
    platform: str = ""
    ignore_storage: bool = False
    everything: bool = False
    as_json: bool = False
    insecure_registries: tuple[str, ...] = ()


def diff(
    request: DiffRequest, *, environment: Mapping[str, str], out: TextIO, progress: Progress = NO_PROGRESS
) -> bool:
    """Print how two images differ; return whether they are identical.  Raises ``LifecycleError``."""
    remote = RemoteStores(environment, insecure=request.insecure_registries, progress=progress)
    platform = read_platform(request.platform) if request.platform else None
    first, second = (
        open_compared(text, remote, environment, platform=platform) for text in (request.first, request.second)
    )
    found = compare(first, second)
    if request.as_json:
        out.write(json.dumps(value_of(found), indent=2) + "\n")
    else:
        out.writelines(f"{line}\n" for line in lines_of(found, everything=request.everything))
    return found.identical or (request.ignore_storage and found.same_id)
