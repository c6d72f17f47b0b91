"""How not to agree: each writes what it made with its clock's time, and the oldest counts.  A control for clocks.

python oldest_first.py DIRECTORY ANSWERS NAME FIRST COUNT, as proposer.py.
"""

import json
import sys
import time
from pathlib import Path


def main(place: str, answers: str, name: str, first: str, count: str) -> None:
    directory = Path(place)
    directory.mkdir(parents=True, exist_ok=True)
    with Path(answers, f"{name}.jsonl").open("a") as file:
        for index in range(int(first), int(first) + int(count)):
            (directory / f"{index}.{time.time_ns():020}.{name}").touch()
            found = sorted(each.name for each in directory.glob(f"{index}.*"))
            outcome = found[0].rpartition(".")[2]
            row = {"key": str(index), "proposed": name, "generation": 0, "outcome": outcome}
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
