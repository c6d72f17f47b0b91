"""What bin/build knows and leaves behind.  Spec: buildpack.md "Build"."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cnb_buildpack.context import Context, common
from cnb_buildpack.environment import BUILD, LAUNCH, Types
from cnb_buildpack.errors import BuildpackError
from cnb_buildpack.files import read_toml, remove, write_toml
from cnb_buildpack.launch import Launch
from cnb_buildpack.layer import Drop, Keep, Layer, LayerStore, Migrate, keep_if_same
from cnb_buildpack.plan import Plan
from cnb_buildpack.sbom import SbomFormat, write_sbom

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

M = TypeVar("M")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext(Context):
    """What a build knows; ``store`` is what earlier builds kept, and the next build gets what it is then."""

    layers_dir: Path
    plan: Plan
    store: dict[str, Any]
    launch: Launch
    layers: LayerStore
    _unmet: list[str] = field(default_factory=list)

    @classmethod
    def at(
        cls,
        *,
        root: Path,
        app_dir: Path,
        layers_dir: Path,
        platform_dir: Path = Path("/platform"),
        plan: Plan | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """Return the context for these directories, plan and environment."""
        fields: dict[str, Any] = common(root, app_dir, platform_dir, env or {})
        descriptor = fields["descriptor"]
        return cls(
            **fields,
            layers_dir=layers_dir,
            plan=plan or Plan(),
            store=_read_store(layers_dir),
            launch=Launch(descriptor.api),
            layers=LayerStore(layers_dir, descriptor),
        )

    def cached_layer(
        self,
        name: str,
        *,
        types: Types = BUILD | LAUNCH,
        key: M,
        restored: Callable[[M, M], Keep | Drop | Migrate[M]],
        invalid: Callable[[dict[str, Any], M], Drop | Migrate[M]] | None = None,
        exec_env: Sequence[str] = (),
    ) -> Layer[M]:
        """Return a layer that the next build gets back, as that build's ``restored`` decides.

        ``key``, a dataclass or dict, is what the contents are made of and becomes the metadata.  If an earlier build
        left the layer, ``restored(old key, key)`` says what happens with it; ``invalid(metadata, key)`` says it where
        the metadata is no longer that of a key, and without it such a layer is dropped.  Unless ``layer.restored``,
        the directory is empty.  ``types`` is for whom the layer is, none of them for a mere cache (``Types(0)``).
        """
        return self.layers.restorable(
            name, types=types, cache=True, key=key, restored=restored, invalid=invalid, exec_env=exec_env
        )

    def launch_layer(
        self,
        name: str,
        *,
        key: M,
        restored: Callable[[M, M], Keep | Drop | Migrate[M]],
        invalid: Callable[[dict[str, Any], M], Drop | Migrate[M]] | None = None,
        exec_env: Sequence[str] = (),
    ) -> Layer[M]:
        """Return a layer for the app alone, of which a later build gets back the metadata and no files.

        To keep it means that the new image has the layer of the previous one, which nobody downloads.
        """
        return self.layers.restorable(
            name, types=LAUNCH, cache=False, key=key, restored=restored, invalid=invalid, exec_env=exec_env
        )

    def tool_cache(self, name: str) -> Path:
        """Return a directory for a tool's own cache: a layer that each build gets back as the last one left it."""
        key: dict[str, str] = {}
        return self.cached_layer(name, types=Types(0), key=key, restored=keep_if_same).path

    def uncached_layer(
        self, name: str, *, types: Types, metadata: Any = None, exec_env: Sequence[str] = ()
    ) -> Layer[Any]:
        """Return an empty layer that is made anew in each build."""
        return self.layers.uncached(name, types=types, metadata={} if metadata is None else metadata, exec_env=exec_env)

    def unmet(self, name: str) -> None:
        """Leave the entries of a name in the plan to a later buildpack."""
        if name not in self.plan:
            wanted = ", ".join(dict.fromkeys(entry.name for entry in self.plan)) or "nothing"
            raise BuildpackError(f"{name} can't be left unmet: the plan asks for {wanted}")
        if name not in self._unmet:
            self._unmet.append(name)

    def launch_sbom(self, form: SbomFormat, document: Mapping[str, Any] | str | bytes) -> None:
        """Write the bill of materials of what the app has outside of layers."""
        write_sbom(self.layers_dir, "launch", form, document, self.descriptor)

    def build_sbom(self, form: SbomFormat, document: Mapping[str, Any] | str | bytes) -> None:
        """Write the bill of materials of what the build used outside of layers."""
        write_sbom(self.layers_dir, "build", form, document, self.descriptor)

    def env_with(self, *layers: Layer[Any]) -> dict[str, str]:
        """Return the environment that a later buildpack will have of these layers."""
        env = self.env
        for layer in layers:
            env = layer.env.apply(env, layer.path)
        return dict(env)

    def finish(self) -> None:
        """Write what the build leaves, layers last."""
        documents = {
            "launch.toml": self.launch.table(),
            "build.toml": {"unmet": [{"name": name} for name in self._unmet]} if self._unmet else {},
            "store.toml": {"metadata": self.store} if self.store else {},
        }
        for name, table in documents.items():
            if table:
                write_toml(self.layers_dir / name, table)
            else:
                remove(self.layers_dir / name)
        self.layers.commit()


def _read_store(layers_dir: Path) -> dict[str, Any]:
    try:
        metadata = read_toml(layers_dir / "store.toml").get("metadata")
    except FileNotFoundError:
        return {}
    return metadata if isinstance(metadata, dict) else {}
