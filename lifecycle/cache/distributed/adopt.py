"""Replacing what a step left by its record: all of it at once, or nothing.

A winner's layers, TOML files and SBOM files are made beside the buildpack's directory, which then changes its place
with them in one step.  Layers for the next build alone are this builder's own and stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cache.directories import replace_directory
from lifecycle.cache.distributed.divergence import differing
from lifecycle.cache.distributed.own_step import belongs_to_step
from lifecycle.errors import CacheError
from lifecycle.files import codec
from lifecycle.files.atomic import write_atomic
from lifecycle.files.layers_dir import read_build_outputs
from lifecycle.files.work_dir import work_directory
from lifecycle.layers.blob import decompressed
from lifecycle.layers.extract import extract
from lifecycle.layers.source import diff_id
from lifecycle.oci.digest import verified
from lifecycle.oci.gojson import Struct
from lifecycle.rules.sbom import is_sbom_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifecycle.cache.distributed.own_step import LayerPlaces, OwnStep
    from lifecycle.cache.distributed.repository import Repository
    from lifecycle.cache.distributed.step_manifest import StepManifest
    from lifecycle.model.step_record import LayerRecord


def adopt(
    repository: Repository,
    steps: Sequence[tuple[StepManifest, OwnStep]],
    places: LayerPlaces,
    *,
    on_replace: Callable[[], None] = lambda: None,
) -> list[tuple[str, ...]]:
    """Put winners' outputs in the places of our own; return, for each step, the paths in which they differed.

    ``on_replace`` hears when everything is ready and the first directory is about to be replaced.
    Raises ``VerificationError``, ``CorruptImageError`` and ``UnsafeArchiveError`` only where a winner's bytes are not
    what its record says, ``LifecycleError`` for anything else; then all is as it was.
    """
    try:
        with work_directory("adopting", places.layers_dir) as staging:
            paths = []
            for winner, own in steps:
                new = staging / own.directory.name
                new.mkdir(mode=0o755)
                _fill(repository, winner, new, own.directory, places)
                paths.append(_differing(winner, own, new))
            on_replace()
            _exchange(steps, staging, places)
            for _, own in steps:
                _keep_caches(staging / own.directory.name, own.directory)
    except OSError as error:
        raise CacheError(f"can't be written: {error.strerror}", where=error.filename or places.layers_dir) from error
    return paths


def _exchange(steps: Sequence[tuple[StepManifest, OwnStep]], staging: Path, places: LayerPlaces) -> None:
    """Let all directories change their places, or none if one of them makes other layers here."""
    exchanged: list[Path] = []
    try:
        for winner, own in steps:
            replace_directory(own.directory, staging / own.directory.name)
            exchanged.append(own.directory)
            _check(winner, own.directory, places)
    except BaseException:
        for directory in exchanged:
            replace_directory(directory, staging / directory.name)
        raise


def _fill(repository: Repository, winner: StepManifest, new: Path, directory: Path, places: LayerPlaces) -> None:
    for layer in winner.record.layers:
        if layer.blob is not None and layer.diff_id is not None:
            where = f"{repository.name}@{layer.blob.digest}"
            tar = decompressed(repository.blob(layer.blob), where=where, limit=layer.size or 0)
            chunks = verified(tar, digest=layer.diff_id, size=layer.size, where=where)
            extract(chunks, root=places.in_image(directory / layer.name), target=new / layer.name, where=where)
        codec.save(new / f"{layer.name}.toml", _layer_toml(layer))
    for name, table in winner.record.outputs.items():
        codec.save(new / name, table)
    for name, file in winner.files.items():
        write_atomic(new / name, repository.blob(file), fsync=False)


def _layer_toml(layer: LayerRecord) -> Struct:
    types = layer.types
    return Struct(types=Struct(launch=types.launch, build=types.build, cache=types.cache), metadata=layer.metadata)


def _check(winner: StepManifest, directory: Path, places: LayerPlaces) -> None:
    """Raise ``CacheError`` unless an image made of these directories has the very layers of the record.

    The record's bytes have proved right by then, so it is this builder that differs.
    """
    for layer in winner.record.layers:
        if layer.diff_id is not None:
            found, _ = diff_id(places.source(directory / layer.name))
            if found != layer.diff_id:
                raise CacheError(
                    f"makes the layer {found} here, not {layer.diff_id}: directories above it or file systems differ",
                    where=directory / layer.name,
                )


def _keep_caches(old: Path, directory: Path) -> None:
    """Move the layers for the next build alone; contents first never stand without their metadata for long."""
    outputs = read_build_outputs(old)
    for layer in outputs.layers:
        types = layer.types
        if types.launch or types.build or not types.cache:
            continue
        files = [name for name in outputs.file_names if is_sbom_name(name) and belongs_to_step(name, {layer.name})]
        for name in (layer.name, f"{layer.name}.toml", *files):
            if (old / name).exists() and not (directory / name).exists():
                (old / name).rename(directory / name)


def _differing(winner: StepManifest, own: OwnStep, new: Path) -> tuple[str, ...]:
    paths: set[str] = set()
    ours = {layer.name: layer for layer in own.record.layers}
    theirs = {layer.name: layer for layer in winner.record.layers}
    for name in {*ours, *theirs}:
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None or (one.types, one.metadata) != (other.types, other.metadata):
            paths.add(f"{name}.toml")
        if one is None or other is None or one.diff_id != other.diff_id:
            here, there = own.directory / name, new / name
            if here.is_dir() and there.is_dir():
                paths |= {f"{name}/{path}" for path in differing(here, there)}
            else:
                paths.add(name)
    tables = {*own.record.outputs, *winner.record.outputs}
    paths |= {name for name in tables if own.record.outputs.get(name) != winner.record.outputs.get(name)}
    files = {*own.files, *winner.files}
    return tuple(sorted(paths | {name for name in files if own.files.get(name) != winner.files.get(name)}))
