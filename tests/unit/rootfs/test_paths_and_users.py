"""Paths and users inside the file system of an image."""

import os

import pytest

from lifecycle.errors import ExtendError
from lifecycle.rootfs.paths import resolved
from lifecycle.rootfs.users import Identity, find_group, find_identity, find_owner


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    for name in ("usr/lib", "etc"):
        (root / name).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "absolute").symlink_to("/usr/../etc")
    (root / "out").symlink_to("../../..")
    (root / "circle").symlink_to("circle")
    (root / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n# a comment:x:1:1::/:\ncnb:x:1000:1001:A User:/home/cnb:/bin/sh\n"
        "nohome:x:1002:1002:::\nbroken\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\ncnb:x:1001:\nextra:x:5:other,cnb\nmore:x:6:cnb\n")
    return root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/lib/x", "usr/lib/x"),
        ("/absolute/passwd", "etc/passwd"),
        ("/out/etc", "etc"),
        ("/missing/../etc/./x", "etc/x"),
        ("/../..", ""),
        ("/etc/passwd/below", "etc/passwd/below"),
    ],
)
def test_links_lead_no_further_than_the_root(root, path, expected):
    assert resolved(root, path) == root / expected


def test_a_pipe_in_the_place_of_passwd_is_told_and_not_waited_for(root):
    (root / "etc" / "passwd").unlink()
    os.mkfifo(root / "etc" / "passwd")
    with pytest.raises(ExtendError, match="is not a file"):
        find_identity(root, "cnb")


def test_a_circle_of_links_is_refused(root):
    with pytest.raises(ExtendError, match="symbolic links"):
        resolved(root, "/circle/x")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (), "/root")),
        ("root", Identity(0, 0, (), "/root")),
        ("cnb", Identity(1000, 1001, (5, 6), "/home/cnb")),
        ("1000", Identity(1000, 1001, (5, 6), "/home/cnb")),
        ("1000:", Identity(1000, 1001, (5, 6), "/home/cnb")),
        ("1000:7", Identity(1000, 7, (), "/home/cnb")),
        ("cnb:extra", Identity(1000, 5, (), "/home/cnb")),
        ("4000", Identity(4000, 0, (), "/")),
        ("4000:4001", Identity(4000, 4001, (), "/")),
        ("nohome", Identity(1002, 1002, (), "/")),
    ],
)
def test_a_user_is_found_by_name_or_number(root, user, expected):
    assert find_identity(root, user) == expected


def test_names_without_an_entry_are_refused(root):
    with pytest.raises(ExtendError, match="there is no user 'nobody' in the image"):
        find_identity(root, "nobody")
    with pytest.raises(ExtendError, match="there is no group 'nobody' in the image"):
        find_identity(root, "cnb:nobody")


def test_an_image_without_users_has_numbers(tmp_path):
    assert find_identity(tmp_path, "12:34") == Identity(12, 34)
    assert find_identity(tmp_path, "0") == Identity(0, 0)
    assert find_group(tmp_path, "9") == 9


@pytest.mark.parametrize(
    ("owner", "expected"),
    [("", (0, 0)), ("5", (5, 5)), ("5:6", (5, 6)), ("cnb", (1000, 1001)), ("cnb:more", (1000, 6))],
)
def test_owners_of_copies(root, owner, expected):
    assert find_owner(root, owner) == expected
