"""An app image that is put on another run image has the reference's id, which is recorded in rebased.toml."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from parity.building import Place, build
from parity.cases import CASES
from parity.cases_platform import CREATED
from parity.comparison import image_differences
from parity.images import RUN_LABELS, RunImage, base_config
from parity.runner import OURS, Call, reference
from parity.test_files_and_logs import files

RECORD = Path(__file__).with_name("rebased.toml")
NEWER = RunImage(
    fields={"created": CREATED, "history": [{"created": CREATED, "created_by": "new <a>"}]},
    config=base_config(Env=["PATH=/new", "NEW=1"], User="2000", Labels={**RUN_LABELS, "new": "<&>"}),
    layers=(("new-os",), ("usr-bin",), ("more",)),
)


def labelled(**labels: str) -> RunImage:
    return replace(NEWER, config=base_config(Labels={**RUN_LABELS, **labels}))


@dataclass(frozen=True)
class Rebase:
    """A build of ``case``, and then a call of the rebaser when the run image's name stands for ``run_image``."""

    name: str
    run_image: RunImage = NEWER
    case: str = "plain"
    flags: Sequence[str] = ()
    apis: Sequence[str] = ("0.12",)
    base: RunImage | None = None
    env: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


REBASES = (
    Rebase("newer", apis=("0.7", "0.12", "0.15")),
    Rebase("history", case="base-history", apis=("0.11", "0.15")),
    Rebase("fields", case="base-fields"),
    Rebase("without-labels", RunImage(config=base_config(Labels={}))),
    Rebase("sboms-and-slices", case="like-paketo", apis=("0.15",)),
    Rebase("named", flags=("-run-image", "localhost:5000/run"), apis=("0.7", "0.15")),
    Rebase("time", env={"SOURCE_DATE_EPOCH": "1600000000"}),
    Rebase("docker", replace(NEWER, docker=True)),
    Rebase("index", replace(NEWER, before=(RunImage(fields={"architecture": "arm64"}, layers=(("arm64",),)),))),
    Rebase("other-stack", labelled(**{"io.buildpacks.stack.id": "other"}), apis=("0.7", "0.12")),
    Rebase("other-distro", labelled(**{"io.buildpacks.base.distro.version": "13"})),
    Rebase("other-distro-forced", labelled(**{"io.buildpacks.base.distro.version": "13"}), flags=("-force",)),
    Rebase("other-arch", replace(NEWER, fields={"architecture": "arm64"}), apis=("0.7", "0.12")),
    Rebase("not-rebasable", base=RunImage(config=base_config(Labels={**RUN_LABELS, "io.buildpacks.rebasable": "false"}))),
    Rebase("not-rebasable-forced", base=RunImage(config=base_config(Labels={**RUN_LABELS, "io.buildpacks.rebasable": "false"})), flags=("-force",)),
)  # fmt: skip
INPUTS = [(rebase, api) for rebase in REBASES for api in rebase.apis]


def rebased(rebase, api, root, lifecycle):
    """Return how the rebaser ended, and the image that it left."""
    case = next(case for case in CASES if case.name == rebase.case)
    case = replace(case, change=None, run_image=rebase.base or case.run_image)
    (built,) = build(case, api, Place.REGISTRY, root, OURS)
    assert built.failed is None
    rebase.run_image.put_registry(root / "registry", "run")
    (root / "layers" / "report.toml").unlink()
    arguments = ("-report", "/layers/report.toml", *case.ids, *rebase.flags, "localhost:5000/app")
    call = Call("rebaser", arguments, {"CNB_PLATFORM_API": api, **rebase.env})
    (result,) = lifecycle.run(root, [call], registry=True)
    return result, Place.REGISTRY.app(root)


@pytest.mark.parametrize(("rebase", "api"), INPUTS, ids=str)
def test_a_rebased_image_has_the_reference_s_id(rebase, api, new_root, network):
    recorded = tomllib.loads(RECORD.read_text(encoding="utf-8"))[rebase.name][api]
    result, image = rebased(rebase, api, new_root(), OURS)
    if reference() is not None:
        expected, theirs = rebased(rebase, api, new_root(), reference())
        assert (result.code, files(result)) == (expected.code, files(expected)), (result.out, expected.out)
        assert image_differences(theirs, image) == []
    assert (result.code, image.image_id) == (recorded["code"], f"sha256:{recorded['id']}"), result.out
