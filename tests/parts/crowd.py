"""Proposers as processes of their own that all go for the same keys, and who kills and stops them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from parts import proposer
from parts.agreement import answers_of, check_agreement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parts.registry import RegistryServer

ROOT = Path(proposer.__file__).parents[2]
_STUCK_AFTER = 300.0
"""Seconds in which no proposer of a crowd gets anywhere; however busy the machine, one of them does."""


class Crowd:
    """`size` proposers for `keys` keys at `place` (see `parts.proposer`), which write into `answers`."""

    def __init__(self, place: str, answers: Path, *, size: int, keys: int) -> None:
        self.place = place
        self.answers = answers
        self.size = size
        self.keys = keys
        self.running: list[subprocess.Popen[bytes]] = []
        answers.mkdir()

    def __enter__(self) -> Self:
        for _ in range(self.size):
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            process.kill()
            process.wait()

    def start(self) -> None:
        """Start one more, which has a name of its own."""
        name = f"w{len(self.running)}"
        command = [sys.executable, proposer.__file__, self.place, self.answers, name, "0", str(self.keys)]
        with self._log(len(self.running)).open("wb") as log:
            self.running.append(subprocess.Popen(command, cwd=ROOT, stderr=log))

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Those that have not ended."""
        return [process for process in self.running if process.poll() is None]

    def disturb(self, kinds: list[str], rounds: int, registry: RegistryServer | None = None) -> None:
        """Kill or stop proposers while they work, or restart the registry; a killed one is replaced by a new process."""
        while not any("outcome" in answer for answer in answers_of(self.answers)):
            self._check()
            time.sleep(0.02)
        stopped: list[subprocess.Popen[bytes]] = []
        for turn in range(rounds):
            alive = self.alive()
            kind = kinds[turn % len(kinds)]
            if kind == "registry" and registry is not None:
                registry.restart()
            elif not alive:
                break
            elif kind == "kill":
                random.choice(alive).kill()
                self.start()
            else:
                stopped.append(random.choice(alive))
                stopped[-1].send_signal(signal.SIGSTOP)
            time.sleep(random.uniform(0.02, 0.3))
            if len(stopped) > 2 or (stopped and random.random() < 0.5):
                stopped.pop(0).send_signal(signal.SIGCONT)
        for process in stopped:
            process.send_signal(signal.SIGCONT)

    def finish(self) -> None:
        """Wait until all have ended, for as long as any of them gets on."""
        written, since = -1, time.monotonic()
        while self.alive():
            self._check()
            size = sum(path.stat().st_size for path in self.answers.glob("*.jsonl"))
            if size != written:
                written, since = size, time.monotonic()
            assert time.monotonic() - since < _STUCK_AFTER, f"none of {len(self.alive())} proposers gets on"
            time.sleep(0.05)
        self._check()

    def outcomes(self, names: Iterable[str], *, votes: bool = True) -> dict[str, str]:
        """Return the outcome of each key; fail where proposers or `names` disagree, or a key has none."""
        found = check_agreement(list(names), answers_of(self.answers), votes=votes)
        assert len(found) == self.keys
        return found

    def _check(self) -> None:
        for number, process in enumerate(self.running):
            assert process.poll() in {None, 0, -signal.SIGKILL}, self._log(number).read_text()

    def _log(self, number: int) -> Path:
        return self.answers / f"w{number}.log"
