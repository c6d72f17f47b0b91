"""Whose processes phases are: root's that become the build's user, and any other user's that stay who they are.

Spec: platform.md "Usage" of each phase (uid, gid).  Reference: priv.
"""

import json
import os
import stat

import pytest

ARGUMENT = "reg.example/app"
RUN_IMAGE = "reg.example/run"
BUILD = (1234, 1235)
GIVEN = ("-uid", BUILD[0], "-gid", BUILD[1])
MODE = {"CNB_EXPERIMENTAL_MODE": "silent"}
OPENSHIFT = (54321, 0)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# What a buildpack can find out about who it is and what it could steal.
SPY = r"""
exec python3 - "$@" <<'END'
import json, os, sys
def readable(path):
    try:
        return open(path, "rb").read().decode(errors="replace")
    except OSError as error:
        return error.strerror
facts = {
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "environment": dict(os.environ),
    "descriptors": {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) < 3
                    or os.path.exists(f"/proc/self/fd/{n}")},
    "parents": [readable(f"/proc/{os.getppid()}/{name}") for name in ("environ", "maps")],
}
with open("facts", "a") as file:
    file.write(json.dumps(facts) + "\n")
END
"""


def owner_of(path):
    status = path.lstat()
    return status.st_uid, status.st_gid


@pytest.fixture
def build(place):
    """The directories of a build that root has made, which others may only read."""
    place.buildpack()
    place.run_image(RUN_IMAGE)
    for name in ("cache", "launch-cache"):
        (place.root / name).mkdir()
    place.write("cache/old/file", "")
    place.write("launcher", "#!/bin/sh\n")
    return place


def creator(place, *arguments, **more):
    launcher = ("-launcher", place.root / "launcher", "-cache-dir", place.root / "cache", "-run-image", RUN_IMAGE)
    return place.run_as_it_is("creator", "-layout", *launcher, *arguments, ARGUMENT, **(MODE | more))


def facts_of(place):
    return [json.loads(line) for line in (place.root / "app" / "facts").read_text().splitlines()]


def spied(place, *arguments, **more):
    """Run creator with a buildpack that tells what it sees, and return that of bin/detect and bin/build."""
    place.buildpack(detect=SPY, build=SPY)
    place.root.joinpath("app").chmod(0o777)
    done = creator(place, *arguments, **more)
    assert done.code == 0, done.output
    facts = facts_of(place)
    assert len(facts) == 2
    return facts


@needs_root
@pytest.mark.requirement("PLAT-ANA-018", "PLAT-ANA-004")
def test_the_analyzer_gives_its_directories_to_the_user_and_writes_as_that_user(build):
    open_images(build)
    done = build.run_as_it_is("analyzer", "-layout", *GIVEN, "-run-image", RUN_IMAGE, ARGUMENT, as_root=True, **MODE)
    assert done.code == 0, done.output
    assert {owner_of(path) for path in (build.layers, *build.layers.rglob("*"))} == {BUILD}
    assert owner_of(build.root / "cache") == (0, 0)


@needs_root
@pytest.mark.requirement("PLAT-RES-006", "PLAT-RES-013")
@pytest.mark.parametrize("api", ["0.7", "0.12", "0.15"])
def test_the_restorer_gives_layers_and_cache_to_the_user(build, api):
    build.write("layers/analyzed.toml", "")
    cache = ("-cache-dir", build.root / "cache")
    done = build.run_as_it_is("restorer", *GIVEN, *cache, as_root=True, api=api)
    assert done.code == 0, done.output
    for directory in (build.layers, build.root / "cache"):
        assert {owner_of(path) for path in (directory, *directory.rglob("*"))} == {BUILD}
    assert owner_of(build.root / "app") == (0, 0)


@needs_root
@pytest.mark.requirement("PLAT-EXP-007", "PLAT-EXP-025")
def test_the_exporter_gives_the_cache_to_the_user_but_not_the_layers(build):
    assert creator(build, *GIVEN, as_root=True, CNB_LAYOUT_DIR=str(open_images(build))).code == 0
    build.write("layers/root's", "")
    os.chown(build.root / "cache", 0, 0)
    arguments = ("-cache-dir", build.root / "cache", "-launcher", build.root / "launcher")
    done = build.run_as_it_is("exporter", "-layout", *GIVEN, *arguments, ARGUMENT, as_root=True, **MODE)
    assert done.code == 0, done.output
    assert owner_of(build.root / "cache") == BUILD
    assert owner_of(build.layers / "report.toml") == BUILD
    assert owner_of(build.layers / "root's") == (0, 0)


def open_images(build):
    images = build.root / "images"
    for path in (images, *images.rglob("*")):
        os.chown(path, *BUILD)
    return images


@needs_root
@pytest.mark.requirement("PLAT-CRE-002")
def test_the_creator_runs_buildpacks_as_the_user_for_good(build):
    open_images(build)
    for facts in spied(build, *GIVEN, as_root=True):
        assert facts["ids"] == [[1234] * 3, [1235] * 3, [1235]]
    assert owner_of(build.layers / "report.toml") == BUILD


