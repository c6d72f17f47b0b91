"""The launcher where there is nothing else: no libc, no shell, no /dev; for every architecture."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.launcher import build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOW = r"""
#include <stdio.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
    char cwd[4096];
    printf("in %s\n", getcwd(cwd, sizeof cwd));
    for (int i = 0; i < argc; i++) printf("[%s]\n", argv[i]);
    for (char **each = environ; *each; each++) puts(*each);
    return 7;
}
"""
EXECD = r"""
#include <string.h>
#include <unistd.h>
int main(void) {
    const char text[] = "FROM_EXECD = \"\"\"\ntwo\nlines\"\"\"\n";
    return write(3, text, strlen(text)) != (ssize_t)strlen(text);
}
"""
METADATA = """
[[buildpacks]]
  id = "a/b"
  version = "1"
  api = "0.12"

[[processes]]
  type = "web"
  command = ["show", "always"]
  args = ["default"]
  direct = true
  buildpack-id = "a/b"

[[processes]]
  type = "shell"
  command = ["show"]
  direct = false
  buildpack-id = "a/b"
"""
EMULATORS = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}


def compile_static(text: str, output: Path) -> None:
    """Make a static program for this host, which may be started from an emulated launcher too."""
    output.parent.mkdir(parents=True, exist_ok=True)
    source = output.with_suffix(".c")
    source.write_text(text)
    target = f"{platform.machine()}-linux-musl"
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        target,
        *("-static", "-fPIE", "-pie"),
        "-Os",
        "-s",
        source,
        "-o",
        output,
    ]
    subprocess.run(command, check=True, env={**os.environ, **build.cache_variables()})
    source.unlink()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("programs")
    compile_static(SHOW, directory / "show")
    compile_static(EXECD, directory / "execd")
    return directory


@dataclass
class Scratch:
    """The root directory of an image, and how to start something in it."""

    root: Path
    emulator: str | None

    def run(self, name: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = [name, *args]
        executable = "/cnb/lifecycle/launcher"
        if self.emulator is not None:
            argv = [self.emulator, "-0", name, executable, *args]
            executable = "/emulator"
        return subprocess.run(
            argv,
            executable=executable,
            preexec_fn=lambda: os.chroot(self.root),
            cwd=self.root,
            env={"CNB_PLATFORM_API": "0.15", "CNB_NO_COLOR": "1", "PATH": "/cnb/process:/cnb/lifecycle", **env},
            capture_output=True,
            text=True,
            check=False,
        )


def fill(root: Path, launcher: Path, programs: Path) -> None:
    (root / "cnb/lifecycle").mkdir(parents=True)
    (root / "cnb/process").mkdir()
    (root / "workspace").mkdir()
    for name in ("web", "shell"):
        (root / "cnb/process" / name).symlink_to("/cnb/lifecycle/launcher")
    layer = root / "layers/a_b/l"
    for source, target in [
        (launcher, root / "cnb/lifecycle/launcher"),
        (programs / "show", layer / "bin/show"),
        (programs / "execd", layer / "exec.d/1"),
    ]:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    (layer / "env.launch/web").mkdir(parents=True)
    (layer / "env.launch/web/A").write_text("from a file")
    (root / "layers/config").mkdir()
    (root / "layers/config/metadata.toml").write_text(METADATA)


@pytest.fixture(params=build.ARCHITECTURES)
def scratch(request: Any, launcher_for: Callable[[str], Path], programs: Path, tmp_path: Path) -> Scratch:
    if os.geteuid() != 0:
        pytest.skip("only root may change the root directory")
    emulator = None
    root = tmp_path / "root"
    fill(root, launcher_for(request.param), programs)
    if request.param != build.host_arch():
        emulator = shutil.which(EMULATORS[request.param])
        if emulator is None:
            pytest.skip(f"{EMULATORS[request.param]} is not installed: apt-get install qemu-user-static")
        shutil.copy2(emulator, root / "emulator")
    return Scratch(root, emulator)


SHOWN = [
    "in /workspace",
    "[show]",
    "[always]",
    "[default]",
    "A=from a file",
    "CNB_NO_COLOR=1",
    "FROM_EXECD=two",
    "PATH=/layers/a_b/l/bin",
    "lines",
]


@pytest.mark.requirement("PLAT-LAU-001", "PLAT-LAU-003", "PLAT-LAU-027")
def test_direct_processes_start_where_nothing_else_is(scratch: Scratch) -> None:
    done = scratch.run("/cnb/process/web")
    assert (done.returncode, done.stderr) == (7, "")
    assert sorted(done.stdout.splitlines()) == sorted(SHOWN)
    assert "[user]" in scratch.run("web", "user").stdout
    assert "[$A]" in scratch.run("launcher", "--", "/layers/a_b/l/bin/show", "$A").stdout


def test_shell_processes_say_that_bash_is_missing(scratch: Scratch) -> None:
    for argv in (["shell"], ["launcher", "show"]):
        done = scratch.run(*argv)
        assert done.returncode == 82
        assert done.stdout == (
            "ERROR: failed to launch: bash exec: /bin/bash: no such file or directory "
            "(this process needs bash, which the run image doesn't have; direct processes don't)\n"
        )


def test_failures_are_told_where_nothing_else_is(scratch: Scratch) -> None:
    assert scratch.run("launcher", "--", "nothing").returncode == 82
    assert scratch.run("web", CNB_PLATFORM_API="0.1").returncode == 11
    (scratch.root / "layers/config/metadata.toml").write_text('[[buildpacks]]\nid = "a/b"\napi = "9.9"\n')
    assert scratch.run("web").returncode == 12
    shutil.rmtree(scratch.root / "layers")
    assert scratch.run("web").returncode == 82


@pytest.fixture
def docker_image(dockerd: Any, launcher: Path, programs: Path, tmp_path: Path) -> Any:
    """Start `name` with arguments in a container of an image from scratch; gives exit code and output."""
    fill(tmp_path / "root", launcher, programs)
    archive = tmp_path / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "root", ".")
    changes = [
        "ENV CNB_PLATFORM_API=0.15 CNB_NO_COLOR=1 PATH=/cnb/process:/cnb/lifecycle",
        'ENTRYPOINT ["/cnb/process/web"]',
    ]
    image = dockerd.docker(
        "import", *(f"--change={each}" for each in changes), str(archive), "launcher-from-scratch"
    ).strip()

    def run(*args: str, entrypoint: str = "/cnb/process/web") -> subprocess.CompletedProcess[str]:
        command = [
            "docker",
            "--host",
            f"unix://{dockerd.socket}",
            "run",
            "--rm",
            "--network=none",
            "--entrypoint",
            entrypoint,
        ]
        return subprocess.run([*command, image, *args], capture_output=True, text=True, check=False)

    probe = run(entrypoint="/layers/a_b/l/bin/show")
    if probe.returncode != 7:
        pytest.skip(f"dockerd can't start containers here: {probe.stderr.strip()}")
    return run


def test_processes_start_under_docker_run(docker_image: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = docker_image()
    assert done.returncode == 7
    assert set(SHOWN) <= set(done.stdout.splitlines())
    assert "[user]" in docker_image("user").stdout
    assert "[a]" in docker_image("--", "show", "a", entrypoint="launcher").stdout
    missing = docker_image("show", entrypoint="launcher")
    assert (missing.returncode, "needs bash" in missing.stdout) == (82, True)
