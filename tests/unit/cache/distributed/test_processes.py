"""Proposers as processes of their own that are killed and stopped, on directories and registries that crash.

Agreement is checked by `parts.agreement`, which shares no code with the lifecycle.  CNB_SOAK=1 runs the long forms.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifecycle.cache.distributed.consensus import Proposal, Put, State, action, after
from lifecycle.cache.distributed.file_log import FileLog
from lifecycle.cache.distributed.propose import propose
from lifecycle.oci.digest import digest_of
from parts import proposer
from parts.agreement import answers_of, check_agreement, names_in_directory, names_in_registry

SOAK = bool(os.environ.get("CNB_SOAK"))
PROPOSERS = 16 if SOAK else 8
KEYS = 60 if SOAK else 8
ROOT = Path(proposer.__file__).parents[2]


class Crowd:
    """Proposers that all go for the same keys."""

    def __init__(self, place: str, answers: Path, *, keys: int) -> None:
        self.place = place
        self.answers = answers
        self.keys = keys
        self.started = 0
        self.running: list[subprocess.Popen] = []
        answers.mkdir()

    def __enter__(self):
        for _ in range(PROPOSERS):
            self.start()
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.kill()
            process.wait()

    def start(self) -> None:
        command = [sys.executable, proposer.__file__, self.place, self.answers, f"w{self.started}", "0", str(self.keys)]
        self.started += 1
        self.running.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE))

    def pick(self) -> subprocess.Popen | None:
        alive = [process for process in self.running if process.poll() is None]
        return random.choice(alive) if alive else None

    def working(self) -> bool:
        return any("outcome" in answer for answer in answers_of(self.answers))

    def finish(self, within: float = 240) -> None:
        until = time.monotonic() + within
        for process in self.running:
            _, error = process.communicate(timeout=max(1.0, until - time.monotonic()))
            assert process.returncode in {0, -signal.SIGKILL}, error.decode()

    def disturb(self, kinds: list[str], rounds: int, registry=None) -> None:
        """Kill or stop proposers while they work; a killed one is replaced by a new process."""
        while not self.working():
            time.sleep(0.02)
        stopped = []
        for turn in range(rounds):
            process = self.pick()
            kind = kinds[turn % len(kinds)]
            if kind == "registry":
                registry.restart()
            elif process is None:
                break
            elif kind == "kill":
                process.kill()
                self.start()
            else:
                process.send_signal(signal.SIGSTOP)
                stopped.append(process)
            time.sleep(random.uniform(0.02, 0.3))
            if len(stopped) > 2 or (stopped and random.random() < 0.5):
                stopped.pop(0).send_signal(signal.SIGCONT)
        for process in stopped:
            process.send_signal(signal.SIGCONT)


def outcomes(names, crowd):
    found = check_agreement(names, answers_of(crowd.answers))
    assert len(found) == crowd.keys
    return found


def test_processes_agree_in_a_directory_while_some_are_killed(tmp_path):
    with Crowd(str(tmp_path / "log"), tmp_path / "answers", keys=KEYS * 5) as crowd:
        crowd.disturb(["kill"], rounds=40 if SOAK else 8)
        crowd.finish()
    outcomes(names_in_directory(tmp_path / "log"), crowd)


def test_processes_agree_in_a_directory_while_some_are_stopped(tmp_path):
    with Crowd(str(tmp_path / "log"), tmp_path / "answers", keys=KEYS * 5) as crowd:
        crowd.disturb(["stop", "stop", "kill"], rounds=60 if SOAK else 10)
        crowd.finish()
    outcomes(names_in_directory(tmp_path / "log"), crowd)


def test_processes_agree_in_a_registry(own_registry, tmp_path):
    with Crowd(f"{own_registry.url}/cache/steps", tmp_path / "answers", keys=KEYS) as crowd:
        crowd.finish()
    outcomes(names_in_registry(own_registry.url, "cache/steps"), crowd)


def test_processes_agree_while_they_and_their_registry_are_killed(own_registry, tmp_path):
    with Crowd(f"{own_registry.url}/cache/steps", tmp_path / "answers", keys=KEYS) as crowd:
        crowd.disturb(["registry", "kill", "stop"], rounds=90 if SOAK else 9, registry=own_registry)
        crowd.finish(within=900 if SOAK else 240)
    found = outcomes(names_in_registry(own_registry.url, "cache/steps"), crowd)
    own_registry.restart()
    with Crowd(f"{own_registry.url}/cache/steps", tmp_path / "later", keys=KEYS) as later:
        later.finish()
    answers = answers_of(crowd.answers) + answers_of(later.answers)
    assert check_agreement(names_in_registry(own_registry.url, "cache/steps"), answers) == found


def test_a_vote_of_a_dead_process_is_carried_through_by_the_next(tmp_path):
    log = FileLog(tmp_path / "log")
    key, dead, own = map(digest_of, (b"key", b"of the dead", b"own"))
    state = State(Proposal(key, dead, "deaddeaddea"))
    while not isinstance(doing := action(state), Put) or not doing.name.startswith("d."):
        if isinstance(doing, Put):
            log.append(doing.name)
        state = after(state, log.names())
    assert propose(log, key, own).value == dead


def test_names_are_on_disk_before_they_are_acknowledged(tmp_path):
    """What a power cut takes is what was not synchronised: no acknowledged name is among it."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: apt-get install strace")
    code = (
        "import sys; from pathlib import Path; from lifecycle.cache.distributed.file_log import FileLog;"
        f"log = FileLog(Path({str(tmp_path / 'log')!r})); log.append('one'); print('acknowledged', flush=True)"
    )
    trace = tmp_path / "trace"
    calls = "trace=fsync,link,linkat,write"
    command = [strace, "-f", "-o", str(trace), "-e", calls, sys.executable, "-c", code]
    if subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace processes here")
    wanted = re.findall(r"(fsync|link|write)(?:at)?\(([^\n]*)", trace.read_text())
    order = [name for name, arguments in wanted if name != "write" or "acknowledged" in arguments]
    assert order == ["fsync", "link", "fsync", "write"]