@needs_root
def test_user_and_group_may_come_from_the_environment(build):
    open_images(build)
    facts = spied(build, as_root=True, CNB_USER_ID="1234", CNB_GROUP_ID="1235")
    assert facts[0]["ids"] == [[1234] * 3, [1235] * 3, [1235]]


@needs_root
def test_without_a_group_the_user_is_in_that_of_root(build):
    os.chown(build.root / "images", 0, 0)
    build.root.joinpath("images").chmod(0o775)
    for path in build.root.joinpath("images").rglob("*"):
        os.chown(path, 1234, 0)
    assert spied(build, "-uid", "1234", as_root=True)[1]["ids"] == [[1234] * 3, [0] * 3, [0]]


@needs_root
@pytest.mark.parametrize("arguments", [(), ("-uid", "0", "-gid", "0")])
def test_root_stays_root_where_no_user_is_named_and_directories_stay_whose_they_are(build, arguments):
    os.chown(build.layers, *BUILD)
    assert spied(build, *arguments, as_root=True)[0]["ids"][:2] == [[0] * 3, [0] * 3]
    assert owner_of(build.layers) == BUILD


def test_buildpacks_see_no_credentials_and_inherit_nothing(build):
    secrets = {
        "CNB_REGISTRY_AUTH": '{"reg.example": "Basic c2VjcmV0OnNlY3JldA=="}',
        "DOCKER_CONFIG": "/secret/config",
        "DOCKER_HOST": "unix:///secret.sock",
        "REGISTRY_AUTH_FILE": "/secret/file",
        "CNB_CACHE_IMAGE": "",
    }
    if os.geteuid() == 0:
        build.give(12345, 12345)
    for facts in spied(build, **secrets):
        assert not facts["environment"].keys() & secrets.keys()
        assert "c2VjcmV0" not in json.dumps(facts)
        assert facts["descriptors"].keys() <= {"0", "1", "2"}
        assert facts["descriptors"]["1"].startswith("pipe:")
        if os.geteuid() == 0:
            assert facts["parents"] == ["Permission denied"] * 2


@needs_root
def test_of_a_process_that_was_root_buildpacks_read_nothing_either(build):
    open_images(build)
    for facts in spied(build, *GIVEN, as_root=True, CNB_REGISTRY_AUTH='{"reg.example": "Basic c2VjcmV0OnNlY3JldA=="}'):
        assert facts["parents"] == ["Permission denied"] * 2


@needs_root
@pytest.mark.parametrize("name", ["detector", "builder"])
def test_phases_of_buildpacks_alone_hide_credentials_that_they_were_given(build, name):
    build.buildpack(detect=SPY, build=SPY)
    build.give(12345, 12345)
    secret = '{"reg.example": "Basic c2VjcmV0OnNlY3JldA=="}'
    done = build.run_as_it_is(name, CNB_REGISTRY_AUTH=secret)
    assert done.code == 0, done.output
    assert facts_of(build)[0]["parents"] == ["Permission denied"] * 2


@needs_root
def test_a_known_user_of_the_creator_is_at_home(build):
    open_images(build)
    os.chown(build.root / "images", 65534, 1)
    for path in (build.root / "images").rglob("*"):
        os.chown(path, 65534, 1)
    facts = spied(build, "-uid", "65534", "-gid", "1", as_root=True, HOME="/root")
    assert facts[0]["environment"]["HOME"] == "/nonexistent"


@needs_root
@pytest.mark.parametrize("home", ["/root", "", "/none"])
def test_an_unknown_user_of_the_creator_does_not_get_the_home_of_root(build, home):
    open_images(build)
    assert spied(build, *GIVEN, as_root=True, HOME=home)[0]["environment"]["HOME"] == "/"


@needs_root
def test_an_unknown_user_of_the_creator_keeps_a_home_that_is_writable(build):
    open_images(build)
    home = build.root / "home"
    home.mkdir()
    home.chmod(0o777)
    assert spied(build, *GIVEN, as_root=True, HOME=str(home))[1]["environment"]["HOME"] == str(home)


@needs_root
@pytest.mark.requirement("PLAT-ANA-018")
def test_any_user_in_the_group_of_root_can_build_where_that_group_may_write(build):
    """As OpenShift runs containers, whatever the build image says in CNB_USER_ID."""
    for path in (build.root, *build.root.rglob("*")):
        os.chown(path, 1000, 0)
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o070)
    image = {"CNB_USER_ID": "1000", "CNB_GROUP_ID": "1000"}
    done = creator(build, user=OPENSHIFT, **image)
    assert done.code == 0, done.output
    assert owner_of(build.layers / "report.toml") == OPENSHIFT
    steps = [
        ("analyzer", "-layout", "-run-image", RUN_IMAGE, ARGUMENT),
        ("detector",),
        ("restorer", "-cache-dir", build.root / "cache"),
        ("builder",),
        ("exporter", "-layout", "-launcher", build.root / "launcher", "-cache-dir", build.root / "cache", ARGUMENT),
    ]
    for step in steps:
        done = build.run_as_it_is(*step, user=OPENSHIFT, **(MODE | image))
        assert done.code == 0, done.output


