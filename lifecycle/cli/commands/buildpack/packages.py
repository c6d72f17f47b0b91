"""``lifecycle buildpack package``, ``inspect`` and ``lint``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lifecycle.buildpackages.collect import collect
from lifecycle.buildpackages.lint import lint
from lifecycle.buildpackages.package import package_image
from lifecycle.buildpackages.read import CNB, FoundModule, LayerOfPackage, open_package, read_module
from lifecycle.cli.logs.size_text import size_text
from lifecycle.cli.stores.locations import IN_FILES, Place, read_destination, read_platform
from lifecycle.cli.stores.opening import cnb_archive, open_image, open_store
from lifecycle.errors import ImageError, InvalidInputError
from lifecycle.files.work_dir import work_directory
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import ImagePlatform, host_platform
from lifecycle.model.ids import directory_name
from lifecycle.rules.buildpackage import package_stacks
from lifecycle.rules.descriptor_lint import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.cli.stores.locations import Location
    from lifecycle.cli.stores.remote import RemoteStores
    from lifecycle.images.store import ImageStore
    from lifecycle.rules.buildpackage import Module


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOptions:
    """What a person wants of a package: ``output`` as in ``lifecycle build`` or a file ``.cnb``, ``""`` for that."""

    config: Path | None = None
    output: str = ""
    tags: tuple[str, ...] = ()
    platform: str = ""
    flatten: bool = False
    apart: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def package(root: Path, options: PackageOptions, *, remote: RemoteStores, out: TextIO) -> None:
    """Write the package of the module in ``root`` and say what became of it; raises ``LifecycleError``."""
    collection = collect(root, options.config, open_image=lambda text: open_image(text, remote))
    main = collection.main.module
    platform = _platform(options.platform, main)
    output = options.output or f"{directory_name(main.info.id)}_{main.info.version}{CNB}"
    location = cnb_archive(output) or read_destination(output)
    _check_outside(location, collection.main.place)
    names = options.tags
    if not names and location.place not in IN_FILES:
        raise InvalidInputError(f"--output {output} needs a name for the image", remedy="add --tag NAME")
    store = _store(location, remote, platform)
    names = names or (main.info.version,)
    store.check_write(names)
    with work_directory("package") as work_dir:
        image = package_image(
            collection,
            work_dir,
            platform=platform,
            flatten=options.flatten,
            apart=options.apart,
            labels=_labels(options.labels),
        )
        written = store.write(image, names)
    if written.failures:
        name, problem = next(iter(written.failures.items()))
        raise ImageError(problem, where=name)
    place = location.name if location.place in IN_FILES else ", ".join(written.names)
    out.write(f"{main} for {platform}: {place}\n")
    for each in collection.others:
        origin = " (as it is in its package)" if isinstance(each.place, LayerOfPackage) and not options.flatten else ""
        out.write(f"  with {each.module}{origin}\n")
    out.write(f"  image id {written.image_id}\n")


def inspect(text: str, *, remote: RemoteStores, out: TextIO, as_json: bool) -> None:
    """Say what is in a package or directory; raises ``LifecycleError``."""
    if Path(text).is_dir() and not (Path(text) / "index.json").exists():
        main = read_module(Path(text))
        modules = [FoundModule(main, Path(text))]
    else:
        package = open_package(open_image(text, remote))
        main = package.main
        modules = [FoundModule(module, LayerOfPackage(package, diff_id)) for module, diff_id in package.contents.layers]
    if as_json:
        out.write(json.dumps(_described(main, modules), indent=2) + "\n")
        return
    out.writelines(f"{line}\n" for line in _lines(main, modules))


def show_lint(roots: Sequence[Path], *, out: TextIO, strict: bool, as_json: bool) -> bool:
    """Say what there is to say of modules in directories; return whether that is nothing bad.

    Errors are bad, with ``strict`` warnings too.  Raises ``InvalidFileError`` for a directory of no module.
    """
    findings = {root: lint(root) for root in roots}
    bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if as_json:
        rows = [
            {
                "directory": str(root),
                "severity": each.severity,
                "rule": each.rule,
                "path": each.path,
                "message": each.message,
                "remedy": each.remedy,
            }
            for root, found in findings.items()
            for each in found
        ]
        out.write(json.dumps(rows, indent=2) + "\n")
    else:
        for root, found in findings.items():
            out.writelines(f"{root}/{each}\n" for each in found)
            if not found:
                out.write(f"{root}: nothing to say\n")
    return not any(each.severity in bad for found in findings.values() for each in found)


def _check_outside(location: Location, root: Path | LayerOfPackage) -> None:
    """Refuse to write a package where the next one would have it inside; a file .cnb at the top is left out of it."""
    if location.place not in IN_FILES or isinstance(root, LayerOfPackage):
        return
    path, root = location.path.resolve(), root.resolve()
    if path.is_relative_to(root) and not (path.parent == root and path.name.endswith(CNB)):
        raise InvalidInputError(
            "lies inside the buildpack, and would be in its next package",
            where=location.path,
            remedy="choose an --output outside of it",
        )


def _store(location: Location, remote: RemoteStores, platform: ImagePlatform) -> ImageStore:
    if location.place is Place.ARCHIVE:
        return ArchiveStore(location.path, platform=platform)
    return open_store(location, remote)


def _platform(text: str, main: Module) -> ImagePlatform:
    """Return the platform of a package: what is asked for, else this machine's, else the only one it is for."""
    if text:
        return read_platform(text, option="--target")
    host = host_platform()
    named = [each for each in main.targets if each.arch]
    if named and len(named) == len(main.targets) and host.architecture not in {each.arch for each in named}:
        return ImagePlatform(named[0].os or host.os, named[0].arch, named[0].arch_variant)
    return host


