"""``lifecycle build`` where the kernel forbids namespaces, as in many containers."""

import ctypes
import fcntl
import os
import platform
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "fixtures" / "apps" / "plain"
ROOT_NAMES = [Path("/", name) for name in ("layers", "workspace", "platform")]
UNSHARE = {"x86_64": 272, "aarch64": 97}
BUILD = """#!/bin/sh
mkdir -p "$1/dep/env"
echo found > "$1/dep/file"
printf %s "$1/dep" > "$1/dep/env/DEP.override"
printf '[types]\\nlaunch = true\\n' > "$1/dep.toml"
cat > "$1/launch.toml" <<'END'
[[processes]]
type = "show"
command = ["sh", "-c", "cat $DEP/file; echo $DEP"]
default = true
END
"""


def forbid_unshare():
    """Let unshare(2) fail in this process and its children, as a container's seccomp profile does."""
    number = UNSHARE[platform.machine()]
    load, jump, give = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0), (jump, 0, 1, number), (give, 0, 0, 0x00050001), (give, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in program))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, mode_filter = 38, 22, 2
    for arguments in ((no_new_privileges, 1, 0, 0, 0), (seccomp, mode_filter, filters, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


@pytest.fixture
def lifecycle(tmp_path):
    if platform.machine() not in UNSHARE:
        pytest.skip(f"this test does not know the number of unshare(2) on {platform.machine()}")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "lifecycle", *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True,
            check=True, timeout=300, preexec_fn=forbid_unshare,
        )  # fmt: skip

    before = {name for name in ROOT_NAMES if os.path.lexists(name)}
    yield run
    for name in set(ROOT_NAMES) - before:
        name.unlink(missing_ok=True)


@pytest.fixture
def buildpack(tmp_path):
    """Writes its path into a layer."""
    root = tmp_path / "bp"
    (root / "bin").mkdir(parents=True)
    (root / "buildpack.toml").write_text('api = "0.10"\n[buildpack]\nid = "test/path"\nversion = "1"\n')
    for name, text in (("detect", "#!/bin/sh\n"), ("build", BUILD)):
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    return root


def check_two_builds(lifecycle, buildpack, image, *, names_of_image):
    command = ("build", APP, "-b", buildpack, "-t", "app", "-o", image, "--verbose")
    first, second = lifecycle(*command), lifecycle(*command)
    assert first.stdout == second.stdout
    assert "every layer was reused" in second.stderr
    for done in (first, second):
        assert "this host forbids mount namespaces" in done.stderr
        assert ("warning:" in done.stderr) is not names_of_image
        assert ("env/DEP.override contains the path of this build" in done.stderr) is not names_of_image
    assert not names_of_image or not any(map(os.path.lexists, ROOT_NAMES))
    found, path = lifecycle("run").stdout.splitlines()
    assert not names_of_image or not any(map(os.path.lexists, ROOT_NAMES))
    assert found == "found"
    assert (path == "/layers/test_path/dep") is names_of_image


@contextmanager
def names_taken():
    """Let no build have links of the image's names, as if another one had them."""
    root = os.open("/", os.O_RDONLY)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        yield
    finally:
        os.close(root)


def test_a_build_falls_back_to_names_that_stay_the_same(lifecycle, buildpack, tmp_path):
    can_link = os.access("/", os.W_OK) and not any(map(os.path.lexists, ROOT_NAMES))
    check_two_builds(lifecycle, buildpack, tmp_path / "one", names_of_image=can_link)
    with names_taken():
        check_two_builds(lifecycle, buildpack, tmp_path / "two", names_of_image=False)


def test_a_buildpack_is_not_blamed_for_names_that_the_host_causes(lifecycle, buildpack):
    with names_taken():
        done = lifecycle("verify", "--", APP, "-b", buildpack)
    assert "this host forbids mount namespaces" in done.stderr
    assert done.stdout.startswith("reproducible: both builds made sha256:")
