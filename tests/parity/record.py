"""Write ``expected.toml`` from what the reference in ``CNB_REFERENCE_DIR`` does.

``python tests/parity/record.py`` records all cases; names of cases record only those anew.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parity.building import Place, build
from parity.cases import CASES
from parity.recorded import EXPECTED, Outcome, expected, outcome, text
from parity.runner import reference, remove, stop

PLACES = tuple(Place[each] for each in os.environ.get("PARITY_PLACES", "LAYOUT REGISTRY").split())


def main(names: list[str]) -> None:
    """Record cases."""
    lifecycle = reference()
    if lifecycle is None:
        sys.exit("CNB_REFERENCE_DIR has to name the folder with the reference's executables")
    outcomes: dict[tuple[str, str, Place], Outcome] = {}
    for case in CASES:
        for place in Place:
            for api in case.apis if place is Place.REGISTRY else case.layout_apis:
                key = (case.name, api, place)
                wanted = case.name in names if names else not case.slow or "PARITY_SLOW" in os.environ
                wanted = wanted and place in PLACES
                old = expected(case, api, place)
                if not wanted or (case.needs_root and os.getuid()):
                    if old:
                        outcomes[key] = old
                    continue
                root = Path(tempfile.mkdtemp(prefix="parity"))
                root.chmod(0o755)
                try:
                    builds = build(case, api, place, root, lifecycle)
                    outcomes[key] = outcome(case, builds)
                finally:
                    remove(root)
        sys.stdout.write(f"{case.name}\n")
        sys.stdout.flush()
    EXPECTED.write_text(text(CASES, outcomes), encoding="utf-8")
    stop()


if __name__ == "__main__":
    main(sys.argv[1:])
