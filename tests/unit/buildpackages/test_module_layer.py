import io
import os
import tarfile

import pytest

from lifecycle.buildpackages.module_layer import modules_layer
from lifecycle.buildpackages.read import read_module
from lifecycle.errors import InvalidInputError

PLACE = "cnb/buildpacks/me_one/1.0.0"


def layer(*roots):
    return b"".join(modules_layer([(read_module(root), root) for root in roots]).chunks())


def members(*roots):
    with tarfile.open(fileobj=io.BytesIO(layer(*roots))) as archive:
        return {each.name.lstrip("/"): each for each in archive}


def test_a_buildpack_is_below_its_id_and_version_with_every_directory_above(buildpack):
    found = members(buildpack())
    assert [*found] == [
        "cnb",
        "cnb/buildpacks",
        "cnb/buildpacks/me_one",
        PLACE,
        f"{PLACE}/bin",
        f"{PLACE}/bin/build",
        f"{PLACE}/bin/detect",
        f"{PLACE}/buildpack.toml",
    ]
    assert {(each.uid, each.gid, each.mtime) for each in found.values()} == {(0, 0, 315532801)}


def test_the_layer_tells_nothing_of_the_checkout(buildpack):
    one = buildpack(under="first")
    other = buildpack(under="second place")
    (other / "bin" / "build").chmod(0o700)
    (other / "buildpack.toml").chmod(0o664)
    os.utime(other / "bin", (5, 5))
    for name in (".git", "__pycache__", ".mypy_cache"):
        (other / "bin" / name).mkdir()
        (other / "bin" / name / "file").touch()
    assert layer(one) == layer(other)


def test_links_inside_stay_and_links_that_lead_out_are_followed(buildpack, tmp_path):
    root = buildpack(shared="x")
    library = tmp_path / "library"
    (library / "part").mkdir(parents=True)
    (library / "part" / "code.py").write_text("code")
    (library / "again").symlink_to("part")
    (root / "lib").symlink_to("../library")
    (root / "inside").symlink_to("bin/build")
    (root / "python").symlink_to("/usr/bin/python3")
    found = members(root)
    assert found[f"{PLACE}/inside"].linkname == "bin/build"
    assert found[f"{PLACE}/python"].linkname == "/usr/bin/python3"
    assert found[f"{PLACE}/lib"].isdir()
    assert found[f"{PLACE}/lib/part/code.py"].isreg()
    assert found[f"{PLACE}/lib/again"].linkname == "part"


@pytest.mark.parametrize(("goal", "message"), [("../nowhere", "which is not there"), ("..", "which has it inside")])
def test_a_link_that_can_not_be_followed_is_refused(buildpack, goal, message):
    root = buildpack()
    (root / "link").symlink_to(goal)
    with pytest.raises(InvalidInputError, match=message):
        layer(root)


def test_followed_links_that_lead_to_each_other_end(buildpack, tmp_path):
    root = buildpack()
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).mkdir()
        (tmp_path / one / "link").symlink_to(f"../{other}")
    (root / "link").symlink_to("../a")
    with pytest.raises(InvalidInputError, match="has it inside"):
        layer(root)


def test_a_pipe_is_refused(buildpack):
    root = buildpack()
    os.mkfifo(root / "pipe")
    with pytest.raises(InvalidInputError, match="no file, directory or link"):
        layer(root)


def test_several_modules_share_the_directories_above(buildpack):
    names = [*members(buildpack("me/one"), buildpack("me/two"))]
    assert names.count("cnb/buildpacks") == 1
    assert "cnb/buildpacks/me_two/1.0.0/bin/build" in names


def test_packages_at_the_top_are_left_out(buildpack):
    root = buildpack(**{"me_one_1.0.0.cnb": "an earlier package"})
    (root / "bin" / "other.cnb").touch()
    (root / "dir.cnb").mkdir()
    found = {name.removeprefix(PLACE) for name in members(root)}
    assert {"/bin/other.cnb", "/dir.cnb"} <= found
    assert "/me_one_1.0.0.cnb" not in found
