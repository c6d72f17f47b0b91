"""Which package may import which, where third-party libraries enter, and which rows of the API table are in use."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import lifecycle
from lifecycle.model.api import BuildpackFeature, PlatformFeature

ROOT = Path(lifecycle.__file__).parent
BUILDPACKS = Path(__file__).parents[2] / "buildpacks"

ANYONE = "progress"
"""The module that every package may import."""
ALLOWED = {
    "errors": set(),
    "progress": set(),
    "oci": {"errors"},
    "model": {"errors", "oci"},
    "rules": {"errors", "oci", "model"},
    "differences": {"errors", "oci", "model", "rules", "layers.facts", "layers.tar"},
    "files": {"errors", "oci", "model", "rules.environment"},
    "layers": {"errors", "oci"},
    "rootfs": {"errors", "rules.extensions", "files.ownership", "files.regular_file", "layers"},
    "executables": {"errors", "model", "rules", "files"},
    "images": {"errors", "oci", "model", "layers", "files.atomic", "files.regular_file", "files.work_dir", "__version__"},
    "cache": {"errors", "oci", "model", "rules", "layers", "images", "files"},
    "phases": {
        "errors", "oci", "model", "rules", "files", "layers", "executables", "images.store", "images.scratch",
        "cache.store", "cache.sources.model", "cache.distributed.model", "cache.extension_steps", "rootfs",
    },
    "buildpackages": {"errors", "oci", "model", "rules", "files", "layers", "images"},
    "launcher": {"errors"},
    "dist": {"errors", "oci", "model", "files.atomic", "files.work_dir", "layers", "images", "launcher", "__version__"},
    "testing": {
        "errors", "oci", "model", "rules", "files", "layers", "executables", "images", "cache", "phases", "launcher",
    },
    "cli": {
        "errors", "oci", "model", "rules", "differences", "files", "layers", "rootfs", "executables", "images", "cache",
        "phases", "launcher", "dist", "buildpackages", "__version__",
    },
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip

PURE = ("oci", "model", "rules", "differences")
CLOCK = {("gojson.py", ".now(")}
"""The reference gives a time without a zone the offset that the machine has now."""
INPUT_AND_OUTPUT = {
    "asyncio", "fcntl", "glob", "http", "io", "multiprocessing", "secrets", "shutil", "signal", "socket", "ssl",
    "subprocess", "sys", "tarfile", "tempfile", "threading", "time", "urllib",
}  # fmt: skip

DOORS = {
    "toml": {"files/toml_encoder.py"},
    "tomli": {"files/codec.py"},
    "typer": {
        "cli/commands/build/command.py",
        "cli/commands/buildpack/command.py",
        "cli/commands/cache/command.py",
        "cli/commands/program.py",
        "cli/commands/common_options.py",
        "cli/commands/diff/command.py",
    },
    "subprocess": {
        "executables/attached.py",
        "executables/process.py",
        "images/registry/credential_helper.py",
        "launcher/build.py",
        "dist/tools.py",
        "testing/launching.py",
    },
    "pytest": {
        "testing/plugin.py",
        "testing/contracts/breach.py",
        "testing/contracts/build_tests.py",
        "testing/contracts/command_line.py",
        "testing/contracts/runs.py",
        "testing/contracts/surroundings_tests.py",
    },
    "pathspec": {"files/app_source.py"},
    "_carried": {"dist/importer.py"},
    "hatchling": {"launcher/hatch_build.py"},
    "cryptography": {"cache/distributed/signing.py"},
    "zstandard": {"layers/zstd.py"},
    "oras": {"images/registry/transport.py"},
    "requests": {"images/registry/transport.py"},
    "urllib3": {"images/daemon/client.py", "images/registry/transport.py"},
    "docker": {"images/daemon/client.py"},
}
ANYWHERE_BUT_LAUNCHER = {"pydantic", "pydantic_core"}


def _imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, with what it imports from it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                found |= {f"{module}.{alias.name}" for alias in node.names}
            case ast.ImportFrom():
                found.add(f"relative import in {path}")
    return found


@cache
def _files() -> dict[str, set[str]]:
    return {path.relative_to(ROOT).as_posix(): _imports(path) for path in sorted(ROOT.rglob("*.py"))}


def _package(name: str) -> str:
    return name.split("/", 1)[0].removesuffix(".py")


def _under(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


def test_every_package_has_its_row():
    assert {_package(name) for name in _files()} - set(ALLOWED) == set()


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_the_table_allows(package):
    found = {
        (name, module)
        for name, modules in _files().items()
        if _package(name) == package
        for module in modules
        if _under(module, "lifecycle")
        and not any(
            _under(module.removeprefix("lifecycle").removeprefix("."), each)
            for each in {package, ANYONE, *ALLOWED[package]}
        )
    }
    assert found == set()


def test_the_arrows_of_the_table_make_no_circle():
    left = {package: {each.split(".")[0] for each in allowed} for package, allowed in ALLOWED.items()}
    while left:
        free = {package for package, allowed in left.items() if not allowed & set(left)}
        assert free, f"{sorted(left)} import each other"
        left = {package: allowed for package, allowed in left.items() if package not in free}


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_nothing_that_does_input_or_output(package):
    found = {
        (name, module)
        for name, modules in _files().items()
        if _package(name) == package
        for module in modules
        if module.split(".")[0] in INPUT_AND_OUTPUT
    }
    assert found == set()


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_ask_neither_environment_nor_files_nor_clock(package):
    asked = re.compile(
        r"\bos\.(environ|getenv|open|stat|listdir|scandir|walk|getcwd)\b|(?<![\w.])open\("
        r"|\.(read_text|read_bytes|write_text|write_bytes|exists|is_file|is_dir|iterdir|now|utcnow|today)\("
    )
    found = {
        (path.name, match.group())
        for path in (ROOT / package).rglob("*.py")
        for match in asked.finditer(path.read_text(encoding="utf-8"))
    }
    assert found - CLOCK == set()


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library):
    users = {name for name, modules in _files().items() if any(_under(module, library) for module in modules)}
    assert users == DOORS[library]


def test_no_other_library_is_used():
    known = set(sys.stdlib_module_names) | {"lifecycle", *DOORS, *ANYWHERE_BUT_LAUNCHER}
    assert {
        (name, each) for name, modules in _files().items() for each in modules if each.split(".")[0] not in known
    } == set()


def test_the_launcher_needs_the_standard_library_only():
    found = {
        module
        for name, modules in _files().items()
        if _package(name) == "launcher" and name not in DOORS["hatchling"]
        for module in modules
        if module.split(".")[0] not in sys.stdlib_module_names and not _under(module, "lifecycle")
    }
    assert found == set()


def test_buildpacks_share_the_specification_with_the_lifecycle_and_no_code():
    found = {
        (path, module)
        for path in BUILDPACKS.rglob("*")
        if path.suffix == ".py"
        or (path.parent.name == "bin" and path.is_file() and b"python" in path.read_bytes().split(b"\n")[0])
        for module in _imports(path)
        if _under(module, "lifecycle")
    }
    assert list(BUILDPACKS.rglob("buildpack.toml"))
    assert found == set()


@pytest.mark.parametrize(
    "module",
    [
        "lifecycle.cli.main",
        "lifecycle.cli.phases.running",
        "lifecycle.phases.detect",
        "lifecycle.phases.generate",
        "lifecycle.phases.build",
    ],
)
def test_phases_start_without_command_library_and_registry_client(module):
    libraries = {"typer", "click", "rich", "oras", "requests", "urllib3", "docker"}
    code = f"import sys, {module}; print(*sorted({libraries} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("feature", [*PlatformFeature, *BuildpackFeature], ids=str)
def test_every_difference_between_api_versions_is_asked_about(feature):
    asked = re.compile(rf"\b{type(feature).__name__}\.{feature.name}\b")
    users = {
        path.name
        for path in ROOT.rglob("*.py")
        if path != ROOT / "model/api.py" and asked.search(path.read_text(encoding="utf-8"))
    }
    assert users
