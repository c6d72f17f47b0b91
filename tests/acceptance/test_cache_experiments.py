"""Experiments on shared caches that need more than two builders: clocks, partitions, collections of the registry,
corruption, the past.  Each ends with `parts.cache_checker`, which shares no code with the lifecycle.

CNB_SOAK=1 (`make soak`) runs the long forms; figures are printed where -rP shows them.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parts import oldest_first, partitioned, proposer
from parts.agreement import answers_of, check_agreement, names_in_directory, names_in_registry
from parts.builders import Builders, check_chain, write_buildpack
from parts.cache_checker import check
from parts.registry import docker_registry

SOAK = bool(os.environ.get("CNB_SOAK"))
soak = pytest.mark.skipif(not SOAK, reason="a longer form: set CNB_SOAK=1")
ROOT = Path(proposer.__file__).parents[2]
REPOSITORY = "shared/steps"
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def say(*facts):
    sys.stdout.write(f"{' '.join(map(str, facts))}\n")


def need_paths(*built):
    if not all(each.paths_are_of_image for each in built):
        pytest.skip("this host lets builders see no common paths, so their steps have different keys")


@pytest.fixture
def shared(own_registry, tmp_path):
    return Builders(tmp_path / "builders", f"{own_registry.host}/{REPOSITORY}")


def checked(registry, builders, *names):
    found = check(f"{registry.url}/{REPOSITORY}", [builders.root / name / "report.json" for name in names])
    say("checked:", found)
    assert found.images == len(names)
    return found


def end(processes):
    for process in processes:
        process.kill()
        process.wait()


def race(builders, names, environments=({},)):
    """Start builders at once, each in the next of the environments; return what they made."""
    processes = {}
    for number, name in enumerate(names):
        builders.environment = environments[number % len(environments)]
        processes[name] = builders.start(name)
    try:
        for name, process in processes.items():
            assert process.wait(timeout=900) == 0, builders.log(name)
    finally:
        end(processes.values())
    return [builders.built(name) for name in processes]


class TestClocks:
    """E9: clocks that are wrong by an hour or ten years, and that jump."""

    OFFSETS = ("-1h", "+1h", "-10y", "+10y", "+0 x3", "-1h x0.5")

    @pytest.fixture
    def clocks(self):
        if FAKETIME is None:
            pytest.skip("libfaketime is not installed: apt-get install faketime")
        return [{"LD_PRELOAD": str(FAKETIME), "FAKETIME": offset} for offset in self.OFFSETS]

    @staticmethod
    def crowd(script, place, answers, clocks, keys):
        answers.mkdir()
        running = [
            subprocess.Popen(
                [sys.executable, script.__file__, place, answers, f"w{number}", "0", str(keys)],
                cwd=ROOT,
                env={**os.environ, **clock},
            )
            for number, clock in enumerate(clocks)
        ]
        try:
            assert {process.wait(timeout=900) for process in running} == {0}
        finally:
            end(running)
        return answers_of(answers)

    def test_proposers_agree_whatever_their_clocks_say_and_those_who_trust_clocks_do_not(self, tmp_path, clocks):
        keys = 200 if SOAK else 25
        answers = self.crowd(proposer, str(tmp_path / "log"), tmp_path / "answers", clocks, keys)
        assert len(check_agreement(names_in_directory(tmp_path / "log"), answers)) == keys
        answers = self.crowd(oldest_first, str(tmp_path / "oldest"), tmp_path / "others", clocks, keys)
        with pytest.raises(AssertionError, match="disagreement"):
            check_agreement([], answers)
        outcomes = {}
        for answer in answers:
            outcomes.setdefault(answer["key"], set()).add(answer["outcome"])
        say("oldest first:", sum(len(each) > 1 for each in outcomes.values()), "of", keys, "keys disagree")

    def test_builders_end_with_one_image_whatever_their_clocks_say(self, own_registry, shared, clocks):
        names = [f"b{number}" for number in range(12 if SOAK else 3)]
        built = race(shared, names, clocks if SOAK else [clocks[2], clocks[3], clocks[4]])
        need_paths(*built)
        assert len({each.digest for each in built}) == 1
        checked(own_registry, shared, *names)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has networks of its own")
@pytest.mark.parametrize(
    ("target", "direction"),
    [
        ("DROP", "--sport"),
        ("REJECT", "--dport"),
        pytest.param("DROP", "--dport", marks=soak),
        pytest.param("REJECT", "--sport", marks=soak),
    ],
)
def test_proposers_agree_on_a_network_that_is_cut_in_one_direction_again_and_again(tmp_path, target, direction):
    """E10."""
    for program in ("unshare", "iptables", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install iptables iproute2 util-linux")
    docker_registry()
    keys, cuts = (40, 30) if SOAK else (4, 3)
    command = [
        "unshare", "-n", sys.executable, partitioned.__file__, str(tmp_path), target, direction, str(keys), str(cuts),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    if "unshare failed" in done.stderr or "Permission denied" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(f"this host gives no network namespace: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["cuts"] == cuts
    assert len(check_agreement(found["names"], answers_of(tmp_path / "answers"))) == keys
    say("E10:", target, direction, {name: found[name] for name in ("cuts", "seconds")})


def test_a_registry_that_collects_its_garbage_beside_builds_costs_time_and_no_right_bytes(own_registry, shared):
    """E12: `garbage-collect -m` with Debian's descriptors in memory, which then lie about what is there."""
    need_paths(Builders(shared.root / "probe").build("probe"))
    rounds, made = (12, []) if SOAK else (2, [])
    for turn in range(rounds):
        (shared.root / "app" / "main.txt").write_text(f"commit {turn // 2}\n")
        names = [f"r{turn}-{number}" for number in range(2)]
        processes = {name: shared.start(name) for name in names}
        while any(process.poll() is None for process in processes.values()):
            time.sleep(random.uniform(0, 0.3))
            command = [docker_registry(), "garbage-collect", "-m", str(own_registry.directory / "config.yml")]
            subprocess.run(command, capture_output=True, timeout=900, check=False)
        assert {process.wait() for process in processes.values()} == {0}, [shared.log(name) for name in names]
        made += [shared.built(name) for name in names]
    own_registry.restart()
    last = shared.build("last")
    check_chain(last)
    for each in made:
        check_chain(each)
    names = names_in_registry(own_registry.url, REPOSITORY)
    check_agreement(names, [])
    rows = [row for each in made for row in each.settled.values()]
    say(
        "E12:",
        {name: sum(row["outcome"] == name for row in rows) for name in ("won", "adopted", "known", "unpublished")},
    )


