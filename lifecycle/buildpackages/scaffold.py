"""A new buildpack or image extension on the SDK, with tests: small, and complete."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import InvalidInputError, LifecycleError
from lifecycle.model.buildpackage import ModuleKind

if TYPE_CHECKING:
    from collections.abc import Mapping

SDK = "cnb_buildpack"
_PROGRAM = "lib/buildpack.py"
_ID = re.compile(r"[A-Za-z0-9./-]+\Z")
_HERE = Path(__file__).resolve().parent
_SDK_PLACES = (_HERE / "sdk" / SDK, _HERE.parents[1] / "buildpacks" / "sdk" / SDK)
"""In an installed package, and beside the sources."""

_DESCRIPTOR = """\
api = "0.12"

[{kind}]
id = "{id}"
version = "0.1.0"
name = "{name}"
description = "{description}"

[[{kind}.licenses]]
type = "Apache-2.0"

[[targets]]
os = "linux"
"""

_BUILDPACK = '''\
#!/usr/bin/env -S python3 -B
"""Say what hello.txt says, loudly."""

from __future__ import annotations

import cnb_buildpack as bp


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app has a hello.txt."""
    if not (context.app_dir / "hello.txt").is_file():
        return context.fail("no hello.txt")
    return context.pass_()


def build(context: bp.BuildContext) -> None:
    """Leave the greeting in a layer, which is made anew only if hello.txt changes."""
    source = context.app_dir / "hello.txt"
    layer = context.cached_layer(
        "greeting", types=bp.LAUNCH, key={"hello": bp.tree_digest(source)}, restored=bp.keep_if_same
    )
    if not layer.restored:
        (layer.path / "greeting.txt").write_text(source.read_text().upper())
    context.launch.process("hello", ["cat", layer.path / "greeting.txt"], default=True)


if __name__ == "__main__":
    bp.main(detect=detect, build=build)
'''

_BUILDPACK_TEST = """\
from pathlib import Path

import pytest

from lifecycle.testing import contract

ROOT = Path(__file__).parents[1]
APP = Path(__file__).parent / "app"

TestContract = contract(buildpack=ROOT, app=APP)


@pytest.fixture
def greeting(cnb):
    # In this process: fast, and breakpoints work. The contract runs it as a lifecycle does.
    return cnb.buildpack(ROOT, in_process=True)


def test_the_app_says_it_loudly(cnb, greeting):
    image = cnb.build(greeting, APP).export()
    assert "HELLO, WORLD" in image.launch().log


def test_the_greeting_is_made_anew_only_if_it_changes(cnb, greeting):
    again = cnb.build(greeting, APP).rebuild()
    assert "Reusing layer greeting" in again.log
    assert "Creating layer greeting: hello changed" in again.rebuild(files={"hello.txt": "good night\\n"}).log


def test_another_app_is_not_for_it(cnb, greeting):
    assert not cnb.detect(greeting, files={"main.txt": ""}).passed
"""

_EXTENSION = '''\
#!/usr/bin/env -S python3 -B
"""Put a file into the run image of apps that have a hello.txt."""

from __future__ import annotations

import cnb_buildpack as bp


def detect(context: bp.DetectContext) -> bp.Detected:
    """Pass when the app has a hello.txt; provide what buildpacks may require."""
    if not (context.app_dir / "hello.txt").is_file():
        return context.fail("no hello.txt")
    return context.pass_(bp.BuildPlan(provides=["hello"]))


def generate(context: bp.GenerateContext) -> None:
    """Write the Dockerfile for the run image."""
    context.run_dockerfile(
        "ARG base_image\\nFROM ${base_image}\\nUSER root\\nRUN echo hello >/hello\\n"
        "ARG user_id\\nARG group_id\\nUSER ${user_id}:${group_id}\\n"
    )


if __name__ == "__main__":
    bp.main(detect=detect, generate=generate)
'''

_EXTENSION_TEST = """\
from pathlib import Path

ROOT = Path(__file__).parents[1]
APP = Path(__file__).parent / "app"


def test_the_run_image_gets_a_file(cnb):
    needs_it = cnb.script("test/needs-hello", detect="printf '[[requires]]\\\\nname = \\"hello\\"\\\\n' > \\"$2\\"")
    generated = cnb.generate([cnb.extension(ROOT)], needs_it, APP)
    assert "RUN echo hello" in generated.dockerfile("run")
"""

_TEXTS: Mapping[ModuleKind, tuple[str, str, str, tuple[str, ...]]] = {
    ModuleKind.BUILDPACK: ("Says what hello.txt says, loudly", _BUILDPACK, _BUILDPACK_TEST, ("detect", "build")),
    ModuleKind.EXTENSION: (
        "Puts a file into the run image of apps that have a hello.txt",
        _EXTENSION,
        _EXTENSION_TEST,
        ("detect", "generate"),
    ),
}


def scaffold(root: Path, module_id: str, kind: ModuleKind) -> tuple[Path, ...]:
    """Write a new module into ``root``, a directory that is empty or not there; return the files to read first.

    Raises ``InvalidInputError`` for an id that can't be one and a directory with anything in it, ``LifecycleError``
    where the files can't be written.
    """
    if not _ID.match(module_id) or module_id.startswith(("/", ".")) or module_id.endswith("/"):
        raise InvalidInputError(
            f"{module_id!r} can't be an id", remedy="use letters, digits, '.', '-' and '/', as in yourname/greeting"
        )
    description, program, test, names = _TEXTS[kind]
    name = module_id.rpartition("/")[2].replace("-", " ").capitalize()
    files = {
        kind.descriptor: _DESCRIPTOR.format(kind=kind, id=module_id, name=name, description=description),
        _PROGRAM: program,
        "tests/test_" + ("buildpack.py" if kind is ModuleKind.BUILDPACK else "extension.py"): test,
        "tests/app/hello.txt": "hello, world\n",
    }
    there = os.path.lexists(root)
    try:
        if there and any(root.iterdir()):
            raise InvalidInputError("is not empty", where=root, remedy="name a new directory")
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        (root / _PROGRAM).chmod(0o755)
        (root / "bin").mkdir()
        for each in names:
            (root / "bin" / each).symlink_to(f"../{_PROGRAM}")
        shutil.copytree(_sdk(), root / "lib" / SDK, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        _remove(root, itself=not there)
        raise LifecycleError(f"can't be written: {error.strerror}", where=root) from error
    return tuple(root / path for path in files if not path.endswith(".txt"))


def _remove(root: Path, *, itself: bool) -> None:
    """Remove what was begun, so that it can be begun again; ``root`` stays where a person had made it."""
    with contextlib.suppress(OSError):
        for path in [root] if itself else list(root.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sdk() -> Path:
    found = next((path for path in _SDK_PLACES if path.is_dir()), None)
    if found is None:
        raise LifecycleError(
            "this lifecycle came without the SDK for buildpacks",
            remedy="install it with pip: pip install cnb-lifecycle",
        )
    return found
