"""What phases load: a phase that has little to do spends most of its time on that."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lifecycle.launcher import launcher_path
from parts.nobody import AS_NOBODY, NOBODY
from parts.small_build import PHASES, make_small_build

CODE = """
import os, sys
import lifecycle.cli.main as door
def leave(code):
    with open(os.environ["LOADED"], "w") as file:
        file.write("\\n".join(sys.modules))
    os._exit(code)
door._leave = leave
sys.argv = ["lifecycle", *sys.argv[1:]]
door.main()
"""

NEVER = {
    "asyncio", "click", "docker", "importlib.metadata", "multiprocessing", "oras", "requests", "rich", "typer", "urllib3",
    "lifecycle.cache.distributed", "lifecycle.cache.image", "lifecycle.cache.sources", "lifecycle.cache.specification",
    "lifecycle.cache.targets", "lifecycle.cli.caches.key_options", "lifecycle.cli.caches.repository",
    "lifecycle.cli.caches.sources", "lifecycle.cli.caches.step_context", "lifecycle.cli.caches.targets",
    "lifecycle.cli.commands", "lifecycle.dist", "lifecycle.images.daemon", "lifecycle.images.registry",
    "lifecycle.launcher", "lifecycle.phases.rebase", "lifecycle.phases.step_recorder", "lifecycle.rootfs",
    "lifecycle.testing",
}  # fmt: skip
"""What no phase needs whose images are in layouts, and whose inputs name no cache but its own."""

RUNS_BUILDPACKS = {"lifecycle.cache", "lifecycle.images.layout", "lifecycle.layers", "lifecycle.phases.export"}
RUNS_NONE = {"lifecycle.executables", "lifecycle.phases.build", "lifecycle.phases.detect", "subprocess"}
UNWANTED = {
    "analyzer": {*RUNS_NONE, "lifecycle.cache", "lifecycle.phases.export", "lifecycle.phases.restore"},
    "detector": {*RUNS_BUILDPACKS, "lifecycle.phases.build", "lifecycle.phases.generate", "lifecycle.phases.restore"},
    "restorer": {*RUNS_NONE, "lifecycle.phases.analyze", "lifecycle.phases.export"},
    "builder": {*RUNS_BUILDPACKS, "lifecycle.phases.detect", "lifecycle.phases.restore"},
    "exporter": {*RUNS_NONE, "lifecycle.phases.analyze", "lifecycle.phases.restore"},
    "creator": {"lifecycle.phases.generate"},
}
"""What a phase has no use for, besides."""


def _modules_of(phases):
    """Return the modules that each phase has at its end, in a build of one buildpack."""
    root = os.geteuid() == 0
    found = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        build = make_small_build(directory, prefix=name, owner=NOBODY if root else None)
        shutil.copy(launcher_path(), directory / "cnb/lifecycle/launcher")
        for phase in phases:
            record = directory / "tmp" / phase
            command = [*(AS_NOBODY if root else ()), sys.executable, "-c", CODE, phase, *build.arguments(phase)]
            environment = {**os.environ, **build.environment, "PATH": os.environ["PATH"], "LOADED": str(record)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            found[phase] = set(record.read_text().split("\n"))
    return found


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="setpriv is missing, of Debian's util-linux: root runs no buildpacks",
)
@pytest.mark.parametrize("phases", [PHASES, ("creator",)], ids=["five phases", "creator"])
def test_a_phase_loads_what_its_inputs_ask_for_and_nothing_else(phases):
    needless = {
        phase: sorted(name for name in modules for each in NEVER | UNWANTED[phase] if f"{name}.".startswith(f"{each}."))
        for phase, modules in _modules_of(phases).items()
    }
    assert needless == {phase: [] for phase in phases}


def test_every_module_that_is_unwanted_exists():
    names = {*NEVER, *(name for names in UNWANTED.values() for name in names)}
    code = (
        f"import importlib.util; print(*[name for name in {sorted(names)} if importlib.util.find_spec(name) is None])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"click", "rich"}


def test_a_phase_that_tells_its_version_loads_no_models():
    code = (
        "import os, sys; import lifecycle.cli.main as door; door._leave = lambda _: sys.exit('pydantic' in sys.modules)"
    )
    command = [sys.executable, "-c", f"{code}; sys.argv = ['analyzer', '-version']; door.main()"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_pydantic_finds_no_plugins_and_all_else_of_its_loader():
    code = (
        "from lifecycle.cli.model_plugins import leave_out_plugins; leave_out_plugins();"
        "from pydantic.plugin import _loader as ours; print(len(ours.get_plugins()), ours.PYDANTIC_ENTRY_POINT_GROUP)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "pydantic"]
