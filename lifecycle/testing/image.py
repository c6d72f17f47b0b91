"""The exported app image, as values that tests compare, and the processes that it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from lifecycle.layers.reader import members
from lifecycle.testing.launching import Unpacked
from lifecycle.testing.named import Named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lifecycle.images.store import Image
    from lifecycle.model.api import PlatformApi
    from lifecycle.oci.digest import DiffId
    from lifecycle.rules.export_plan import LayerVerdict
    from lifecycle.testing.launching import Launched, Running

_KINDS = {"0": "file", "1": "hard link", "2": "link", "5": "directory"}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file of an image: its permission bits, owner, size in bytes, and where a link leads."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    link: str
    layer: DiffId

    def __repr__(self) -> str:
        leads = f" -> {self.link}" if self.link else ""
        return f"<{self.kind} {self.mode:04o} {self.uid}:{self.gid} {self.size} bytes{leads}>"


@dataclass(frozen=True, slots=True, repr=False)
class Files(Mapping[str, ImageFile]):
    """The files of an image by absolute path; what the run image has is among them."""

    by_path: Mapping[str, ImageFile] = field(default_factory=dict)

    def __getitem__(self, path: str) -> ImageFile:
        if path not in self.by_path:
            parent = path.rpartition("/")[0]
            near = [name for name in self.by_path if name.rpartition("/")[0] == parent]
            raise KeyError(f"the image has no {path}; in {parent or '/'} it has {near}")
        return self.by_path[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_path)

    def __len__(self) -> int:
        return len(self.by_path)

    def __contains__(self, path: object) -> bool:
        return path in self.by_path

    def __repr__(self) -> str:
        return "\n".join(f"{path} {file}" for path, file in sorted(self.by_path.items()))


class AppImage:
    """An app image; ``verdicts`` say of each layer whether it is new or reused, and why."""

    def __init__(self, image: Image, verdicts: Sequence[LayerVerdict], unpack_in: Path, api: PlatformApi) -> None:
        self.image = image
        self.verdicts = tuple(verdicts)
        self._unpack_in = unpack_in
        self._api = api

    @property
    def reference(self) -> str:
        """Its name with its digest: equal for equal images of a name."""
        return self.image.reference

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its configuration."""
        return Named("label", self.image.config.labels)

    @property
    def env(self) -> dict[str, str]:
        """The variables of its configuration."""
        return Named("variable", self.image.config.variables)

    @property
    def entrypoint(self) -> list[str]:
        """What a container of it starts."""
        return list(self.image.config.run.get("Entrypoint") or ())

    @property
    def working_dir(self) -> str:
        """Where a container of it starts."""
        return str(self.image.config.run.get("WorkingDir", ""))

    @property
    def layers(self) -> tuple[DiffId, ...]:
        """The digests of its uncompressed layers, the lowest first."""
        return self.image.config.diff_ids

    @property
    def reused(self) -> list[str]:
        """The layers that are those of the previous image."""
        return [verdict.id for verdict in self.verdicts if verdict.action.value == "reuse"]

    @property
    def added(self) -> list[str]:
        """The layers that are new."""
        return [verdict.id for verdict in self.verdicts if verdict.action.value == "add"]

    @cached_property
    def files(self) -> Files:
        """All its files."""
        found: dict[str, ImageFile] = {}
        for diff_id in self.layers:
            for member in members(self.image.layer(diff_id)):
                entry = member.entry
                found["/" + entry.name.decode(errors="surrogateescape").strip("/")] = ImageFile(
                    kind=_KINDS.get(str(entry.kind), "other"),
                    mode=entry.mode & 0o7777,
                    uid=entry.uid,
                    gid=entry.gid,
                    size=entry.size,
                    link=entry.linkname.decode(errors="surrogateescape"),
                    layer=diff_id,
                )
        return Files(found)

    def read(self, path: str) -> bytes:
        """Return the content of a file; raise ``KeyError`` if it is not in the image."""
        file = self.files[path]
        for member in members(self.image.layer(file.layer)):
            if "/" + member.entry.name.decode(errors="surrogateescape").strip("/") == path:
                return b"".join(member.content)
        raise KeyError(path)

    @cached_property
    def _unpacked(self) -> Unpacked:
        return Unpacked.of(self.image, self._unpack_in, self._api)

    def launch(
        self, process: str | None = None, args: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> Launched:
        """Run a process, the default one unless named, to its end; without any, ``args`` is the command.

        The image's launcher starts it with the files of the image at their paths, the rest of the file system being
        this host's; on a host without mount namespaces they are where they were unpacked.  Raises ``LaunchError``.
        """
        return self._unpacked.launch(process, args, env or {})

    def launch_env(self, process: str | None = None, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment with which the launcher starts a process."""
        return Named("variable", self._unpacked.environment(process, env or {}))

    def running(
        self, process: str | None = None, args: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Running]:
        """Start a process that runs while a ``with`` block does, as a server."""
        return self._unpacked.running(process, args, env or {})

    def __repr__(self) -> str:
        rows = "\n".join(f"  {verdict.action.value:<6} {verdict.id}: {verdict.reason}" for verdict in self.verdicts)
        return f"<image {self.reference}, entrypoint {self.entrypoint}\n{rows}\n>"
