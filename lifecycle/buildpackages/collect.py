"""The modules of a package: that of a directory, and all that it refers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.buildpackages.read import DOCKER, FoundModule, LayerOfPackage, open_package, read_module, readable_uri
from lifecycle.errors import InvalidFileError
from lifecycle.files.codec import load
from lifecycle.model.buildpackage import PackageDescriptor
from lifecycle.rules.buildpackage import check_package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifecycle.images.store import Image
    from lifecycle.model.buildpackage import Dependency
    from lifecycle.rules.buildpackage import Module

CONFIG = "package.toml"


@dataclass(frozen=True, slots=True)
class Collection:
    """What goes into a package: the module that it is of, and those that it refers to."""

    main: FoundModule
    others: tuple[FoundModule, ...]

    @property
    def all(self) -> tuple[FoundModule, ...]:
        """Every module, those that ``main`` refers to first."""
        return (*self.others, self.main)


def collect(root: Path, config: Path | None, *, open_image: Callable[[str], Image]) -> Collection:
    """Find the modules of the package of ``root``, or of the one that ``config`` names.

    What a composite buildpack refers to are the ``[[dependencies]]`` of package.toml, else directories beside it.
    ``open_image`` opens an image by its place.  Raises ``LifecycleError``.
    """
    if config is None and (root / CONFIG).is_file():
        config = root / CONFIG
    described = PackageDescriptor() if config is None else load(PackageDescriptor, config)
    named = described.buildpack or described.extension
    if config is not None and named is not None:
        root = config.parent / readable_uri(named.uri, where=config)
    main = FoundModule(read_module(root), root)
    if config is not None and described.dependencies:
        others = [found for each in described.dependencies for found in _dependency(each, config, open_image)]
    else:
        others = list(_neighbours(main.module, root))
    check_package(main.module, [each.module for each in others])
    return Collection(main, tuple(others))


def _dependency(wanted: Dependency, config: Path, open_image: Callable[[str], Image]) -> Iterator[FoundModule]:
    uri = readable_uri(wanted.uri, where=config)
    path = config.parent / uri
    is_image = wanted.image or uri.startswith(DOCKER)
    if uri and not uri.startswith(DOCKER) and path.is_dir() and not (path / "index.json").is_file():
        yield FoundModule(read_module(path), path)
        return
    package = open_package(open_image(wanted.image or uri if is_image else str(path)))
    for module, diff_id in package.contents.layers:
        yield FoundModule(module, LayerOfPackage(package, diff_id))


def _neighbours(main: Module, root: Path) -> Iterator[FoundModule]:
    """Yield what a composite buildpack refers to, as far as it lies beside it, and what that refers to in turn."""
    if not main.order:
        return
    beside: dict[str, FoundModule] = {}
    for path in sorted(root.resolve().parent.iterdir()):
        try:
            module = read_module(path)
        except InvalidFileError:
            continue
        beside.setdefault(str(module), FoundModule(module, path))
    pending = [main]
    seen = {str(main)}
    while pending:
        for element in pending.pop(0).refers_to:
            found = beside.get(str(element))
            if found is not None and str(element) not in seen:
                seen.add(str(element))
                pending.append(found.module)
                yield found
