"""``lifecycle cache gc`` and ``doctor`` as a person uses them, beside builds that go on.

CNB_SOAK=1 (`make soak`) runs the long forms.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from parts.agreement import check_agreement, names_in_directory, names_in_registry
from parts.builders import SOURCE, Builders, check_chain
from parts.forks import Command, forks
from parts.registry import docker_registry

SOAK = bool(os.environ.get("CNB_SOAK"))
AT_ONCE = ("--keep-within", "0", "--grace", "0", "--keep-starts", "0")
NOTHING = '{"keepPolicies": []}'


@pytest.fixture(params=["directory", "registry"])
def builders(request, tmp_path):
    if request.param == "directory":
        return Builders(tmp_path / "builders", str(tmp_path / "shared"))
    registry = request.getfixturevalue("registry")
    return Builders(tmp_path / "builders", f"{registry.host}/gc/{tmp_path.name.lower()}")


def command(builders, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": str(builders.root / "home")}
    whole = ["cache", "gc", builders.repository, "--json", *arguments]
    return Command(whole, environment, cwd=str(builders.root))


def start(builders, *arguments):
    of = command(builders, *arguments)
    return subprocess.Popen(
        [sys.executable, "-m", "lifecycle", *of.arguments],
        env={**of.environment, "PYTHONPATH": SOURCE},
        cwd=of.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gc(builders, *arguments):
    done = forks().run(command(builders, *arguments))
    assert done.returncode == 0, done.stdout + done.stderr
    (value,) = json.loads(done.stdout)["caches"]
    return value


def policy_of_nothing(builders):
    path = builders.root / "nothing.json"
    path.write_text(NOTHING)
    return ("--policy", str(path))


def commit(builders, text, branch="main"):
    git = builders.root / "app" / ".git"
    (git / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    (git / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    (git / "refs" / "heads" / branch).write_text(f"{len(text):040x}\n")
    (builders.root / "app" / "main.txt").write_text(text)


def fates(value):
    return sorted((row["buildpack"], row["fate"]) for row in value["records"])


def test_commits_of_kept_images_build_the_same_again_and_others_are_made_anew(builders):
    built = {}
    for text in ("one", "two!"):
        commit(builders, text)
        built[text] = builders.build(text)
        # A registry's clock shows seconds, and the second image has to be the newer one.
        time.sleep(1.1)
    if not built["one"].paths_are_of_image:
        pytest.skip("this host lets builders see no common paths, so their steps have different keys")
    policy = builders.root / "policy.toml"
    policy.write_text('[[keepPolicies]]\nreferences = { branch = "/^main$/" }\nimagesPerReference = { last = 1 }\n')
    planned = gc(builders, *AT_ONCE, "--policy", str(policy), "--dry-run")
    value = gc(builders, *AT_ONCE, "--policy", str(policy))
    assert fates(value) == fates(planned)
    assert [fate for _, fate in fates(value)].count("deleted") == 3
    assert {row["fate"] for row in value["records"] if "branch main" in " ".join(row["reasons"])} == {"kept"}
    again = builders.build("two again")
    assert again.digest == built["two!"].digest
    assert {row["outcome"] for row in again.settled.values()} == {"adopted"}
    commit(builders, "one")
    anew = builders.build("one again")
    assert {row["outcome"] for row in anew.settled.values()} == {"won"}
    assert anew.settled["test/runtime"]["generation"] == 1
    check_chain(anew)


def test_an_image_on_the_keep_list_keeps_its_records(tmp_path, builders):
    commit(builders, "one", branch="feature")
    one = builders.build("one")
    listing = tmp_path / "running"
    time.sleep(1)
    image_id = json.loads(one.blob(one.digest))["config"]["digest"]
    listing.write_text(f"# what runs\nregistry.example/app@{image_id}  # production\n")
    arguments = (*AT_ONCE, *policy_of_nothing(builders))
    value = gc(builders, *arguments, "--keep-list", str(listing))
    assert {row["fate"] for row in value["records"]} == {"kept"}
    assert {row["fate"] for row in gc(builders, *arguments)["records"]} == {"deleted"}


def test_builds_and_collectors_that_race_leave_every_image_whole(builders):
    arguments = (*AT_ONCE, *policy_of_nothing(builders))
    names = [f"b{number}" for number in range(6 if SOAK else 3)]
    running = {name: builders.start(name) for name in names}
    killed = 0
    while any(process.poll() is None for process in running.values()):
        collector = start(builders, *arguments)
        if random.random() < 0.5:
            time.sleep(random.uniform(0.3, 0.9))
            collector.send_signal(signal.SIGKILL)
            killed += 1
        collector.communicate(timeout=900)
    assert {process.wait() for process in running.values()} == {0}, [builders.log(name) for name in names]
    built = [builders.built(name) for name in names]
    if not built[0].paths_are_of_image:
        pytest.skip("this host lets builders see no common paths, so their steps have different keys")
    for each in built:
        check_chain(each)
        assert {row["outcome"] for row in each.settled.values()} <= {"won", "adopted"}
    # Builds that began together saw the same generations open.
    assert len({each.digest for each in built}) == 1
    place = builders.repository
    if place.startswith("/"):
        check_agreement(names_in_directory(builders.root.parent / "shared" / "tags"), [])
    else:
        host, _, name = place.partition("/")
        check_agreement(names_in_registry(f"http://{host}", name), [])


def test_bad_arguments_are_said_before_anything_is_asked(tmp_path):
    builders = Builders(tmp_path / "builders", "127.0.0.1:1/shared/steps")
    for arguments, words in (
        (("--grace", "soon"), "'soon' is not an age"),
        (("--policy", str(tmp_path / "none")), "can't be read"),
        (("--keep-list", str(tmp_path / "none")), "can't be read"),
    ):
        process = start(builders, *arguments)
        _, error = process.communicate(timeout=900)
        assert process.returncode in {1, 3}
        assert words in error
        assert "Traceback" not in error


@pytest.mark.skipif(not SOAK, reason="takes minutes: set CNB_SOAK=1")
def test_the_registrys_garbage_collection_beside_builds_costs_time_and_nothing_else(own_registry, tmp_path):
    """Debian's registry keeps what it knows of blobs in memory: it claims to have what was taken from its disk."""
    builders = Builders(tmp_path / "builders", f"{own_registry.host}/shared/steps")
    arguments = (*AT_ONCE, *policy_of_nothing(builders))
    command = [docker_registry(), "garbage-collect", "-m", own_registry.directory / "config.yml"]
    whole = 0
    for turn in range(12):
        commit(builders, f"{turn % 4}")
        running = [builders.start(f"b{number}") for number in range(3)]
        while any(process.poll() is None for process in running):
            start(builders, *arguments).communicate(timeout=900)
            subprocess.run(command, capture_output=True, check=False)
        for number, process in enumerate(running):
            assert process.wait() == 0, builders.log(f"b{number}")
            built = builders.built(f"b{number}")
            check_chain(built)
            whole += 1
            shutil.rmtree(builders.root / f"b{number}")
    assert whole == 36
    own_registry.restart()
    names = names_in_registry(own_registry.url, "shared/steps")
    check_agreement(names, [])
