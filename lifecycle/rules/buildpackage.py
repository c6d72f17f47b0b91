"""What makes a set of buildpacks a package, and the labels that say it.

Spec: distribution.md "Buildpackage".  pack reads the same labels and refuses the same packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lifecycle.errors import CorruptImageError, InvalidInputError
from lifecycle.model.buildpackage import PACKAGE_LABEL, ModuleKind, PackagedLayer, PackageMetadata, PublishedInfo
from lifecycle.model.descriptor import StackEntry
from lifecycle.oci.digest import DiffId, is_digest
from lifecycle.oci.gojson import Struct, dumps, loads
from lifecycle.rules.stacks import ANY_STACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lifecycle.model.descriptor import OrderElement, OrderGroup
    from lifecycle.model.target import Target


@dataclass(frozen=True, slots=True)
class Module:
    """A buildpack or extension as its descriptor, or the label of a package, tells of it."""

    kind: ModuleKind
    info: PublishedInfo
    api: str
    targets: tuple[Target, ...] = ()
    stacks: tuple[StackEntry, ...] = ()
    order: tuple[OrderGroup, ...] = ()

    def __str__(self) -> str:
        return f"{self.info.id}@{self.info.version}"

    @property
    def refers_to(self) -> tuple[OrderElement, ...]:
        """The buildpacks that a composite one is of."""
        return tuple(element for group in self.order for element in group.group)


@dataclass(frozen=True, slots=True)
class PackageContents:
    """What the labels of a package say: its modules with their layers, ``main`` the one it is of."""

    kind: ModuleKind
    main: PackageMetadata
    layers: tuple[tuple[Module, DiffId], ...]


def check_package(main: Module, others: Sequence[Module]) -> None:
    """Raise ``InvalidInputError`` unless ``others`` are just what ``main`` refers to, directly or through others."""
    by_name: dict[str, Module] = {}
    for module in (main, *others):
        if str(module) in by_name:
            raise InvalidInputError(f"buildpack {module} is given twice", remedy="keep one of them")
        by_name[str(module)] = module
    used = {str(main)}
    for module in by_name.values():
        for element in module.refers_to:
            if not element.version:
                raise InvalidInputError(
                    f"{module} refers to {element.id} without a version", remedy="write the version into its order"
                )
            if str(element) not in by_name:
                raise InvalidInputError(
                    f"{module} refers to {element}, which is not at hand",
                    remedy="put its directory beside, or name it under [[dependencies]] in package.toml",
                )
            used.add(str(element))
    unused = sorted(set(by_name) - used)
    if unused:
        raise InvalidInputError(
            f"{main} refers to {' and '.join(unused)} nowhere", remedy="take it out of [[dependencies]]"
        )
    if main.kind is ModuleKind.BUILDPACK and not package_stacks((main, *others)):
        raise InvalidInputError(f"the buildpacks of {main} have no stack in common", remedy="give them [[targets]]")


def package_stacks(modules: Iterable[Module]) -> tuple[StackEntry, ...]:
    """Return the stacks on which all modules run, each with the mixins that any of them wants.

    A buildpack with targets is one for any stack.
    """
    common: dict[str, tuple[str, ...]] | None = None
    for module in modules:
        if module.order:
            continue
        own = {stack.id: stack.mixins for stack in module.stacks} or {ANY_STACK: ()}
        common = own if common is None else _common(common, own)
    return tuple(StackEntry(id=name, mixins=tuple(sorted(set(mixins)))) for name, mixins in (common or {}).items())


def _common(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found = {}
    for name in (*one, *other):
        if (name in one or ANY_STACK in one) and (name in other or ANY_STACK in other):
            both = (*one.get(name, one.get(ANY_STACK, ())), *other.get(name, other.get(ANY_STACK, ())))
            found[name] = both
    return found


def package_labels(main: Module, layers: Sequence[tuple[Module, DiffId]]) -> dict[str, str]:
    """Return the labels of a package whose modules, ``main`` among them, are in these layers."""
    info = main.info
    stacks = [_stack(each) for each in package_stacks(module for module, _ in layers)]
    metadata = Struct(
        {
            "id": info.id,
            "name": info.name,
            "version": info.version,
            "description": info.description,
            "homepage": info.homepage,
            "keywords": list(info.keywords),
            "exec-env": list(info.exec_env),
            "licenses": [Struct(Type=each.type, URI=each.uri) for each in info.licenses],
            "clear-env": info.clear_env,
        }
    )
    rows: dict[str, dict[str, Struct]] = {}
    for module, diff_id in layers:
        row = Struct(
            {
                "api": module.api,
                "stacks": [_stack(each) for each in module.stacks],
                "targets": [_target(each) for each in module.targets],
                "order": [Struct(group=[_element(each) for each in group.group]) for group in module.order],
                "layerDiffID": diff_id,
                "homepage": module.info.homepage,
                "name": module.info.name,
            }
        )
        rows.setdefault(module.info.id, {})[module.info.version] = _present(row)
    # Readers of a buildpack's package want its stacks even if there are none, those of an extension's don't.
    described = _present(metadata)
    if main.kind is ModuleKind.BUILDPACK:
        described["stacks"] = stacks
    return {PACKAGE_LABEL: dumps(described), main.kind.layers_label: dumps(rows)}


def read_package(labels: Mapping[str, str], diff_ids: Sequence[DiffId], *, where: str) -> PackageContents:
    """Read the labels of a package; raise ``CorruptImageError`` for an image that is none."""
    kind = next((each for each in ModuleKind if each.layers_label in labels), None)
    if kind is None or PACKAGE_LABEL not in labels:
        raise CorruptImageError(
            f"is not a buildpackage: it lacks the label {PACKAGE_LABEL}",
            where=where,
            remedy="make one with 'lifecycle buildpack package' or 'pack buildpack package'",
        )
    try:
        main = PackageMetadata.model_validate(loads(labels[PACKAGE_LABEL]))
        layers = tuple(_read_layers(kind, loads(labels[kind.layers_label])))
    except (ValidationError, ValueError, AttributeError) as error:
        raise CorruptImageError("has labels of a buildpackage that can't be understood", where=where) from error
    for module, diff_id in layers:
        if diff_id not in diff_ids:
            raise CorruptImageError(f"says that {module} is in a layer that it does not have", where=where)
    if (main.id, main.version) not in {(module.info.id, module.info.version) for module, _ in layers}:
        raise CorruptImageError(f"does not have {main.id}@{main.version}, which it says it is of", where=where)
    return PackageContents(kind, main, layers)


def _read_layers(kind: ModuleKind, rows: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[Module, DiffId]]:
    for module_id, versions in rows.items():
        for version, value in versions.items():
            row = PackagedLayer.model_validate(value)
            if not is_digest(row.layer_diff_id):
                raise ValueError("not a digest")
            info = PublishedInfo(id=module_id, version=version, name=row.name, homepage=row.homepage)
            yield Module(kind, info, row.api, row.targets, row.stacks, row.order), DiffId(row.layer_diff_id)


def _stack(entry: StackEntry) -> Struct:
    return _present(Struct(id=entry.id, mixins=list(entry.mixins)))


def _target(target: Target) -> Struct:
    optional = _present(
        Struct(variant=target.arch_variant, distros=[_present(each.struct()) for each in target.distros])
    )
    return Struct({"os": target.os, "arch": target.arch, **optional})


def _element(element: OrderElement) -> Struct:
    return _present(
        Struct(
            {
                "id": element.id,
                "version": element.version,
                "exec-env": list(element.exec_env),
                "optional": element.optional,
            }
        )
    )


def _present(fields: Struct) -> Struct:
    return Struct({key: value for key, value in fields.items() if value})
