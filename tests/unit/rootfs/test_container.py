"""Whether this is a container, and what of its file system is no image's."""

import os

import pytest

from lifecycle.errors import ExtendError
from lifecycle.rootfs.container import check_container, check_root, ignored_paths, is_ignored


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_engines_leave_a_mark(tmp_path, mark):
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    check_container({}, root=tmp_path)


def test_a_variable_a_control_group_or_a_stacked_root_tells_too(tmp_path):
    check_container({"container": "oci"}, root=tmp_path)
    check_container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, root=tmp_path)
    for name, text in {
        "proc/1/cgroup": "0::/kubepods/besteffort/pod1\n",
        "proc/self/mountinfo": "1 0 0:50 / / rw,relatime - overlay overlay rw,lowerdir=x\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        check_container({}, root=tmp_path)
        (tmp_path / name).unlink()


def test_anything_else_is_refused(tmp_path):
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "mountinfo").write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:50 / /x rw - overlay overlay rw\n"
    )
    with pytest.raises(ExtendError, match="does not look like a container; run it in a container of the image"):
        check_container({"container": ""}, root=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root is not refused")
def test_others_than_root_are_refused():
    with pytest.raises(ExtendError, match="let the extender start as root"):
        check_root()


def test_given_directories_mounts_and_what_containers_have_are_ignored(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    ignored = ignored_paths([tmp_path / "link"])
    for path in (
        b"/proc",
        b"/proc/self",
        b"/dev/null",
        b"/kaniko",
        os.fsencode(tmp_path / "link"),
        os.fsencode(tmp_path / "real" / "x"),
    ):
        assert is_ignored(path, ignored), path
    for path in (b"/", b"/procx", b"/home/of", b"/opt/other"):
        assert not is_ignored(path, ignored), path