@pytest.mark.parametrize(
    "arguments", [("analyzer", "-layout", ARGUMENT), ("restorer",), ("exporter", "-layout", ARGUMENT)]
)
def test_who_is_not_root_can_not_become_another_user_by_flag(build, arguments):
    name, *rest = arguments
    if os.geteuid() == 0:
        build.give(12345, 12345)
    me = os.geteuid() or 12345
    other = me + 1
    done = build.run_as_it_is(name, "-uid", str(other), "-gid", "5", *rest, **MODE)
    assert done.code == 1
    message = (
        f"ERROR: failed to exec as user {other}:5: operation not permitted: this process is user {me}, and only root may "
        f"become another; start the phase as root or as user {other}, or leave out -uid to stay who it is"
    )
    assert done.errors == [message]


def test_who_is_not_root_may_name_itself(build):
    me = os.geteuid() or 12345
    if os.geteuid() == 0:
        build.give(me, me)
    build.write("layers/analyzed.toml", "")
    if os.geteuid() == 0:
        build.give(me, me)
    for gid in (me, 0):
        assert build.run_as_it_is("restorer", "-uid", me, "-gid", gid, "-log-level", "debug").code == 0


@needs_root
@pytest.mark.parametrize(
    "arguments",
    [
        ("analyzer", "-layout", "-run-image", RUN_IMAGE, ARGUMENT),
        ("detector",),
        ("restorer",),
        ("builder",),
        ("exporter", "-layout", ARGUMENT),
        ("creator", "-layout", "-run-image", RUN_IMAGE, ARGUMENT),
    ],
)
def test_a_directory_that_may_not_be_written_to_is_told_before_any_work(build, arguments):
    build.layers.chmod(0o750 | stat.S_IROTH | stat.S_IXOTH)
    os.chown(build.layers, 1000, 1001)
    for images in (build.root / "images", *(build.root / "images").iterdir()):
        images.chmod(0o777)
    done = build.run_as_it_is(*arguments, **MODE)
    assert done.code == 1
    message = (
        f"ERROR: user 12345:12345 can't write to {build.layers} (of 1000:1001, mode 0755); give it to 12345:12345, or "
        "let group 12345 write to it (chgrp -R 12345, chmod -R g+rwX)"
    )
    assert done.errors == [message]


@needs_root
def test_all_directories_that_may_not_be_written_to_are_told_at_once(build):
    done = creator(build, "-report", build.root / "reports" / "new" / "report.toml")
    assert done.code == 1
    assert len(done.errors) == 1
    for path in (build.layers, build.root, build.root / "images" / "reg.example"):
        assert f"{path} (of 0:0, mode 0755)" in done.errors[0]


@needs_root
@pytest.mark.parametrize("trap", ["-cache-dir", "-layers"])
def test_a_directory_behind_a_link_of_another_user_is_refused(build, trap):
    target = build.root / "precious"
    target.mkdir()
    link = build.root / "link"
    link.symlink_to(target)
    os.lchown(link, 1234, 1234)
    done = build.run_as_it_is("restorer", *GIVEN, trap, link, as_root=True)
    assert done.code == 1
    assert len(done.errors) == 1
    assert f"{link}: leads through a link that belongs to user 1234" in done.errors[0]
    assert owner_of(target) == (0, 0)


@needs_root
def test_links_in_the_layers_lead_nobody_astray(build):
    build.write("precious", "")
    build.layers.joinpath("out").symlink_to(build.root / "precious")
    os.link(build.root / "precious", build.layers / "other-name")
    build.write("layers/analyzed.toml", "")
    done = build.run_as_it_is("restorer", *GIVEN, as_root=True)
    assert done.code == 0, done.output
    assert owner_of(build.root / "precious") == (0, 0)
    assert owner_of(build.layers / "out") == BUILD


@pytest.mark.parametrize(
    ("detect", "build_script", "arguments", "code"),
    [
        ("exit 1", "exit 0", (), 21),
        ("exit 0", "exit 1", (), 51),
        ("exit 0", "exit 0", ("-launcher", "/none"), 62),
        ("exit 0", "exit 0", ("-process-type", "none"), 62),
    ],
)
def test_a_failing_phase_leaves_no_temporary_file(build, detect, build_script, arguments, code):
    build.buildpack(detect=detect, build=build_script)
    temporary = build.root / "tmp"
    temporary.mkdir()
    if os.geteuid() == 0:
        build.give(12345, 12345)
    done = creator(build, *arguments, TMPDIR=str(temporary))
    assert done.code == code, done.output
    assert list(temporary.iterdir()) == []
    assert [path.name for path in build.layers.iterdir() if path.name.startswith(".tmp")] == []