def _labels(texts: Sequence[str]) -> Mapping[str, str]:
    labels = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise InvalidInputError(f"label {text!r} is not NAME=VALUE", remedy="write it as in team=web")
        labels[key] = value
    return labels


def _lines(main: Module, modules: Sequence[FoundModule]) -> Iterator[str]:
    info = main.info
    yield f"{main}" + (f"  {info.name}" if info.name else "")
    rows = [
        ("kind", "composite buildpack" if main.order else str(main.kind)),
        ("description", info.description),
        ("homepage", info.homepage),
        ("licenses", ", ".join(each.type or each.uri for each in info.licenses)),
        ("Buildpack API", main.api),
        ("targets", ", ".join(_target_texts(main))),
        ("stacks", ", ".join(each.id for each in package_stacks(each.module for each in modules))),
    ]
    yield from (f"  {key + ':':14} {value}" for key, value in rows if value)
    for number, group in enumerate(main.order, 1):
        elements = (f"{each}{' (optional)' if each.optional else ''}" for each in group.group)
        yield f"  {f'group {number}:':14} {', '.join(elements)}"
    for found in modules:
        if isinstance(found.place, LayerOfPackage):
            size = size_text(_layer_size(found.place))
            yield f"  {'layer:':14} {found.module}, {size}, {found.place.diff_id}"


def _target_texts(module: Module) -> Iterator[str]:
    for target in module.targets:
        text = "/".join(filter(None, (target.os, target.arch, target.arch_variant))) or "any"
        distros = ", ".join(" ".join(filter(None, (each.name, each.version))) for each in target.distros)
        yield f"{text} ({distros})" if distros else text


def _layer_size(place: LayerOfPackage) -> int:
    image = place.package.image
    return image.manifest.layers[image.config.diff_ids.index(place.diff_id)].size


def _described(main: Module, modules: Sequence[FoundModule]) -> dict[str, Any]:
    return {
        "id": main.info.id,
        "version": main.info.version,
        "kind": str(main.kind),
        "stacks": [each.id for each in package_stacks(each.module for each in modules)],
        "modules": [
            {
                "id": each.module.info.id,
                "version": each.module.info.version,
                "api": each.module.api,
                "targets": list(_target_texts(each.module)),
                "order": [
                    [{"id": one.id, "version": one.version, "optional": one.optional} for one in group.group]
                    for group in each.module.order
                ],
                "layer": each.place.diff_id if isinstance(each.place, LayerOfPackage) else None,
            }
            for each in modules
        ],
    }
