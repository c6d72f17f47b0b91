"""The buildpack python-pip with lock files: pylock.toml from a directory of wheels, uv.lock from the index."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import tomllib

import pytest

import cnb_buildpack as bp

PYLOCK = """\
lock-version = "1.0"
created-by = "test"

[[packages]]
name = "app"
directory = {{ path = "." }}

[[packages]]
name = "some-words"
version = "2.0"
wheels = [{{ name = "some_words-2.0-py3-none-any.whl", hashes = {{ sha256 = "{digest}" }} }}]

[[packages]]
name = "only-for-windows"
version = "1.0"
marker = "sys_platform == 'win32'"
wheels = [{{ name = "x.whl", hashes = {{ sha256 = "{digest}" }} }}]
"""


@pytest.fixture
def pylock(load, ours):
    return load(ours / "python-pip/lib/pylock.py")


@pytest.fixture
def locked(workspace, wheelhouse):
    """A workspace whose app has a pylock.toml."""
    content = (wheelhouse / "some_words-2.0-py3-none-any.whl").read_bytes()
    (workspace.app / "pylock.toml").write_text(PYLOCK.format(digest=hashlib.sha256(content).hexdigest()))
    workspace.env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse)}
    return workspace


def test_packages_of_a_pylock_are_installed_and_reused_until_it_changes(locked, ours):
    assert locked.detect(ours / "python-pip").returncode == 0
    for cause in (
        "Creating layer packages: none from an earlier build",
        "Reusing layer packages: pylock.toml, Python and platform are as in the last build",
        "Creating layer packages: pylock.toml changed",
    ):
        built = locked.build(ours / "python-pip")
        assert (built.returncode, built.stderr) == (0, "")
        assert f"{cause}\n" in built.stdout
        assert built.stdout.endswith("Packages: some-words 2.0\n")
        if cause.startswith("Reusing"):
            with (locked.app / "pylock.toml").open("a") as stream:
                stream.write("# changed\n")


def test_a_package_with_another_hash_is_not_installed(locked, ours):
    (locked.app / "pylock.toml").write_text(PYLOCK.format(digest="0" * 64))
    built = locked.build(ours / "python-pip")
    assert (built.returncode, built.stderr) == (
        1,
        "python-pip: pip install of pylock.toml failed with exit status 1: see its output above\n",
    )
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in built.stdout
    assert not (locked.layers / "packages.toml").exists()


def test_the_first_of_several_files_counts_and_the_others_are_named(locked, ours):
    (locked.app / "uv.lock").write_text("version = 1\n")
    built = locked.build(ours / "python-pip")
    assert (built.returncode, built.stderr) == (0, "warning: uv.lock is not read, because there is pylock.toml\n")


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ('version = "1"', "a has no hash"),
        ('version = "1\\n--index-url=https://example.org"', "version is '1.*which is none"),
        ('version = "1 --index-url=https://example.org"', "version is '1.*which is none"),
        ('vcs = { type = "git", url = "https://example.org", commit-id = "0" }', "a is from vcs"),
        ('directory = { path = "lib" }', "a is from directory"),
        (
            "version = \"1\"\nmarker = \"'dev' in dependency_groups\"\nsdist = { hashes = { sha256 = '0' } }",
            "a depends on extras or dependency groups",
        ),
    ],
)
def test_what_can_not_be_verified_is_refused_by_name(pylock, tmp_path, package, problem):
    (tmp_path / "pylock.toml").write_text(f'lock-version = "1.0"\n[[packages]]\nname = "a"\n{package}\n')
    with pytest.raises(bp.BuildpackError, match=problem):
        pylock.requirements(tmp_path / "pylock.toml")


@pytest.mark.parametrize("text", ["", 'lock-version = "2.0"', 'lock-version = "1.0"\npackages = 1', "lock-version ="])
def test_a_file_that_is_no_lock_file_is_an_error(pylock, tmp_path, text):
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(bp.BuildpackError, match=r"pylock\.toml"):
        pylock.requirements(tmp_path / "pylock.toml")


def test_archives_sources_and_markers_keep_their_hashes(pylock, tmp_path):
    (tmp_path / "pylock.toml").write_text(
        'lock-version = "1.0"\n'
        '[[packages]]\nname = "a"\narchive = { url = "https://example.org/a.zip", hashes = { sha512 = "1" } }\n'
        '[[packages]]\nname = "b"\nversion = "2"\nmarker = "os_name == \'posix\'"\n'
        'sdist = { hashes = { sha256 = "2", md5 = "3" } }\nwheels = [{ hashes = { sha256 = "4" } }]\n'
    )
    assert pylock.requirements(tmp_path / "pylock.toml") == (
        "a @ https://example.org/a.zip --hash=sha512:1\nb==2 ; os_name == 'posix' --hash=sha256:2 --hash=sha256:4\n"
    )


UV_PROJECT = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.11"
dependencies = ["bottle==0.13.4"]

[dependency-groups]
dev = ["iniconfig"]
"""
UV_LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "bottle" }]

[package.dev-dependencies]
dev = [{ name = "iniconfig" }]

[package.metadata]
requires-dist = [{ name = "bottle", specifier = "==0.13.4" }]

[package.metadata.requires-dev]
dev = [{ name = "iniconfig" }]

