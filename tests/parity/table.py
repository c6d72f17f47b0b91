"""Print the table input by Platform API: whether our image has the reference's config digest and diffIDs.

``python tests/parity/table.py [NAME…]`` compares with the reference in ``CNB_REFERENCE_DIR``, else with what is recorded.
A cell stands for layout and registry, five phases: ``=`` the same image, ``-`` no image in both, which end in the same
phase with the same exit code, ``≠`` different, ``~`` different as ADR 0010 says, ``·`` no such input, ``?`` nothing to
compare with.
"""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parity.building import Place, build
from parity.case import ALL_APIS, Case
from parity.cases import CASES
from parity.recorded import Outcome, expected, outcome
from parity.runner import OURS, Lifecycle, reference, remove, stop
from parity.test_images import DIFFERENT


def _built(case: Case, api: str, place: Place, lifecycle: Lifecycle) -> Outcome:
    root = Path(tempfile.mkdtemp(prefix="parity"))
    root.chmod(0o755)
    try:
        return outcome(case, build(case, api, place, root, lifecycle))
    finally:
        remove(root)


def _cell(case: Case, api: str, place: Place) -> str:
    if api not in (case.layout_apis if place is Place.LAYOUT else case.apis):
        return "·"
    if (case.slow and "PARITY_SLOW" not in os.environ) or (case.needs_root and os.getuid()):
        return "?"
    there = reference()
    theirs = _built(case, api, place, there) if there else expected(case, api, place)
    if theirs is None:
        return "?"
    if theirs == _built(case, api, place, OURS):
        return "=" if theirs.image_id else "-"
    return "~" if case.name in DIFFERENT else "≠"


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    """Print the table; return 1 if an id is different."""
    width = max(len(case.name) for case in CASES)
    _say(" " * width, *(f"{api:>5}" for api in ALL_APIS), "  (layout, registry)")
    total: Counter[str] = Counter()
    for case in CASES:
        if names and case.name not in names:
            continue
        cells = [_cell(case, api, Place.LAYOUT) + _cell(case, api, Place.REGISTRY) for api in ALL_APIS]
        total.update("".join(cells))
        _say(f"{case.name:{width}}", *(f"{cell:>5}" for cell in cells))
    _say(
        f"{total['=']} equal images, {total['-']} equal failures, {total['≠']} different, "
        f"{total['~']} different on purpose, {total['?']} not compared"
    )
    stop()
    return int(total["≠"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
