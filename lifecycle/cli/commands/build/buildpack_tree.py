"""The modules of ``lifecycle build``: from directories that people name to the trees and order of a builder."""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.buildpackages.read import CNB, open_package, readable_uri
from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.files.atomic import write_atomic
from lifecycle.files.codec import dumps, load, save
from lifecycle.files.modules import Buildpack, read_buildpack, read_extension
from lifecycle.model.buildpackage import ModuleKind
from lifecycle.model.descriptor import Order, OrderElement, OrderGroup
from lifecycle.model.ids import directory_name
from lifecycle.oci.gojson import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle.images.store import Image
    from lifecycle.model.project_descriptor import ProjectBuildpack, ProjectBuildpacks


@dataclass(slots=True)
class BuildpackTree:
    """A directory ``<id>/<version>`` of links to buildpacks, and the order in which they are tried."""

    path: Path
    known: dict[str, list[Buildpack]] = field(default_factory=dict)

    def add(self, root: Path) -> OrderElement:
        """Add the buildpack in ``root``, with those beside a composite one that it refers to."""
        buildpack = self._link(root)
        if buildpack.descriptor.order:
            self._add_components(buildpack)
        elif not any((root / "bin").glob("build*")):
            raise InvalidInputError(
                "is not a buildpack: it has no bin/build, and no [[order]] in its buildpack.toml",
                where=root,
                remedy="name the directory of a buildpack that is built, or write bin/build",
            )
        info = buildpack.descriptor.buildpack
        return OrderElement(id=info.id, version=info.version)

    def add_named(self, text: str, open_image: Callable[[str], Image], *, base: Path = Path()) -> OrderElement:
        """Add the buildpack in a directory, relative to ``base``, or all of a package: FILE.cnb, docker://NAME.

        Raises ``InvalidInputError`` for what is neither.
        """
        text = readable_uri(text)
        path = base / text
        if not text.endswith(CNB) and "://" not in text and (path.is_dir() or not path.exists()):
            return self.add(path)
        package = open_package(open_image(text if "://" in text else str(path)))
        if package.contents.kind is not ModuleKind.BUILDPACK:
            raise InvalidInputError(
                "is the package of an image extension", where=text, remedy="unpack it, and name it in an order"
            )
        packages = self.path.parent / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        roots = package.unpack(Path(tempfile.mkdtemp(prefix="package-", dir=packages)))
        for root in roots.values():
            self._link(root)
        info = package.main.info
        return OrderElement(id=info.id, version=info.version)

    def add_all(self, buildpacks_dir: Path) -> None:
        """Add every buildpack of a builder's directory."""
        for descriptor in sorted(buildpacks_dir.glob("*/*/buildpack.toml")):
            self._link(descriptor.parent)

    def add_extensions(self, extensions_dir: Path) -> None:
        """Add every image extension of a builder's directory, in a tree beside that of the buildpacks."""
        for descriptor in sorted(extensions_dir.glob("*/*/extension.toml")):
            extension = read_extension(Path(os.path.abspath(descriptor.parent)))  # noqa: PTH100  # as in _link
            info = extension.descriptor.extension
            link = self.path.parent / "extensions" / directory_name(info.id) / info.version
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(extension.root)

    def add_script(
        self, wanted: ProjectBuildpack, shell_api: tuple[str, str], script: str, number: int
    ) -> OrderElement:
        """Add an inline buildpack of project.toml.  Spec: extensions/project-descriptor.md "Inline Buildpack"."""
        shell, api = shell_api
        root = self.path.parent / "inline" / str(number)
        (root / "bin").mkdir(parents=True)
        info = Struct(id=wanted.id or f"inline/{number}", version="0.0.0")
        save(root / "buildpack.toml", Struct(api=api, buildpack=info, targets=[Struct(os="linux")]))
        for name, text in (("detect", "#!/bin/sh\nexit 0\n"), ("build", f"#!{shell}\n\n{script}\n")):
            write_atomic(root / "bin" / name, text.encode())
            (root / "bin" / name).chmod(0o755)
        return self.add(root)

    def find(self, buildpack_id: str, version: str) -> OrderElement:
        """Return a known buildpack; the only or newest one if no version is asked for."""
        found = self.known.get(buildpack_id, [])
        if not version and found:
            version = max(found, key=_precedence).descriptor.buildpack.version
        if not any(each.descriptor.buildpack.version == version for each in found):
            raise InvalidInputError(
                f"project.toml asks for buildpack {buildpack_id}{version and '@' + version}, which is not at hand",
                remedy="name its directory with --buildpack",
            )
        return OrderElement(id=buildpack_id, version=version)

    def _link(self, root: Path) -> Buildpack:
        if not (root / "buildpack.toml").is_file():
            problem = "is not a buildpack: it has no buildpack.toml" if root.is_dir() else "is not a directory"
            raise InvalidInputError(problem, where=root, remedy="name the directory of a buildpack")
        target = Path(os.path.abspath(root))  # noqa: PTH100  # a link names the path that was given
        buildpack = read_buildpack(target)
        info = buildpack.descriptor.buildpack
        link = self.path / directory_name(info.id) / info.version
        if link.is_symlink():
            if link.readlink() != target:
                raise InvalidInputError(
                    f"buildpack {buildpack} is given twice: {link.readlink()} and {target}", remedy="keep one of them"
                )
            return buildpack
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        self.known.setdefault(info.id, []).append(buildpack)
        return buildpack

    def _add_components(self, composite: Buildpack) -> None:
        """Add what a composite buildpack refers to from among its neighbours, if it is not at hand yet."""
        wanted = {(each.id, each.version) for group in composite.descriptor.order for each in group.group}
        for descriptor in sorted(composite.root.parent.glob("*/buildpack.toml")):
            try:
                info = read_buildpack(descriptor.parent).descriptor.buildpack
            except InvalidFileError:
                continue
            at_hand = any(each.descriptor.buildpack.version == info.version for each in self.known.get(info.id, ()))
            if (info.id, info.version) in wanted and not at_hand:
                self.add(descriptor.parent)


