"""Builders that race over one registry: the figures of E5 and E6 in spec/cache-experiments.md.

python tests/bench/bench_shared_cache.py [BUILDERS...]
"""

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.agreement import check_agreement, names_in_registry
from parts.builders import DIFFERING, Builders, check_chain, check_registry
from parts.registry import RegistryServer

_REQUEST = re.compile(r'"(\w+) /v2/shared/steps/(tags/list|manifests/[pardh]\.|manifests/|blobs/)\S* HTTP')
NAMES = {"tags/list": "lists", "manifests/p.": "p", "manifests/a.": "a", "manifests/d.": "d", "manifests/r.": "r"}


def main(counts: list[int]) -> None:
    """Print one row for each number of builders."""
    sys.stdout.write(
        "| Builders | Images | won | adopted | known | wall, s | lists | p | a | d | r | blobs checked |\n"
    )
    for count in counts:
        with tempfile.TemporaryDirectory() as root, RegistryServer(Path(root) / "registry") as registry:
            builders = Builders(Path(root) / "builders", f"{registry.host}/shared/steps")
            start = time.monotonic()
            running = {f"b{number}": builders.start(f"b{number}") for number in range(count)}
            codes = [process.wait() for process in running.values()]
            seconds = time.monotonic() - start
            assert not any(codes), [builders.log(name) for name in running]
            asked = Counter(NAMES[match[2]] for match in _REQUEST.finditer(registry.log) if match[2] in NAMES)
            built = [builders.built(name) for name in running]
            for each in built:
                check_chain(each)
                for name, row in each.settled.items():
                    assert row["outcome"] != "adopted" or row["differing"] == DIFFERING[name]
            outcomes = Counter(row["outcome"] for each in built for row in each.settled.values())
            names = names_in_registry(registry.url, "shared/steps")
            check_agreement(names, [])
            figures = [
                count, len({each.digest for each in built}), outcomes["won"], outcomes["adopted"], outcomes["known"],
                f"{seconds:.1f}", *(asked[name] for name in NAMES.values()),
                check_registry(registry.url, "shared/steps", names),
            ]  # fmt: skip
            sys.stdout.write(f"| {' | '.join(map(str, figures))} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [1, 2, 4, 8, 16])