@pytest.mark.parametrize("damage", ["swap", *(pytest.param(each, marks=soak) for each in ("flip", "cut", "empty"))])
def test_layers_that_are_damaged_in_the_registry_are_never_taken_over(own_registry, shared, damage):
    """E13."""
    one = shared.build("one")
    need_paths(one)
    layers = [path for path in _blobs(own_registry) if path.read_bytes()[:2] == b"\x1f\x8b"]
    assert len(layers) >= 2
    contents = [path.read_bytes() for path in layers]
    for index, path in enumerate(layers):
        data = contents[index]
        other = {
            "flip": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
            "cut": data[: len(data) // 2],
            "swap": contents[index - 1],
            "empty": b"",
        }[damage]
        path.write_bytes(other)
    own_registry.restart()
    second, third = shared.build("second"), shared.build("third")
    for each in (one, second, third):
        check_chain(each)
    assert second.digest == third.digest
    assert one.digest != second.digest
    found = checked(own_registry, shared, "second", "third")
    assert found.broken


def _blobs(registry):
    return sorted((registry.storage / "docker/registry/v2/blobs").glob("*/*/*/data"))


def test_the_past_comes_back_as_it_was(own_registry, shared):
    """E14: images of many commits by several builders; each commit that is built again has its old image."""
    commits, builders, images = (20, 4, 60) if SOAK else (2, 2, 4)
    digests = {}
    chosen = [number % commits for number in range(images)]
    random.shuffle(chosen)
    made = 0
    while chosen:
        turn, chosen = chosen[:builders], chosen[builders:]
        commit = turn[0]
        (shared.root / "app" / "main.txt").write_text(f"commit {commit}\n")
        for each in race(shared, [f"b{number}" for number in range(len(turn))]):
            need_paths(each)
            assert digests.setdefault(commit, each.digest) == each.digest
            check_chain(each)
            made += 1
    for commit, digest in random.sample(sorted(digests.items()), min(len(digests), 10)):
        (shared.root / "app" / "main.txt").write_text(f"commit {commit}\n")
        again = shared.build("again")
        assert again.digest == digest
    checked(own_registry, shared, "again")
    say("E14:", made, "images of", len(digests), "commits, each commit one digest")


def test_a_hostile_layer_in_a_record_leaves_nothing_outside_and_is_closed(own_registry, shared, tmp_path):
    """E13: the registry's blob is another tar, with its own digests right everywhere: `..`, links out, devices."""
    import gzip
    import hashlib
    import io
    import tarfile

    shared.buildpacks = (
        write_buildpack(
            tmp_path, "made", 'cd "$CNB_LAYERS_DIR"; mkdir made; head -c 9 /dev/urandom > made/r\n'
            'printf "[types]\\nlaunch = true\\n" > made.toml'
        ),
    )  # fmt: skip
    directory = tmp_path / "directory"
    shared.repository = str(directory)
    one = shared.build("one")
    need_paths(one)
    (row,) = one.settled.values()
    blobs = directory / "blobs" / "sha256"

    def store(data):
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return f"sha256:{name}"

    for kind in ("dots", "link", "device"):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as out:
            entry = tarfile.TarInfo("layers/test_made/made/../../../../escaped" if kind == "dots" else "layers/x")
            entry.name = {"dots": entry.name, "link": "layers/test_made/made/l", "device": "layers/test_made/made/d"}[
                kind
            ]
            if kind == "link":
                entry.type, entry.linkname = tarfile.LNKTYPE, "/etc/passwd"
            elif kind == "device":
                entry.type, entry.devmajor, entry.devminor = tarfile.CHRTYPE, 1, 3
            out.addfile(entry, io.BytesIO())
        manifest = json.loads((blobs / row["record"].removeprefix("sha256:")).read_bytes())
        config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
        packed = gzip.compress(tar.getvalue())
        layer = config["layers"][0]
        layer |= {
            "diffID": f"sha256:{hashlib.sha256(tar.getvalue()).hexdigest()}",
            "uncompressedSize": len(tar.getvalue()),
            "blob": store(packed),
            "size": len(packed),
        }
        text = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
        manifest["layers"][0] |= {"digest": layer["blob"], "size": len(packed)}
        manifest["config"] |= {"digest": store(text), "size": len(text)}
        evil = store(json.dumps(manifest, separators=(",", ":")).encode())
        generation = 1 + max(
            (
                int(n.split(".")[2], 36)
                for n in (each.name for each in (directory / "tags").iterdir())
                if n.startswith("x.")
            ),
            default=-1,
        )
        decided = [
            n
            for n in (each.name for each in (directory / "tags").iterdir())
            if n.startswith("d.") and n.split(".")[1] == _short(row["key"])
        ]
        for name in decided:
            if int(name.split(".")[2], 36) == generation:
                (directory / "tags" / name).unlink()
        (directory / "tags" / f"d.{_short(row['key'])}.{generation:x}.{_short(evil)}").write_text("")
        victim = shared.build(f"victim-{kind}")
        assert victim.settled["test/made"]["outcome"] == "won", victim.log
        assert victim.settled["test/made"]["generation"] == generation + 1
        assert not list(tmp_path.rglob("escaped"))
        assert not Path("/escaped").exists()


def _short(digest):
    import base64

    return base64.urlsafe_b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode().rstrip("=")


def test_a_stopped_builder_that_wakes_up_takes_over_what_was_decided_meanwhile(own_registry, shared):
    """E8, short: a builder that was stopped in the middle of a step, while another one published."""
    process = shared.start("sleeper")
    time.sleep(0.9)
    process.send_signal(signal.SIGSTOP)
    other = shared.build("other")
    need_paths(other)
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=900) == 0
    assert shared.built("sleeper").digest == other.digest
    checked(own_registry, shared, "sleeper", "other")
