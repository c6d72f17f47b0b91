"""``lifecycle cache gc``: removing from shared caches what nobody has a use for, beside builds that go on."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cache.distributed.collect import Collector
from lifecycle.cache.distributed.collected import Fate
from lifecycle.cache.distributed.open import open_unsigned
from lifecycle.cache.distributed.policy_file import read_policy, seconds
from lifecycle.cache.distributed.retention import Policy, age_text
from lifecycle.cache.specification import is_path, read_repository, redacted
from lifecycle.cli.caches.specs import insecure_names
from lifecycle.cli.logs.size_text import size_text
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import InvalidFileError, InvalidInputError, LifecycleError
from lifecycle.oci.digest import Digest
from lifecycle.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.cache.distributed.collected import Collected
    from lifecycle.cli.commands.cache.views import View

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}(?![0-9a-f])")
_SHOWN: Final = len("sha256:") + 12
_FUTURE: Final = {
    Fate.KEPT: "keep",
    Fate.MARKED: "would mark",
    Fate.WAITING: "waiting",
    Fate.CLOSED: "would close",
    Fate.DELETED: "would delete",
}
_TOLD: Final = (Fate.DELETED, Fate.CLOSED, Fate.WAITING, Fate.MARKED, Fate.KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class GcRequest:
    """What a person asked for; ages as text, ``keep_list`` is a file or ``-``."""

    references: tuple[str, ...]
    keep_within: str = ""
    keep_images: tuple[str, ...] = ()
    keep_list: str = ""
    policy: Path | None = None
    starts: int = 1
    grace: str = "24h"
    dry_run: bool = False


def collect_garbage(request: GcRequest, view: View) -> bool:
    """Collect in one cache after the other; return whether all went well.

    Raises ``InvalidInputError``, ``InvalidFileError`` and, for images to keep that can't be found, ``LifecycleError``
    before anything is changed.
    """
    specs = [read_repository(text) for text in request.references]
    remote = RemoteStores(view.environment, insecure=(*view.insecure, *insecure_names(specs)))
    policy, grace = _policy(request, remote), _age(request.grace, "--grace")
    values: list[dict[str, Any]] = []
    for spec in specs:
        name = redacted(spec.get("ref"))
        collector = Collector(open_unsigned(spec, lambda: remote.client), policy, grace)
        value: dict[str, Any] = {"cache": name, "dry-run": request.dry_run}
        try:
            done = collector.plan() if request.dry_run else collector.run()
        except LifecycleError as error:
            value["error"] = str(error)
            if not view.as_json:
                view.out.write(f"{name}\nerror: {error}\n")
        else:
            value |= _value(done)
            if not view.as_json:
                directory = is_path(spec.get("ref"))
                view.out.writelines(f"{line}\n" for line in _lines(name, done, request, directory=directory))
        values.append(value)
    if view.as_json:
        view.out.write(json.dumps({"caches": values}, indent=2) + "\n")
    return all("error" not in value and not value["stuck"] for value in values)


def _policy(request: GcRequest, remote: RemoteStores) -> Policy:
    policy = Policy(starts=request.starts)
    if request.policy is not None:
        policy = read_policy(_document(request.policy), policy, where=str(request.policy))
    if request.keep_within:
        policy = replace(policy, keep_within=_age(request.keep_within, "--keep-within"))
    images: dict[Digest, str] = {}
    for text in (*request.keep_images, *_listed(request.keep_list)):
        images[_image_digest(text, remote)] = redacted(text)
    return replace(policy, images=images)


def _image_digest(text: str, remote: RemoteStores) -> Digest:
    """Return the digest of an image in use: as the text has it, else as its registry says."""
    if (found := _DIGEST.search(text)) is not None:
        return Digest(found[0])
    reference = parse_reference(text)
    descriptor = remote.client.head_manifest(reference)
    if descriptor is None:
        raise InvalidInputError(
            f"the image {redacted(text)} that is to be kept is not there",
            remedy="correct its name or leave it out; nothing was deleted",
        )
    return descriptor.digest


def _listed(path: str) -> Iterator[str]:
    """Yield the lines of a keep-list: one image each, ``#`` begins a comment."""
    if not path:
        return
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidFileError(f"can't be read: {why}", where=path) from error
    for line in text.splitlines():
        if found := line.partition("#")[0].strip():
            yield found


def _document(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except OSError as error:
        raise InvalidFileError(f"can't be read: {error.strerror}", where=path) from error
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(
            f"is neither TOML nor JSON: {error}", where=path, remedy="of YAML, give what yq -o json makes"
        ) from error


def _age(text: str, flag: str) -> float:
    found = 0.0 if text == "0" else seconds(text)
    if found is None:
        raise InvalidInputError(
            f"{flag}: {text!r} is not an age", remedy="write a number and s, m, h, d or w, such as 2h"
        )
    return found


def _value(done: Collected) -> dict[str, Any]:
    return {
        "records": [
            {
                "record": row.record,
                "buildpack": row.buildpack,
                "fate": row.fate,
                "reasons": list(row.reasons),
                "images": list(row.names),
            }
            for row in done.rows
        ],
        "images": {"all": done.images, "kept": done.images_kept},
        "builds-under-way": done.leases,
        "tags": {"written": done.work.written, "removed": done.work.removed},
        "blobs": {"removed": done.work.blobs, "bytes": done.work.blob_bytes},
        "unfinished": done.unfinished,
        "foreign": done.foreign,
        "stuck": list(done.work.stuck),
    }


def _lines(name: str, done: Collected, request: GcRequest, *, directory: bool) -> Iterator[str]:
    leases = f", {done.leases} builds may be under way" if done.leases else ""
    yield f"{name}: {len(done.rows)} records, {done.images_kept} of {done.images} images kept{leases}"
    rows = sorted(done.rows, key=lambda row: (_TOLD.index(row.fate), row.buildpack, row.record))
    width = max((len(row.buildpack) for row in rows), default=0)
    for row in rows:
        fate = _FUTURE[row.fate] if request.dry_run else row.fate
        yield f"  {fate:<12}  {row.buildpack:<{width}}  {row.record[:_SHOWN]}  {'; '.join(row.reasons)}"
    yield f"  {_counts(done, request)}"
    yield from (f"  {line}" for line in _notes(done, request, directory=directory))


def _counts(done: Collected, request: GcRequest) -> str:
    counts = ", ".join(f"{done.count(fate)} {fate}" for fate in reversed(_TOLD))
    verb = "would be " if request.dry_run else ""
    return f"{counts}; {done.work.written} tags {verb}written, {done.work.removed} {verb}removed"


def _notes(done: Collected, request: GcRequest, *, directory: bool) -> Iterator[str]:
    if done.count(Fate.MARKED) + done.count(Fate.WAITING):
        age = age_text(_age(request.grace, "--grace"))
        yield f"what is marked is deleted by a run after {age}, unless it is used or wanted again until then"
    if done.count(Fate.CLOSED):
        yield "what is closed is deleted by a run after an hour, when builds that may use it are over"
    if done.work.blobs:
        yield f"{done.work.blobs} blobs removed, {size_text(done.work.blob_bytes)}"
    elif done.count(Fate.DELETED) and not directory:
        yield "the registry keeps the blobs until its own garbage collection, which must not run beside pushes"
    if done.foreign:
        yield f"{done.foreign} tags are none of a shared cache, and were left alone"
    if done.unfinished:
        yield f"{done.unfinished} keys have ballots of builds that ended early; the next build of each takes them up"
    if done.work.stuck:
        yield f"the registry still lists {_some(done.work.stuck)}, which it was asked to delete"


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
