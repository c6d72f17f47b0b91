"""Builders that share a cache end with one image, whatever their buildpacks do differently each time.

CNB_SOAK=1 (`make soak`) takes more builders and kills; figures are printed where -rP shows them.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter

import pytest

from parts.agreement import check_agreement, names_in_directory, names_in_registry
from parts.builders import DIFFERING, Builders, check_chain, check_registry, write_buildpack

SOAK = bool(os.environ.get("CNB_SOAK"))
RACING, KILLED = (16, 40) if SOAK else (4, 4)


@pytest.fixture(params=["directory", "registry"])
def builders(request, tmp_path):
    if request.param == "directory":
        return Builders(tmp_path / "builders", str(tmp_path / "shared"))
    registry = request.getfixturevalue("own_registry")
    return Builders(tmp_path / "builders", f"{registry.host}/shared/steps")


def need_paths(*built):
    if not all(each.paths_are_of_image for each in built):
        pytest.skip("this host lets builders see no common paths, so their steps have different keys")


def test_without_a_shared_cache_two_builders_make_two_images(tmp_path):
    builders = Builders(tmp_path / "builders")
    assert builders.build("one").digest != builders.build("other").digest


def test_two_builders_make_one_image_and_tell_what_differed(builders):
    one, other = builders.build("one"), builders.build("other")
    need_paths(one, other)
    assert one.digest == other.digest
    assert {name: row["outcome"] for name, row in one.settled.items()} == dict.fromkeys(DIFFERING, "won")
    assert {name: row["outcome"] for name, row in other.settled.items()} == dict.fromkeys(DIFFERING, "adopted")
    assert {name: row["differing"] for name, row in other.settled.items()} == DIFFERING
    for each in (one, other):
        check_chain(each)


def test_a_builder_that_builds_again_ends_with_the_same_image(builders):
    one, other = builders.build("one"), builders.build("other")
    need_paths(one, other)
    again = builders.build("other")
    assert again.digest == one.digest


def test_another_app_is_another_step(builders):
    one = builders.build("one")
    (builders.root / "app" / "main.txt").write_text("changed\n")
    other = builders.build("other")
    assert {row["outcome"] for row in other.settled.values()} == {"won"}
    assert one.digest != other.digest


def test_a_deterministic_buildpack_is_known_and_nothing_is_replaced(tmp_path, builders):
    builders.buildpacks = (
        write_buildpack(
            tmp_path,
            "plain",
            'cd "$CNB_LAYERS_DIR"; mkdir -p made; echo made > made/file\nprintf "[types]\\nlaunch = true\\n" > made.toml',
        ),
    )
    one, other = builders.build("one"), builders.build("other")
    need_paths(one, other)
    assert one.settled["test/plain"]["outcome"] == "won"
    assert other.settled["test/plain"]["outcome"] == "known"
    assert one.digest == other.digest


def test_layers_for_the_next_build_alone_stay_with_their_builder(builders):
    builders.build("one")
    other = builders.build("other")
    need_paths(other)
    assert "test/runtime:downloads" in other.log


def test_a_step_that_changes_the_app_differently_ends_the_sharing_and_no_image_is_mixed(tmp_path, builders):
    builders.buildpacks = (
        write_buildpack(tmp_path, "writes", "head -c 20 /dev/urandom | od -An -tx1 > generated.txt"),
        *builders.buildpacks,
    )
    one, other = builders.build("one"), builders.build("other")
    need_paths(one, other)
    assert other.settled["test/writes"]["outcome"] == "unpublished"
    assert "app directory" in other.settled["test/writes"]["reason"]
    assert {row["outcome"] for row in other.settled.values()} == {"unpublished"}
    check_chain(other)


def test_ignore_error_false_lets_such_a_build_fail(tmp_path, builders):
    builders.buildpacks = (
        write_buildpack(tmp_path, "writes", "head -c 20 /dev/urandom | od -An -tx1 > generated.txt"),
    )
    need_paths(builders.build("one"))
    builders.repository += ",ignore-error=false"
    process = builders.start("other")
    assert process.wait(timeout=900) != 0
    assert "app directory" in builders.log("other")


def test_a_broken_record_gets_a_next_generation_and_old_images_stay(tmp_path):
    builders = Builders(tmp_path / "builders", str(tmp_path / "shared"))
    one = builders.build("one")
    need_paths(one)
    blobs = tmp_path / "shared" / "blobs" / "sha256"
    for path in blobs.iterdir():
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    second, third = builders.build("second"), builders.build("third")
    assert second.settled["test/runtime"]["outcome"] == "won"
    assert second.settled["test/runtime"]["generation"] == 1
    assert third.settled["test/runtime"]["record"] == second.settled["test/runtime"]["record"]
    assert third.digest == second.digest != one.digest


def test_a_cache_out_of_reach_costs_nothing_but_the_sharing(tmp_path):
    builders = Builders(tmp_path / "builders", "127.0.0.1:1/shared/steps")
    built = builders.build("one")
    assert {row["outcome"] for row in built.settled.values()} == {"unpublished"}


def test_builders_that_race_end_with_one_image(builders):
    processes = {f"b{number}": builders.start(f"b{number}") for number in range(RACING)}
    assert {process.wait(timeout=900) for process in processes.values()} == {0}
    built = [builders.built(name) for name in processes]
    need_paths(*built)
    assert len({each.digest for each in built}) == 1
    for each in built:
        check_chain(each)
    outcomes = [row["outcome"] for each in built for row in each.settled.values()]
    assert outcomes.count("won") == 2
    assert set(outcomes) == {"won", "adopted"}


def test_builders_and_a_registry_that_are_killed_leave_one_image(own_registry, tmp_path):
    builders = Builders(tmp_path / "builders", f"{own_registry.host}/shared/steps")
    need_paths(Builders(tmp_path / "probe").build("probe"))
    running = {f"b{number}": builders.start(f"b{number}") for number in range(RACING)}
    killed = restarted = 0
    for _ in range(KILLED):
        time.sleep(random.uniform(0.1, 1.5 if SOAK else 0.6) if killed else 0.1)
        alive = [name for name, process in running.items() if process.poll() is None]
        if not alive:
            break
        if killed >= 2 * restarted:
            own_registry.restart()
            restarted += 1
        name = random.choice(alive)
        running[name].kill()
        running[name].wait()
        shutil.rmtree(builders.root / name, ignore_errors=True)
        running[name] = builders.start(name)
        killed += 1
    assert killed
    codes = {name: process.wait(timeout=1800) for name, process in running.items()}
    assert set(codes.values()) == {0}, [builders.log(name) for name, code in codes.items() if code]
    built = [builders.built(name) for name in running]
    assert not [each.settled for each in built if "unpublished" in str(each.settled)]
    assert len({each.digest for each in built}) == 1
    for each in built:
        check_chain(each)
    names = names_in_registry(own_registry.url, "shared/steps")
    assert len(check_agreement(names, [])) == 3
    blobs = check_registry(own_registry.url, "shared/steps", names)
    assert blobs
    outcomes = Counter(row["outcome"] for each in built for row in each.settled.values())
    told = f"killed: {killed} builders, the registry {restarted} times; {dict(outcomes)}, {blobs} blobs hashed again"
    sys.stdout.write(f"{told}\n")


def test_a_killed_builder_leaves_nothing_that_stops_the_next(tmp_path):
    builders = Builders(tmp_path / "builders", str(tmp_path / "shared"))
    for delay in (0.3, 0.5, 0.7, 0.9):
        process = builders.start("one")
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    one, other = builders.build("one"), builders.build("other")
    need_paths(one, other)
    assert one.digest == other.digest
    assert names_in_directory(tmp_path / "shared" / "tags")


CALLS = {"directory": "link,linkat,rename,renameat,renameat2,fsync", "registry": "sendto"}
POINTS = {
    "directory": range(1, 60) if SOAK else range(2, 40, 9),
    "registry": range(1, 90) if SOAK else range(5, 60, 13),
}


@pytest.mark.parametrize("place", ["directory", "registry"])
def test_builders_killed_before_any_write_or_request_leave_the_next_ones_whole(request, tmp_path, place):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: apt-get install strace")
    if place == "directory":
        builders = Builders(tmp_path / "builders", str(tmp_path / "shared"))
    else:
        registry = request.getfixturevalue("own_registry")
        builders = Builders(tmp_path / "builders", f"{registry.host}/shared/steps")
    need_paths(Builders(tmp_path / "probe").build("probe"))
    killed = 0
    for point in POINTS[place]:
        inject = f"inject={CALLS[place]}:signal=SIGKILL:when={point}"
        watched = (strace, "-o", "/dev/null", "-e", f"trace={CALLS[place]}", "-e", inject)
        code = builders.start("victim", under=watched).wait(timeout=900)
        if "ptrace" in builders.log("victim").lower():
            pytest.skip("strace may not trace processes here")
        killed += code != 0
        shutil.rmtree(builders.root / "victim" / "state", ignore_errors=True)
    assert killed
    one, other = builders.build("one"), builders.build("other")
    assert one.digest == other.digest
    check_chain(one)
    assert {row["outcome"] for row in other.settled.values()} <= {"adopted", "known"}
    if place == "registry":
        names = names_in_registry(registry.url, "shared/steps")
        assert check_registry(registry.url, "shared/steps", names)
    else:
        names = names_in_directory(tmp_path / "shared" / "tags")
    check_agreement(names, [])


KEEPS = r"""
cd "$CNB_LAYERS_DIR"
if [ -e big.toml ] && [ ! -e big ]; then echo "big is reused"; else
    mkdir -p big; head -c 5000 /dev/urandom > big/random
