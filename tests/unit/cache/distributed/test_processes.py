"""Proposers as processes of their own that are killed and stopped, on directories and registries that crash.

Agreement is checked by `parts.agreement`, which shares no code with the lifecycle.  CNB_SOAK=1 runs the long forms.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

from lifecycle.cache.distributed.consensus import Proposal, Put, State, action, after
from lifecycle.cache.distributed.file_log import FileLog
from lifecycle.cache.distributed.propose import propose
from lifecycle.oci.digest import digest_of
from parts.agreement import answers_of, check_agreement, names_in_directory, names_in_registry
from parts.crowd import ROOT, Crowd

SOAK = bool(os.environ.get("CNB_SOAK"))
PROPOSERS = 16 if SOAK else 8
KEYS = 60 if SOAK else 8


def crowd_of(place, answers, *, keys=KEYS):
    return Crowd(str(place), answers, size=PROPOSERS, keys=keys)


def test_processes_agree_in_a_directory_while_some_are_killed(tmp_path):
    with crowd_of(tmp_path / "log", tmp_path / "answers", keys=KEYS * 5) as crowd:
        crowd.disturb(["kill"], rounds=40 if SOAK else 8)
        crowd.finish()
    crowd.outcomes(names_in_directory(tmp_path / "log"))


def test_processes_agree_in_a_directory_while_some_are_stopped(tmp_path):
    with crowd_of(tmp_path / "log", tmp_path / "answers", keys=KEYS * 5) as crowd:
        crowd.disturb(["stop", "stop", "kill"], rounds=60 if SOAK else 10)
        crowd.finish()
    crowd.outcomes(names_in_directory(tmp_path / "log"))


def test_processes_agree_in_a_registry(own_registry, tmp_path):
    with crowd_of(f"{own_registry.url}/cache/steps", tmp_path / "answers") as crowd:
        crowd.finish()
    crowd.outcomes(names_in_registry(own_registry.url, "cache/steps"))


def test_processes_agree_while_they_and_their_registry_are_killed(own_registry, tmp_path):
    with crowd_of(f"{own_registry.url}/cache/steps", tmp_path / "answers") as crowd:
        crowd.disturb(["registry", "kill", "stop"], rounds=90 if SOAK else 9, registry=own_registry)
        crowd.finish()
    found = crowd.outcomes(names_in_registry(own_registry.url, "cache/steps"))
    own_registry.restart()
    with crowd_of(f"{own_registry.url}/cache/steps", tmp_path / "later") as later:
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
