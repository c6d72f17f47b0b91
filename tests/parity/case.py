"""What one input of the matrix is made of: an app, buildpacks, a run image, and what a platform adds."""

import os
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parity.images import RunImage
from parity.runner import BUILDER, own, own_tree

Name = str | bytes


class Tree:
    """Makes files below a directory for the user of the build; names may be bytes."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root)

    def file(self, name: Name, content: Name = b"content\n", mode: int = 0o644) -> None:
        path = self._made(name)
        with open(path, "wb") as file:  # noqa: PTH123  # bytes
            file.write(content.encode() if isinstance(content, str) else content)
        self._done(path, mode)

    def directory(self, name: Name, mode: int = 0o755) -> None:
        path = self._made(name)
        os.mkdir(path)  # noqa: PTH102  # bytes
        self._done(path, mode)

    def symlink(self, name: Name, target: Name) -> None:
        path = self._made(name)
        os.symlink(os.fsencode(target), path)  # noqa: PTH211  # bytes
        own(path)

    def hard_link(self, name: Name, existing: Name) -> None:
        os.link(self._made(existing), self._made(name))  # bytes

    def fifo(self, name: Name, mode: int = 0o644) -> None:
        path = self._made(name)
        os.mkfifo(path)
        self._done(path, mode)

    def socket(self, name: Name) -> None:
        path = self._made(name)
        with socket.socket(socket.AF_UNIX) as made:
            before = Path.cwd()
            os.chdir(os.path.dirname(path))  # noqa: PTH120  # an address holds 108 bytes
            try:
                made.bind(os.path.basename(path))  # noqa: PTH119  # bytes
            finally:
                os.chdir(before)
        own(path)

    def device(self, name: Name, kind: int, major: int, minor: int) -> None:
        path = self._made(name)
        os.mknod(path, 0o644 | kind, os.makedev(major, minor))
        own(path)

    def sparse(self, name: Name, size: int) -> None:
        self.file(name, b"")
        os.truncate(self._made(name), size)

    def remove(self, name: Name) -> None:
        path = self._made(name)
        (os.rmdir if stat.S_ISDIR(os.lstat(path).st_mode) else os.unlink)(path)

    def chown(self, name: Name, uid: int, gid: int) -> None:
        os.chown(self._made(name), uid, gid, follow_symlinks=False)

    def _made(self, name: Name) -> bytes:
        path = self.root + b"/" + os.fsencode(name)
        missing = []
        parent = os.path.dirname(path)  # noqa: PTH120  # bytes
        while not os.path.lexists(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)  # noqa: PTH120  # bytes
        for each in reversed(missing):
            os.mkdir(each)  # noqa: PTH102  # bytes
            self._done(each, 0o755)
        return path

    def _done(self, path: bytes, mode: int) -> None:
        own(path)  # before the mode: a new owner takes away setuid
        os.chmod(path, mode)  # noqa: PTH101  # bytes


Content = Callable[[Tree], None]


def files(**contents: Name) -> Content:
    """Return what makes files: keys are names in which ``__`` stands for ``/`` and ``_`` for a dot."""
    return listed({name.replace("__", "/").replace("_", "."): content for name, content in contents.items()})


def listed(contents: Mapping[str, Name]) -> Content:
    """Return what makes these files."""

    def make(tree: Tree) -> None:
        for name, content in contents.items():
            if name.endswith("/"):
                tree.directory(name.rstrip("/"))
            else:
                tree.file(name, content)

    return make


NOTHING = files(launch_toml="")
RUN_IMAGE = RunImage()


@dataclass(frozen=True)
class Buildpack:
    """A buildpack whose ``bin/build`` copies ``out`` into its layers directory and then runs ``script``."""

    id: str = "parity/one"
    version: str = "1.0.0"
    api: str = "0.10"
    out: Content = NOTHING
    script: str = ""
    detect: str = ""
    plan: str = ""
    descriptor: str = ""
    """More lines of the table ``[buildpack]``."""
    more: str = '[[targets]]\nos = "linux"\n[[stacks]]\nid = "*"\n'
    """More tables of buildpack.toml."""
    optional: bool = False

    def put(self, directory: Path) -> None:
        """Write the buildpack below a directory of buildpacks."""
        name = f"{self.id.replace('/', '_')}/{self.version}"
        tree = Tree(directory)
        tree.file(
            f"{name}/buildpack.toml",
            f'api = "{self.api}"\n[buildpack]\nid = "{self.id}"\nversion = "{self.version}"\n'
            f"{self.descriptor}\n{self.more}",
        )
        tree.file(f"{name}/plan.toml", self.plan)
        tree.file(
            f"{name}/bin/detect", f'#!/bin/sh\nset -e\ncat "${{0%/bin/detect}}/plan.toml" >"$2"\n{self.detect}\n', 0o755
        )
        tree.file(
            f"{name}/bin/build", f'#!/bin/sh\nset -e\ncp -a "${{0%/bin/build}}/out/." "$1"\n{self.script}\n', 0o755
        )
        out = directory / name / "out"
        out.mkdir()
        own(out)
        self.out(Tree(out))


def plain_app(tree: Tree) -> None:
    tree.file("main.txt", "hello\n")
    tree.file("bin/run", "#!/bin/sh\n", 0o755)


PLAIN_BUILDPACK = Buildpack(
    out=listed(
        {
            "launch.toml": '[[processes]]\ntype = "web"\ncommand = ["run"]\nargs = ["--port", "80"]\ndefault = true\n',
            "deps.toml": '[types]\nlaunch = true\ncache = true\n[metadata]\nversion = "1"\n',
            "deps/lib/a.txt": "a\n",
        }
    )
)
ALL_APIS = tuple(f"0.{minor}" for minor in range(7, 16))
LAYOUT_APIS = ALL_APIS[5:]
RUN_TOML = '[[images]]\nimage = "{run}"\nmirrors = ["{mirror}"]\n'
STACK_TOML = '[run-image]\nimage = "{run}"\nmirrors = ["{mirror}"]\n'


@dataclass(frozen=True)
class Case:
    """One input of the matrix; ``name`` and ``description`` tell people what it is about."""

    name: str
    description: str
    app: Content = plain_app
    buildpacks: Sequence[Buildpack] = (PLAIN_BUILDPACK,)
    run_image: RunImage = RUN_IMAGE
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Files by their place, such as ``layers/project-metadata.toml``; ``{run}`` in them is the run image's name."""
    env: Mapping[str, str] = field(default_factory=dict)
    export: Sequence[str] = ()
    """Further flags of exporter and creator."""
    order: str | None = None
    change: Content | None = None
    """What happens to the app before a second build, if there is one."""
    apis: Sequence[str] = ALL_APIS
    user: tuple[int, int] = (BUILDER, BUILDER)
    """Uid and gid of the build's user."""
    as_root: bool = False
    """Whether root starts the phases that need not be the build's user, as platforms do."""
    layout: bool = True
    """Whether layouts are an input."""
    prepare: Content | None = None
    """What happens to the directories of a run, after all is written."""
    extended: RunImage | None = None
    """What the extender left of the run image: layers that the run image has come without blobs."""
    creator: bool = True
    """Whether the creator has to make the same image."""
    cache_image: bool = False
    """Whether the cache is an image, where images are in a registry."""
    previous: RunImage | None = None
    """An image under the app's name that another program left."""
    fails: bool = False
    """Whether the reference makes no image of it, in any Platform API."""
    needs_root: bool = False
    slow: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def layout_apis(self) -> tuple[str, ...]:
        """The Platform APIs in which the input is built in a layout."""
        return tuple(api for api in self.apis if self.layout and api in LAYOUT_APIS)

    @property
    def ids(self) -> tuple[str, ...]:
        """Flags that tell phases the build's user, where the environment does not."""
        uid, gid = self.user
        return () if "CNB_USER_ID" in self.env else ("-uid", str(uid), "-gid", str(gid))

    def put(self, root: Path, names: Mapping[str, str]) -> None:
        """Write all that a build finds; ``names`` fills the places such as ``{run}`` in files."""
        for each in self.buildpacks:
            each.put(root / "cnb" / "buildpacks")
        self.app(Tree(root / "workspace"))
        order = self.order if self.order is not None else order_of(self.buildpacks)
        Tree(root / "cnb").file("lifecycle/launcher", "the launcher\n", 0o755)
        Tree(root / "cnb").file("order.toml", order)
        Tree(root / "cnb").file("run.toml", filled(RUN_TOML, names))
        Tree(root / "cnb").file("stack.toml", filled(STACK_TOML, names))
        self.put_files(root, names)

    def put_files(self, root: Path, names: Mapping[str, str]) -> None:
        """Write the platform's files."""
        for place, content in self.files.items():
            Tree(root).file(place, filled(content, names) if isinstance(content, str) else content)
        if self.extended is not None:
            self.extended.put_extended(root / "layers" / "extended" / "run", self.run_image)
            own_tree(root / "layers" / "extended")
        if self.prepare is not None:
            self.prepare(Tree(root))


def order_of(buildpacks: Sequence[Buildpack]) -> str:
    """Return an order.toml with one group of all buildpacks."""
    lines = ["[[order]]"]
    for each in buildpacks:
        lines += ["[[order.group]]", f'id = "{each.id}"', f'version = "{each.version}"']
        lines += ["optional = true"] * each.optional
    return "\n".join([*lines, ""])


def filled(text: str, names: Mapping[str, str]) -> str:
    """Return ``text`` with names in the place of ``{run}`` and the like."""
    for key, value in names.items():
        text = text.replace(f"{{{key}}}", value)
    return text
