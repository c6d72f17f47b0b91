"""Checks what proposers agreed on without any code of the lifecycle: only HTTP, directories and JSON."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def names_in_registry(url: str, repository: str) -> list[str]:
    """All tags of a repository; a registry that is starting again is asked once more."""
    for _ in range(50):
        try:
            with urllib.request.urlopen(f"{url}/v2/{repository}/tags/list", timeout=60) as answer:
                return json.load(answer)["tags"] or []
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} does not list tags")


def names_in_directory(path: Path) -> list[str]:
    """All names of a directory of tags."""
    return [each.name for each in path.iterdir() if not each.name.startswith(".")] if path.is_dir() else []


def answers_of(directory: Path) -> list[dict]:
    """What proposers wrote down when they had an outcome, one JSON object a line."""
    lines = [line for path in sorted(directory.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.endswith("}")]


def check_agreement(names: list[str], answers: list[dict], *, votes: bool = True) -> dict[str, str]:
    """Return the outcome of each key (in the tag's spelling); fail where two differ.

    With `answers`, fail also for one that nobody proposed, or voted for unless there are no `votes`.
    """
    decided = defaultdict(set)
    proposed = defaultdict(set)
    for name in names:
        kind, *fields = name.split(".")
        if kind == "d":
            decided[fields[0], int(fields[1], 36)].add(fields[2])
    for answer in answers:
        proposed[answer["key"]].add(answer["proposed"])
        if "outcome" in answer:
            decided[answer["key"], answer["generation"]].add(answer["outcome"])
    several = {key: values for key, values in decided.items() if len(values) > 1}
    assert not several, f"disagreement: {several}"
    for (key, generation), (value,) in decided.items():
        if answers:
            assert value in proposed[key], f"{value} was decided for {key} in {generation}, which nobody proposed"
            voted = [name for name in names if name.startswith(f"a.{key}.") and name.endswith(f".{value}")]
            assert voted or not votes, f"{value} was decided for {key} without a vote"
    return {key: value for (key, _), (value,) in decided.items()}