[[package]]
name = "bottle"
version = "0.13.4"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://files.pythonhosted.org/bottle-0.13.4-py2.py3-none-any.whl", hash = "sha256:045684fbd2764eac9cdeb824861d1551d113e8b683d8d26e296898d3dd99a12e" }]

[[package]]
name = "iniconfig"
version = "2.1.0"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://files.pythonhosted.org/iniconfig-2.1.0-py3-none-any.whl", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }]
"""


def test_what_a_uv_lock_needs_to_run_is_installed_by_a_uv_that_a_layer_keeps(workspace, ours):
    (workspace.app / "pyproject.toml").write_text(UV_PROJECT)
    (workspace.app / "uv.lock").write_text(UV_LOCK)
    workspace.env = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    assert workspace.detect(ours / "python-pip").returncode == 0
    for uv, packages in (("Creating", "Creating"), ("Reusing", "Reusing"), ("Reusing", "Creating")):
        built = workspace.build(ours / "python-pip")
        assert built.returncode == 0, built.stdout + built.stderr
        assert built.stdout.endswith("Packages: bottle 0.13.4\n")
        assert f"{packages} layer packages: " in built.stdout
        assert shutil.which("uv", path=workspace.path) or f"{uv} layer uv: " in built.stdout
        if packages == "Reusing":
            shutil.rmtree(workspace.layers / "packages")
    assert tomllib.loads((workspace.layers / "packages.toml").read_text())["metadata"]["python"] == (
        f"3.{sys.version_info.minor}"
    )


OWN_PROJECT = """\
[project]
name = "shop"
version = "1"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# What it leaves beside the sources has no place in the image.
OWN_BACKEND = """\
import pathlib, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    pathlib.Path("left-by-the-backend").touch()
    info = "shop-1.dist-info"
    files = {
        "shop.py": pathlib.Path("src/shop.py").read_text(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: shop\\nVersion: 1\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\nshop = shop:main\\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(pathlib.Path(directory, "shop-1-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "shop-1-py3-none-any.whl"
"""


@pytest.fixture
def uv_project(workspace, wheelhouse):
    """Write an app with a uv.lock, of whose packages a ``uv`` on PATH tells; return a function that says which."""
    content = (wheelhouse / "some_words-2.0-py3-none-any.whl").read_bytes()
    programs = workspace.root / "programs"
    programs.mkdir()

    def tell(*own, source='{ editable = "." }'):
        (workspace.app / "uv.lock").write_text(f'[[package]]\nname = "shop"\nsource = {source}\n')
        lines = [*own, f"some-words==2.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}"]
        uv = programs / "uv"
        uv.write_text("#!/bin/sh\n" + "".join(f"echo {shlex.quote(line)}\n" for line in lines))
        uv.chmod(0o755)
        return workspace

    for name, text in {
        "pyproject.toml": OWN_PROJECT,
        "backend.py": OWN_BACKEND,
        "src/shop.py": "def main(): print('open')\n",
    }.items():
        (workspace.app / name).parent.mkdir(exist_ok=True)
        (workspace.app / name).write_text(text)
    workspace.path = f"{programs}:{workspace.path}"
    workspace.env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse)}
    return tell


def test_an_app_that_is_a_package_is_installed_too_and_anew_when_it_changes(uv_project, ours):
    workspace = uv_project(".")
    for own in ("Creating layer own: none from", "Reusing layer own: the app", "Creating layer own: the app changed"):
        if "changed" in own:
            (workspace.app / "src" / "shop.py").write_text("def main(): print('closed')\n")
        built = workspace.build(ours / "python-pip")
        assert (built.returncode, built.stderr) == (0, "")
        assert own in built.stdout
        assert built.stdout.endswith("Packages: some-words 2.0, shop 1\n")
    assert "Reusing layer packages" in built.stdout
    layer = workspace.layers / "own"
    assert "closed" in (layer / "python" / "shop.py").read_text()
    assert (layer / "bin" / "shop").read_text().startswith("#!/usr/bin/env python3\n")
    assert not list(layer.rglob("direct_url.json"))
    assert not (workspace.app / "left-by-the-backend").exists()


def test_a_lock_without_packages_of_the_app_leaves_no_layer_for_them(uv_project, ours):
    workspace = uv_project(source='{ virtual = "." }')
    assert workspace.build(ours / "python-pip").returncode == 0
    assert not (workspace.layers / "own.toml").exists()


def test_packages_of_the_app_that_are_for_development_alone_are_not_installed(uv_project, ours):
    built = uv_project().build(ours / "python-pip")
    assert built.returncode == 0, built.stderr
    assert built.stdout.endswith("Packages: some-words 2.0\n")


def test_a_package_from_outside_of_the_app_is_refused(uv_project, ours):
    built = uv_project("../shared ; python_version > '3'").build(ours / "python-pip")
    assert built.returncode == 1
    assert "uv.lock has packages from outside of the app: ../shared" in built.stderr


def test_a_project_without_a_lock_is_told_how_to_write_one(workspace, ours):
    (workspace.app / "pyproject.toml").touch()
    found = workspace.detect(ours / "python-pip")
    assert found.returncode == 100
    assert "uv lock" in found.stdout
