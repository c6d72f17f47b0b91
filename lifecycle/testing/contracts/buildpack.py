"""``contract``: the tests that any buildpack of any language can be put through, with one line.

Spec: buildpack.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.testing.contracts.build_tests import BuildTests
from lifecycle.testing.contracts.detect_tests import DetectTests
from lifecycle.testing.contracts.rebuild_tests import RebuildTests
from lifecycle.testing.contracts.subject import Subject
from lifecycle.testing.contracts.surroundings_tests import SurroundingsTests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BuildpackContract(DetectTests, BuildTests, RebuildTests, SurroundingsTests):
    """All tests of the contract; a subclass says by ``subject`` which buildpack it is about."""

    __test__ = False
    subject: Subject


def contract(
    buildpack: Path | str,
    app: Path | str | None = None,
    *,
    files: Mapping[str, str | bytes] | None = None,
    env: Mapping[str, str] | None = None,
    plan: Sequence[str | Mapping[str, Any]] | None = None,
    before: Sequence[Path | str] = (),
    after: Sequence[Path | str] = (),
    broken: Mapping[str, str | bytes] | None = None,
) -> type[BuildpackContract]:
    """Return a class of tests that put a buildpack through the contract, to be bound to a name ``Test...``.

    ``app`` is an app that the buildpack builds, empty unless given; ``files`` are written into its copy, ``env`` are
    variables of the user.  ``before`` and ``after`` are buildpacks beside it in its group; ``plan`` is what it has to
    meet (names, or tables with ``name`` and ``metadata``) where builds should go without detection.  ``broken`` are
    files with which the app still passes detection but can't be built.  Relative paths begin at the working directory.
    """
    subject = Subject(
        buildpack=Path(buildpack),
        app=None if app is None else Path(app),
        files=files or {},
        env=env or {},
        plan=plan,
        before=tuple(map(Path, before)),
        after=tuple(map(Path, after)),
        broken=broken,
    )
    return type("BuildpackContractOf", (BuildpackContract,), {"__test__": True, "subject": subject})
