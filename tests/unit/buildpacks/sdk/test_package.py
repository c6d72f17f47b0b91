"""The package itself."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cnb_buildpack as bp

SDK = Path(bp.__file__).parents[1]


@pytest.mark.parametrize("name", bp.__all__)
def test_every_public_name_is_there_when_it_is_asked_for(name):
    assert getattr(bp, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = bp.nothing


def test_every_name_that_type_checkers_see_is_public():
    tree = ast.parse(Path(bp.__file__).read_text())
    [checked] = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    seen = {alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(bp.__all__)


def test_importing_the_package_loads_nothing_of_it():
    code = "import sys, cnb_buildpack; print(*sorted(n for n in sys.modules if n.startswith('cnb_buildpack.')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SDK, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_wheel_has_all_modules_and_needs_no_other_distribution(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds wheels")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=SDK, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = [archive.read(name).decode() for name in names if name.endswith("/METADATA")]
    own = {f"cnb_buildpack/{path.name}" for path in (SDK / "cnb_buildpack").glob("*.py")}
    assert own | {"cnb_buildpack/py.typed"} <= names
    assert "Requires-Dist" not in metadata
