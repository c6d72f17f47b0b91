"""The files of a release, made and used as platforms use them: in images that have no Python."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle import __version__
from lifecycle.cli.phase_names import Phase
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import host_platform
from lifecycle.launcher import launcher_path
from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS
from parts.distribution import ARCH, Distribution, distribution, make_distribution
from parts.small_build import PHASES, SmallBuild, make_small_build

SOMEBODY = 43210
"""A user that no image knows."""
NEEDED_BY_PACK = {"detector", "restorer", "analyzer", "builder", "exporter", "launcher", "creator"}
SHELL = ("sh", "mkdir", "cat", "printf", "echo", "env", "test")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make mounts and change its root directory")


@pytest.fixture(scope="session")
def release(tmp_path_factory) -> Distribution:
    return distribution(tmp_path_factory)


@pytest.fixture(scope="session")
def foreign_release(tmp_path_factory) -> Distribution:
    """The one of another architecture, where the kernel hands its programs to an emulator."""
    architecture = next(each for each in ARCH if each != host_platform().architecture)
    try:
        subprocess.run([launcher_path(architecture)], env={}, capture_output=True, check=False)
    except OSError:
        pytest.skip(f"no emulator is registered for {architecture}: .ci/run registers qemu-user-static")
    return distribution(tmp_path_factory, architecture)


def unpack(release: Distribution, cnb: Path) -> None:
    """Put the executables where pack puts them."""
    with release.opened() as archive:
        archive.extractall(cnb)


def test_the_archive_has_what_pack_needs_and_each_executable_is_one_file(release):
    with tarfile.open(release.archive) as archive:
        members = archive.getmembers()
        descriptor = tomllib.loads(archive.extractfile("lifecycle.toml").read().decode())
    names = [member.name for member in members]
    assert names[0] == "lifecycle.toml"
    assert all(name.count("/") == 1 for name in names[2:])
    assert {f"lifecycle/{each}" for each in NEEDED_BY_PACK | set(Phase)} <= set(names)
    assert {member.linkname for member in members if member.issym()} == {"lifecycle"}
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert len({member.mtime for member in members}) == 1
    assert descriptor["apis"]["platform"] == {"deprecated": [], "supported": [str(each) for each in PLATFORM_APIS]}
    assert descriptor["apis"]["buildpack"] == {"deprecated": [], "supported": [str(each) for each in BUILDPACK_APIS]}
    assert descriptor["lifecycle"]["version"] == __version__


def test_the_image_says_what_the_archive_says_and_its_last_layer_has_all_of_the_lifecycle(release, tmp_path):
    image = ArchiveStore(release.image).find(__version__)
    labels = image.config.labels
    assert json.loads(labels["io.buildpacks.lifecycle.apis"])["platform"]["supported"][0] == str(PLATFORM_APIS[0])
    assert json.loads(labels["io.buildpacks.builder.metadata"])["lifecycle"] == {"version": __version__}
    assert labels["io.buildpacks.lifecycle.version"] == __version__
    layer = tmp_path / "layer.tar"
    with layer.open("wb") as file:
        file.writelines(image.layer(image.config.diff_ids[-1]))
    with tarfile.open(layer) as last, tarfile.open(release.archive) as archive:
        in_image = {name.lstrip("/").removeprefix("cnb/") for name in last.getnames()}
        assert in_image - {"cnb"} == set(archive.getnames())


def test_a_release_made_again_elsewhere_has_the_same_bytes(release, tmp_path):
    again = make_distribution(tmp_path / "elsewhere")
    assert again.archive.read_bytes() == release.archive.read_bytes()
    assert again.image.read_bytes() == release.image.read_bytes()


def test_a_copy_with_the_name_of_a_phase_is_the_phase(release, tmp_path):
    unpack(release, tmp_path)
    copy = tmp_path / "elsewhere" / "analyzer"
    copy.parent.mkdir()
    shutil.copy(tmp_path / "lifecycle" / "lifecycle", copy)
    done = subprocess.run(
        [copy, "-version"], env={"CNB_PLATFORM_API": "0.12"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("command", [("dist",), ("install", "--dest", "unused")])
def test_one_executable_does_not_make_others_and_says_so(release, tmp_path, command):
    unpack(release, tmp_path)
    done = subprocess.run(
        [tmp_path / "lifecycle" / "lifecycle", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "use one that pip installed" in done.stderr


@dataclass(frozen=True)
class Place:
    """A root directory in which commands run as a user of their own, with /cnb and everything else read-only."""

    root: Path
    mounts: tuple[Path, ...] = ()
    noexec: bool = False
    user: int = SOMEBODY

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command; only it sees `environment`."""
        writable = ("layers", "workspace", "cache", "layout", "tmp")
        steps = [f"mount --bind {self.root} {self.root}", f"mount -t proc proc {self.root}/proc"]
        steps += [f"mount --bind /dev/null {self.root}/dev/null"]
        steps += [f"mount --bind {self.root}/{each} {self.root}/{each}" for each in writable]
        steps += [f"mount -t tmpfs -o noexec none {self.root}/tmp"] * self.noexec
        # After those, for what is to be seen may itself lie below /tmp.
        steps += [f"mount --rbind {each} {self.root}{each}" for each in self.mounts]
        steps += [f"mount -o remount,ro,bind {self.root}"]
        steps += [f'exec {shutil.which("chroot")} --userspec={self.user}:{self.user} {self.root} "$@"']
        command = ("/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command)
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-ec", "\n".join(steps), "sh", *command],
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def in_place(root: Path) -> SmallBuild:
    """Give a root what container engines mount, and a build."""
    for name in ("proc", "dev"):
        (root / name).mkdir(exist_ok=True)
    (root / "dev" / "null").touch()
    return make_small_build(root, owner=SOMEBODY)


def built_in(place: Place, build: SmallBuild, phases: tuple[str, ...]) -> str:
    """Run the phases as another user and return the id of the image."""
    for phase in phases:
        done = place.run(f"/cnb/lifecycle/{phase}", *build.arguments(phase), **build.environment)
        assert done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}"
        assert done.stderr == ""
        assert "SBOM" not in done.stdout
    return build.image_id()


