"""Runs a bad input: what goes well, the damage, and the call that has to fail as the reference's does."""

from pathlib import Path

from parity.bad_inputs import BadInput
from parity.building import Place, calls, prepare, renew
from parity.runner import Call, Lifecycle, Result


def fail(bad: BadInput, root: Path, lifecycle: Lifecycle) -> tuple[Result, bool]:
    """Return how the call ended, and whether all that was to go well before did."""
    prepare(bad.case, Place.LAYOUT, root)
    well = True
    todo = calls(bad.case, bad.api, Place.LAYOUT, creator=False)
    if bad.rebuild:
        well = all(result.code == 0 for result in lifecycle.run(root, todo))
        renew(bad.case, Place.LAYOUT, root)
    names = [call.phase for call in todo]
    before = [] if bad.phase == "creator" else todo[: names.index(bad.phase)]
    if before:
        well = well and all(result.code == 0 for result in lifecycle.run(root, before))
    bad.damage(root)
    try:
        (result,) = lifecycle.run(root, [_call(bad)])
    finally:
        for path in root.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
    return result, well


def _call(bad: BadInput) -> Call:
    (ordinary,) = [
        call
        for creator in (False, True)
        for call in calls(bad.case, bad.api, Place.LAYOUT, creator=creator)
        if call.phase == bad.phase
    ]
    takes_image = bad.phase in {"analyzer", "exporter", "creator"}
    flags = ordinary.arguments[:-1] if takes_image else ordinary.arguments
    if bad.api == "0.11":
        flags = [each for each in flags if each not in {"-layout", "-layout-dir", "/layout"}]
    images = bad.images if bad.images is not None else ordinary.arguments[-1:] if takes_image else ()
    env = {key: value for key, value in {**ordinary.env, **bad.env}.items() if value is not None}
    unset = [key for key, value in bad.env.items() if value is None]
    return Call(bad.phase, (*flags, *bad.flags, *images), env, unset)
