"""What two lifecycles left, compared."""

import re
from collections.abc import Sequence

from parity.building import Build
from parity.images import AppImage, differences

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TEMPORARY = re.compile(r"/tmp/[^\s'\"]*")


def image_differences(expected: AppImage | None, found: AppImage | None) -> list[str]:
    """Say how two images differ in what an image id tells; empty where the ids are equal."""
    if expected is None or found is None:
        return [] if expected is found else [f"expected {_presence(expected)} image, found {_presence(found)}"]
    if expected.config == found.config:
        return []
    return differences(expected.readable(), found.readable()) or [f"{expected.config!r} is not {found.config!r}"]


def builds_differ(expected: Sequence[Build], found: Sequence[Build]) -> list[str]:
    """Say how builds of one case differ in exit codes and images."""
    if len(expected) != len(found):
        return [f"{len(expected)} builds are not {len(found)}: {[each.failed for each in (*expected, *found)]}"]
    problems = []
    for number, (one, other) in enumerate(zip(expected, found, strict=True), 1):
        if one.codes != other.codes:
            problems.append(f"build {number}: {one.codes} are not {other.codes}\n{one.failed}\n{other.failed}")
        else:
            problems += [f"build {number}: {text}" for text in image_differences(one.app, other.app)]
    return problems


def log_lines(text: str) -> list[str]:
    """Return what a log says, without colours, digests and names of temporary files."""
    text = _TEMPORARY.sub("<temporary>", _DIGEST.sub("<digest>", _ANSI.sub("", text)))
    return [line.rstrip() for line in text.splitlines()]


def _presence(image: AppImage | None) -> str:
    return "no" if image is None else "an"