fi
if [ -e both ]; then echo "both is here"; else mkdir -p both; head -c 500 /dev/urandom > both/random; fi
[ -e tool ] && echo "tool is here"
mkdir -p tool; [ -e tool/random ] || head -c 500 /dev/urandom > tool/random
printf '[types]\nlaunch = true\n[metadata]\nversion = "1"\n' > big.toml
printf '[types]\nlaunch = true\ncache = true\n' > both.toml
printf '[types]\nbuild = true\n' > tool.toml
"""


@pytest.fixture
def keeping(tmp_path, builders):
    builders.buildpacks = (write_buildpack(tmp_path, "keeps", KEEPS),)
    return builders


def test_a_builder_with_an_empty_disk_gets_the_layers_of_the_same_step_back(keeping):
    one, other = keeping.build("one", "--verbose"), keeping.build("other", "--verbose")
    need_paths(one, other)
    assert "is here" not in one.log
    assert all(text in other.log for text in ("big is reused", "both is here"))
    assert "tool is here" not in other.log
    assert one.digest == other.digest
    assert other.settled["test/keeps"]["differing"] == ["tool/random"]


def test_a_builder_with_an_empty_disk_begins_another_commit_with_the_newest_layers(keeping):
    keeping.build("one")
    (keeping.root / "app" / "main.txt").write_text("changed\n")
    other = keeping.build("other", "--verbose")
    need_paths(other)
    assert "both is here" in other.log
    assert "big is reused" in other.log
    assert "tool is here" not in other.log
    assert other.settled["test/keeps"]["outcome"] == "won"


def test_a_builder_with_layers_of_its_own_keeps_those_for_the_next_build_alone(tmp_path, builders):
    script = 'cd "$CNB_LAYERS_DIR"; [ -e own/file ] && echo "own is here"\nmkdir -p own; echo own > own/file\n'
    builders.buildpacks = (
        write_buildpack(tmp_path, "caches", script + 'printf "[types]\\ncache = true\\n" > own.toml\n'),
    )
    builders.build("one")
    (builders.root / "app" / "main.txt").write_text("changed\n")
    assert "own is here" in builders.build("one", "--verbose").log


HOMES = r"""
[ -z "$(ls -A "$HOME")" ] && echo "home is empty"
touch "$HOME/used"
cd "$CNB_LAYERS_DIR"; mkdir -p made; head -c 500 /dev/urandom > made/random
printf '[types]\nlaunch = true\n' > made.toml
"""


def test_users_with_other_homes_share_steps_and_no_home_is_looked_into(tmp_path):
    builders = Builders(tmp_path / "builders", str(tmp_path / "shared"))
    builders.buildpacks = (write_buildpack(tmp_path, "homes", HOMES),)
    built = []
    for name in ("one", "other"):
        home = tmp_path / f"home-of-{name}"
        home.mkdir()
        (home / ".npmrc").write_text("registry=https://npm.example\n")
        builders.environment = {"HOME": str(home)}
        built.append(builders.build(name, "--verbose"))
        need_paths(built[-1])
        assert "home is empty" in built[-1].log
        assert not (home / "used").exists()
    assert [each.settled["test/homes"]["outcome"] for each in built] == ["won", "adopted"]