@pytest.fixture
def only_a_shell(tmp_path) -> Path:
    """A root with a static busybox and nothing else."""
    busybox = shutil.which("busybox")
    if (
        busybox is None
        or b"statically linked" not in subprocess.run(["file", busybox], capture_output=True, check=False).stdout
    ):
        pytest.skip("there is no static busybox: apt-get install busybox-static file")
    root = tmp_path / "shell"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in SHELL:
        (root / "bin" / name).symlink_to("busybox")
    return root


@pytest.fixture
def small_debian(tmp_path) -> Path:
    """Debian's smallest system, which has no Python."""
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed: apt-get install debootstrap")
    root = tmp_path / "debian"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", root], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap can't make a Debian here: {made.stdout[-300:]}")
    assert not list((root / "usr" / "bin").glob("python*"))
    return root


@pytest.fixture
def pip_installed(tmp_path) -> Place:
    """A root in which this very installation is, with `lifecycle install` having put the executables there."""
    root = tmp_path / "pip"
    (root / "cnb").mkdir(parents=True)
    command = [sys.executable, "-m", "lifecycle", "install", "--dest", root / "cnb" / "lifecycle"]
    subprocess.run(command, check=True, capture_output=True)
    where = [sys.executable, "-I", "-c", "import lifecycle; print(lifecycle.__path__[0])"]
    package = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    needed = {Path(sys.prefix), Path(sys.base_prefix), package}
    system = [path for path in map(Path, ("/usr", "/bin", "/lib", "/lib64", "/etc")) if path.exists()]
    mounts = sorted({*needed, *system}, key=str)
    mounts = tuple(path for path in mounts if not any(path.is_relative_to(other) for other in mounts if other != path))
    for path in mounts:
        (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
    return Place(root, mounts)


@needs_root
@pytest.mark.parametrize("kind", ["only_a_shell", "small_debian"])
def test_images_without_python_give_the_same_app_image_as_what_pip_installed(kind, release, pip_installed, request):
    expected = built_in(pip_installed, in_place(pip_installed.root), PHASES)
    root = request.getfixturevalue(kind)
    unpack(release, root / "cnb")
    assert built_in(Place(root), in_place(root), PHASES) == expected


@needs_root
def test_creator_gives_the_same_app_image_as_five_phases(release, only_a_shell, tmp_path):
    unpack(release, only_a_shell / "cnb")
    second = tmp_path / "second"
    shutil.copytree(only_a_shell, second, symlinks=True)
    five = built_in(Place(only_a_shell), in_place(only_a_shell), PHASES)
    assert built_in(Place(second), in_place(second), ("creator",)) == five


@needs_root
def test_on_another_architecture_the_same_input_gives_the_same_app_image(
    release, foreign_release, only_a_shell, tmp_path
):
    roots = [tmp_path / name for name in ("here", "five", "one")]
    for root, used in zip(roots, (release, foreign_release, foreign_release), strict=True):
        shutil.copytree(only_a_shell, root, symlinks=True)
        unpack(used, root / "cnb")
        # Of the image's architecture and not the lifecycle's: it goes into the image.
        shutil.copy(launcher_path(), root / "cnb/lifecycle/launcher")
    here, five, one = (Place(root) for root in roots)
    expected = built_in(here, in_place(here.root), PHASES)
    assert built_in(five, in_place(five.root), PHASES) == expected
    assert built_in(one, in_place(one.root), ("creator",)) == expected


@needs_root
def test_people_build_and_run_an_app_with_that_one_file(release, only_a_shell):
    unpack(release, only_a_shell / "cnb")
    in_place(only_a_shell)
    place = Place(only_a_shell, user=0)
    variables = {"PATH": "/bin", "HOME": "/cache"}
    built = place.run("/cnb/lifecycle/lifecycle", "build", "/workspace", "--tag", "made", **variables)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "buildpacksio/lifecycle:launcher" in built.stdout + built.stderr
    started = place.run("/cnb/lifecycle/lifecycle", "run", **variables)
    assert (started.returncode, started.stdout) == (0, "started\n"), started.stderr


@needs_root
def test_variables_of_the_loader_are_for_buildpacks(release, only_a_shell):
    unpack(release, only_a_shell / "cnb")
    build = in_place(only_a_shell)
    place = Place(only_a_shell)
    script = only_a_shell / "cnb/buildpacks/test_small/1.0.0/bin/detect"
    script.write_text('#!/bin/sh\necho "libraries: $LD_LIBRARY_PATH"\nexit 100\n')
    (only_a_shell / "cnb/libraries").mkdir()
    # Loading this instead of the C library that is carried would end the phase.
    (only_a_shell / "cnb/libraries/libc.so.6").write_bytes(b"no library")
    seen = {"LD_LIBRARY_PATH": "/cnb/libraries", "PYTHONHOME": "/nowhere"}
    analyzed = place.run("/cnb/lifecycle/analyzer", *build.arguments("analyzer"), **build.environment)
    assert analyzed.returncode == 0, analyzed.stdout
    done = place.run("/cnb/lifecycle/detector", *build.arguments("detector"), **build.environment, **seen)
    assert done.returncode == 20, done.stdout + done.stderr
    assert "libraries: /cnb/libraries\n" in done.stdout


@needs_root
def test_a_directory_stands_in_for_memory_that_programs_may_not_run_from(release, only_a_shell):
    unpack(release, only_a_shell / "cnb")
    in_place(only_a_shell)
    variables = {"CNB_PLATFORM_API": "0.12", "CNB_LIFECYCLE_TMPDIR": "/tmp"}
    done = Place(only_a_shell).run("/cnb/lifecycle/analyzer", "-version", **variables)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")
    assert list((only_a_shell / "tmp").iterdir()) == []
    refused = Place(only_a_shell, noexec=True).run("/cnb/lifecycle/analyzer", "-version", **variables)
    assert refused.returncode == 1
    assert refused.stderr.startswith("ERROR: lifecycle: no place to run ")
    assert "/tmp (Operation not permitted)" in refused.stderr
    assert "name it in CNB_LIFECYCLE_TMPDIR" in refused.stderr


@needs_root
def test_a_root_without_proc_is_told_of(release, only_a_shell):
    unpack(release, only_a_shell / "cnb")
    command = ["chroot", only_a_shell, "/cnb/lifecycle/analyzer", "-version"]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "mount /proc" in done.stderr


def test_a_damaged_executable_says_so(release, tmp_path):
    unpack(release, tmp_path)
    damaged = tmp_path / "damaged"
    damaged.write_bytes((tmp_path / "lifecycle" / "lifecycle").read_bytes()[:-1])
    damaged.chmod(0o755)
    done = subprocess.run([damaged, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "damaged or incomplete" in done.stderr
