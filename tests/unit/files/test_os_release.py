"""/etc/os-release tells the distribution."""

from __future__ import annotations

import pytest

from lifecycle.files.os_release import parse_distro, read_distro
from lifecycle.model.target import Distro


@pytest.mark.requirement("PLAT-FILE-009")
@pytest.mark.parametrize(
    ("text", "distro"),
    [
        ('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"\n', Distro(name="ubuntu", version="24.04")),
        ('ID = "alpine" \r\nVERSION_ID=3.20.1', None),
        ("ID= alpine\r\nVERSION_ID=3.20.1\r\n", Distro(name="alpine", version="3.20.1")),
        ("ID=arch\n", Distro(name="arch")),
        ('ID=wolfi\nHOME_URL="https://x?a=b"\nVERSION_ID=1=2\n', Distro(name="wolfi")),
        ("VERSION_ID=1\n", None),
        ("", None),
    ],
)
def test_id_and_version_id_are_read(text, distro):
    assert parse_distro(text) == distro


def test_a_file_is_read_and_a_missing_one_tells_nothing(tmp_path):
    path = tmp_path / "os-release"
    assert read_distro(path) is None
    path.write_bytes(b'ID=debian\nVERSION_ID="12"\nNAME=\xff\n')
    assert read_distro(path) == Distro(name="debian", version="12")