def write_order(
    tree: BuildpackTree,
    path: Path,
    *,
    given: Sequence[str],
    order: Path | None,
    project: ProjectBuildpacks,
    project_dir: Path,
    open_image: Callable[[str], Image],
) -> None:
    """Write order.toml: the given buildpacks, else those of project.toml, else the builder's order.

    ``open_image`` opens the image of a package by its place.

    Spec: extensions/project-descriptor.md "io.buildpacks.group", "io.buildpacks.pre.group", "io.buildpacks.post.group".
    Raises ``InvalidInputError`` when there is none of them.
    """
    chosen = [tree.add_named(text, open_image) for text in given]
    of_project = functools.partial(_of_project, tree, project_dir=project_dir, open_image=open_image)
    if not chosen:
        chosen = of_project(project.group, first=0)
    if chosen:
        found = Order(order=(OrderGroup(group=tuple(chosen)),))
    elif order is not None:
        found = load(Order, order, hints=True)
    else:
        raise InvalidInputError(
            "there is no buildpack to build with", remedy="name one with --buildpack DIR, or a builder's --order FILE"
        )
    pre = of_project(project.pre.group, first=100)
    post = of_project(project.post.group, first=200)
    groups = [Struct(group=[_row(each) for each in (*pre, *group.group, *post)]) for group in found.order]
    extensions = [Struct(group=[_row(each) for each in group.group]) for group in found.order_extensions]
    write_atomic(path, dumps(Struct({"order": groups, "order-extensions": extensions or None})).encode())


def _of_project(
    tree: BuildpackTree,
    wanted: Sequence[ProjectBuildpack],
    *,
    project_dir: Path,
    open_image: Callable[[str], Image],
    first: int,
) -> list[OrderElement]:
    elements = []
    for number, each in enumerate(wanted, first):
        if each.script is not None:
            elements.append(tree.add_script(each, (each.script.shell, each.script.api), each.script.inline, number))
        elif each.uri and not each.uri.startswith("urn:"):
            elements.append(tree.add_named(each.uri, open_image, base=project_dir))
        else:
            elements.append(tree.find(each.id or each.uri.removeprefix("urn:buildpack:"), each.version))
    return elements


def _row(element: OrderElement) -> Struct:
    return Struct(
        {
            "id": element.id,
            "version": element.version,
            "optional": element.optional or None,
            "exec-env": list(element.exec_env) or None,
        }
    )


def _precedence(buildpack: Buildpack) -> tuple[tuple[int, ...], bool, str]:
    """Return what versions compare by: 1.10.0 is above 1.9.0, and 1.0.0-rc1 below 1.0.0."""
    numbers, _, suffix = buildpack.descriptor.buildpack.version.partition("-")
    return tuple(int(part) if part.isdecimal() else 0 for part in numbers.split(".")), not suffix, suffix
