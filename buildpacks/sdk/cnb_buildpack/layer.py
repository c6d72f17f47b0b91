"""Layers whose author says what happens when one is restored.

Spec: buildpack.md "Layer Types", "Layer Content Metadata (TOML)", "exec.d".

While a build runs, ``<layer>.toml`` has no types: a build that aborts leaves no layer that counts.  The types are
written when the build function has returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cnb_buildpack import log
from cnb_buildpack.api import Feature
from cnb_buildpack.environment import BUILD, LAUNCH, LayerEnv, Types
from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.files import child_name, read_toml, remove, write_atomic, write_toml
from cnb_buildpack.metadata import MetadataError, from_table, to_table
from cnb_buildpack.sbom import FORMATS, SbomFormat, write_sbom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cnb_buildpack.descriptor import Descriptor

M = TypeVar("M")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_RESERVED = frozenset({"launch", "build", "store"})
_SHORT = 24
"""Characters of a value that is shown where it differs; longer ones are digests."""


@dataclass(frozen=True, slots=True)
class Keep:
    """The restored layer is used as it is, with its metadata."""

    cause: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The restored layer is removed, and an empty one takes its place."""

    cause: str


@dataclass(frozen=True, slots=True)
class Migrate(Generic[M]):
    """The restored contents stay, and get new metadata."""

    key: M
    cause: str


def keep_if_same(old: Any, new: Any) -> Keep | Drop:
    """Decide by equality; the cause names what differs."""
    before, after = to_table(old), to_table(new)
    return _compare(before, after, dict.fromkeys((*after, *before)))


def keep_if_fits(old: Any, new: Any) -> Keep | Drop:
    """Decide as ``keep_if_same`` by what ``new`` knows: a field that is ``None`` in it is what a build finds out.

    So a layer that was made for ``3.x`` stays with the version that was found then.
    """
    before, after = to_table(old), to_table(new)
    return _compare(before, after, after)


def _compare(before: dict[str, Any], after: dict[str, Any], keys: Iterable[str]) -> Keep | Drop:
    changes = [_change(key, before, after) for key in keys if before.get(key) != after.get(key)]
    if changes:
        return Drop(", ".join(changes))
    return Keep(f"same {', '.join(after)} as in the last build" if after else "as in the last build")


@dataclass(slots=True)
class Layer(Generic[M]):
    """A layer of this build.  ``previous`` is the metadata that came back with it, ``None`` if none did."""

    name: str
    path: Path
    types: dict[str, bool]
    metadata: M
    restored: bool
    cause: str
    previous: M | None
    descriptor: Descriptor
    exec_env: tuple[str, ...] = ()
    env: LayerEnv = field(default_factory=LayerEnv)
    forgotten: bool = False

    @property
    def in_image_only(self) -> bool:
        """Whether the previous image has the contents and this build has not."""
        return self.restored and not self.path.is_dir()

    def sbom(self, form: SbomFormat, document: Mapping[str, Any] | str | bytes) -> None:
        """Write the bill of materials of this layer."""
        write_sbom(self.path.parent, self.name, form, document, self.descriptor)

    def exec_d(self, name: str, program: Path | str | bytes, *, process: str = "") -> None:
        """Add a program that sets variables when the app starts: a file to copy, or the text of a script."""
        self._add_program("exec.d", name, program, process)

    def profile_d(self, name: str, script: str, *, process: str = "") -> None:
        """Add a script that the shell of a process sources; Buildpack API 0.8 and older."""
        self.descriptor.api.require(Feature.PROFILE_D, f"profile.d/{name}", otherwise="write an exec.d program")
        self._add_program("profile.d", name, script, process)

    def forget(self) -> None:
        """Remove the layer from this build."""
        _remove_layer(self.path)
        self.forgotten = True

    def commit(self) -> None:
        """Write variables, types and metadata: from here on the layer counts."""
        if self.forgotten:
            return
        if self.env.files and not self.in_image_only:
            self.env.write(self.path)
        metadata = to_table(self.metadata)
        if self.exec_env:
            metadata["exec-env"] = list(self.exec_env)
        types = {name: True for name, value in self.types.items() if value}
        write_toml(_toml(self.path), {"types": types, "metadata": metadata or None})

    def _add_program(self, directory: str, name: str, program: Path | str | bytes, process: str) -> None:
        if self.in_image_only:
            raise BuildpackError(
                f"layer {self.name} is in the previous image only, so {directory}/{name} can't be added",
                fix="do so only if the layer is not restored",
            )
        if isinstance(program, Path) and not program.is_file():
            raise BuildpackError(
                f"{directory}/{name} of layer {self.name}: {program} is no file", fix="name the program"
            )
        content = program.read_bytes() if isinstance(program, Path) else program
        folder = self.path / directory / (child_name(process, "process type") if process else "")
        path = folder / child_name(name, "program")
        write_atomic(path, content.encode() if isinstance(content, str) else content)
        path.chmod(0o755)


@dataclass(frozen=True, slots=True)
class LayerStore:
    """The layers directory of a buildpack."""

    layers_dir: Path
    descriptor: Descriptor
    used: dict[str, Layer[Any]] = field(default_factory=dict)

    def restorable(
        self,
        name: str,
        *,
        types: Types,
        cache: bool,
        key: M,
        restored: Callable[[M, M], Keep | Drop | Migrate[M]],
        invalid: Callable[[dict[str, Any], M], Drop | Migrate[M]] | None,
        exec_env: Sequence[str],
    ) -> Layer[M]:
        """Return a layer that the next build gets back: with its contents if it is cached, else its metadata alone."""
        path = self._claim(name, exec_env)
        decision, previous = _decide(path, key, restored, invalid, with_contents=cache)
        layer = self._carry_out(path, decision, key, previous)
        return self._use(layer, types, exec_env, cache=cache)

    def uncached(self, name: str, *, types: Types, metadata: M, exec_env: Sequence[str]) -> Layer[M]:
        """Return an empty layer that the next build does not get back."""
        path = self._claim(name, exec_env)
        layer = self._empty(path, metadata, "not cached", None)
        return self._use(layer, types, exec_env, cache=False)

    def commit(self) -> None:
        """Let the layers of this build count."""
        for layer in self.used.values():
            layer.commit()

    def _use(self, layer: Layer[M], types: Types, exec_env: Sequence[str], *, cache: bool) -> Layer[M]:
        layer.types = {"launch": LAUNCH in types, "build": BUILD in types, "cache": cache}
        layer.exec_env = tuple(exec_env)
        self.used[layer.name] = layer
        return layer

    def _carry_out(self, path: Path, decision: Keep | Drop | Migrate[M], key: M, previous: M | None) -> Layer[M]:
        match decision:
            case Keep(cause):
                if previous is None:
                    raise BuildpackError(f"layer {path.name} can't be kept, for its metadata is invalid")
                log.info(f"Reusing layer {path.name}: {cause}")
                write_toml(_toml(path), {"metadata": to_table(previous) or None})
                return Layer(path.name, path, {}, previous, True, cause, previous, self.descriptor)  # noqa: FBT003
            case Migrate(new_key, cause):
                log.info(f"Migrating layer {path.name}: {cause}")
                # Its contents are about to change, so neither old nor new metadata is true of them.
                remove(_toml(path))
                return Layer(path.name, path, {}, new_key, True, cause, previous, self.descriptor)  # noqa: FBT003
            case Drop(cause):
                log.info(f"Creating layer {path.name}: {cause}")
                return self._empty(path, key, cause, previous)
            case _:
                raise BuildpackError(
                    f"layer {path.name}: {decision!r} does not say what happens with the restored layer",
                    fix="return Keep(cause), Drop(cause) or Migrate(key, cause)",
                )

    def _empty(self, path: Path, metadata: M, cause: str, previous: M | None) -> Layer[M]:
        _remove_layer(path)
        path.mkdir(parents=True)
        return Layer(path.name, path, {}, metadata, False, cause, previous, self.descriptor)  # noqa: FBT003

    def _claim(self, name: str, exec_env: Sequence[str]) -> Path:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise BuildpackError(
                f"{name!r} can't be the name of a layer",
                fix=f"use letters, digits, '.', '_' and '-', and none of {', '.join(sorted(_RESERVED))}",
            )
        if name in self.used:
            raise BuildpackError(f"layer {name} is asked for twice", fix="ask once and keep what you get")
        if exec_env:
            self.descriptor.api.require(Feature.EXEC_ENV, f"layer {name}", otherwise="leave out exec_env")
        return self.layers_dir / name


def _decide(
    path: Path,
    key: M,
    restored: Callable[[M, M], Keep | Drop | Migrate[M]],
    invalid: Callable[[dict[str, Any], M], Drop | Migrate[M]] | None,
    *,
    with_contents: bool,
) -> tuple[Keep | Drop | Migrate[M], M | None]:
    """Return what happens with what an earlier build left, and the key it was left with."""
    to_table(key)
    raw = _restored_metadata(path)
    if raw is None or (with_contents and not path.is_dir()):
        return Drop("none from an earlier build"), None
    try:
        previous = from_table(type(key), raw)
    except MetadataError as error:
        if invalid is not None:
            return invalid(raw, key), None
        return Drop(f"left by another version of the buildpack ({error})"), None
    return restored(previous, key), previous


def _toml(path: Path) -> Path:
    return path.with_name(f"{path.name}.toml")


def _remove_layer(path: Path) -> None:
    """Remove the metadata first: contents without metadata are no layer, metadata of half the contents is a lie."""
    remove(_toml(path))
    for form in FORMATS:
        remove(path.with_name(f"{path.name}.sbom.{form.extension}"))
    remove(path)


def _restored_metadata(path: Path) -> dict[str, Any] | None:
    try:
        document = read_toml(_toml(path))
    except FileNotFoundError:
        return None
    except BuildpackError as error:
        log.warning(f"layer {path.name} is not reused: {error}")
        return None
    metadata = document.get("metadata")
    found = dict(metadata) if isinstance(metadata, Mapping) else {}
    found.pop("exec-env", None)
    return found


def _change(key: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    old, new = before.get(key, "none"), after.get(key, "none")
    if any(isinstance(each, list | dict) or len(str(each)) > _SHORT for each in (old, new)):
        return f"{key} changed"
    return f"{key} {old} → {new}"
