"""Targets of modules and target data of base images."""

from __future__ import annotations

import pytest

from lifecycle.model.api import BUILDPACK_APIS, BuildpackApi
from lifecycle.model.descriptor import StackEntry
from lifecycle.model.target import Distro, Target, TargetData
from lifecycle.rules.targets import (
    buildpack_targets,
    complete_target,
    lacks_distro,
    mismatch,
    nearest,
    satisfies,
)

NOBLE = Distro(name="ubuntu", version="24.04")
BASE = TargetData(os="linux", arch="arm64", arch_variant="v8", distro=NOBLE)
APIS = [BuildpackApi(version) for version in BUILDPACK_APIS]
BIONIC = Target(os="linux", arch="amd64", distros=(Distro(name="ubuntu", version="18.04"),))


def distros(*pairs):
    return tuple(Distro(name=name, version=version) for name, version in pairs)


@pytest.mark.requirement("BP-TGT-002", "BP-TGT-003")
@pytest.mark.parametrize(
    ("target", "fits"),
    [
        (Target(), True),
        (Target(os="linux", arch="arm64", arch_variant="v8", distros=(NOBLE,)), True),
        (Target(os="windows"), False),
        (Target(os="linux", arch="amd64"), False),
        (Target(arch="arm64", arch_variant="v7"), False),
        (Target(distros=distros(("debian", "12"), ("ubuntu", "24.04"))), True),
        (Target(distros=distros(("ubuntu", "22.04"), ("debian", "24.04"))), False),
        (Target(distros=distros(("ubuntu", ""))), True),
        (Target(distros=distros(("", "24.04"))), True),
    ],
)
def test_a_target_matches_when_all_that_it_gives_is_the_same(target, fits):
    assert satisfies([target], BASE) is fits


def test_one_matching_target_is_enough_and_none_is_no_match():
    assert satisfies([Target(os="windows"), Target(os="linux")], BASE)
    assert not satisfies([], BASE)


def test_what_the_base_image_does_not_tell_matches_except_for_the_distribution():
    bare = TargetData(os="linux")
    assert satisfies([Target(os="linux", arch="amd64", arch_variant="v2")], bare)
    assert not satisfies([Target(distros=(NOBLE,))], bare)
    assert satisfies([Target(distros=(NOBLE,))], TargetData(os="linux", distro=Distro(name="ubuntu")))


@pytest.mark.requirement("BP-TGT-004")
@pytest.mark.parametrize(
    ("executables", "expected"),
    [
        ({"build", "detect"}, (Target(os="linux"),)),
        ({"build.bat"}, (Target(os="windows"),)),
        ({"build.exe", "build.bat"}, (Target(os="windows"),)),
        ({"build", "build.exe"}, (Target(os="linux"), Target(os="windows"))),
        ({"detect"}, ()),
    ],
)
def test_without_targets_the_executables_tell_the_operating_system(executables, expected):
    assert buildpack_targets((), (), executables, api=APIS[-1]) == expected
    declared = (Target(arch="riscv64"),)
    assert buildpack_targets(declared, (), executables, api=APIS[-1]) == declared


@pytest.mark.requirement("BP-STACK-004")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_the_bionic_stack_is_a_target(api):
    bionic, other = StackEntry(id="io.buildpacks.stacks.bionic"), StackEntry(id="other")
    assert buildpack_targets((), (bionic,), {"build"}, api=api) == (BIONIC,)
    among_others = buildpack_targets((), (other, bionic), {"build"}, api=api)
    assert among_others == ((BIONIC,) if api.version >= APIS[3].version else (Target(os="linux"),))
    assert buildpack_targets((), (other,), {"build"}, api=api) == (Target(os="linux"),)


@pytest.mark.requirement("BP-STACK-005")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_the_stack_star_matches_any_target(api):
    targets = buildpack_targets((), (StackEntry(id="*"),), {"build"}, api=api)
    assert satisfies(targets, TargetData(os="plan9", arch="mips"))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([Target()], NOBLE),
        ([Target(os="linux", distros=distros(("ubuntu", "26.04"), ("ubuntu", "24.04")))], NOBLE),
        (
            [BIONIC, Target(arch="arm64", distros=distros(("debian", "12"), ("debian", "13")))],
            Distro(name="debian", version="12"),
        ),
        ([BIONIC], NOBLE),
        ([], NOBLE),
    ],
)
def test_the_nearest_base_image_differs_in_the_distribution_alone(targets, expected):
    assert nearest(targets, BASE) == BASE.model_copy(update={"distro": expected})


def test_a_mismatch_tells_both_sides():
    targets = [Target(os="linux", arch="amd64"), BIONIC]
    assert mismatch(targets, BASE) == (
        "unable to satisfy target os/arch constraints; run image: "
        '{"os":"linux","arch":"arm64","arch-variant":"v8","distro":{"name":"ubuntu","version":"24.04"}}, '
        'buildpack: [{"os":"linux","arch":"amd64"},'
        '{"os":"linux","arch":"amd64","distros":[{"name":"ubuntu","version":"18.04"}]}]'
    )


@pytest.mark.parametrize(
    ("recorded", "lacks", "complete"),
    [
        (None, True, TargetData(os="linux", arch="arm64", distro=NOBLE)),
        (TargetData(), True, TargetData(os="linux", arch="arm64", distro=NOBLE)),
        (TargetData(os="linux", arch="s390x"), True, TargetData(os="linux", arch="s390x", distro=NOBLE)),
        (
            TargetData(os="linux", distro=Distro(name="wolfi")),
            False,
            TargetData(os="linux", arch="arm64", distro=Distro(name="wolfi")),
        ),
        (TargetData(distro=Distro()), False, TargetData(os="linux", arch="arm64", distro=Distro())),
        (TargetData(os="windows", arch="amd64"), False, TargetData(os="windows", arch="amd64")),
        (BASE, False, BASE),
    ],
)
def test_gaps_of_the_recorded_target_are_filled(recorded, lacks, complete):
    assert lacks_distro(recorded) is lacks
    assert complete_target(recorded, distro=NOBLE, arch="arm64") == complete


def test_without_a_distribution_there_is_nothing_to_fill_in():
    recorded = TargetData(os="linux", arch="amd64", distro=Distro(name="wolfi"))
    assert complete_target(recorded, distro=None, arch="arm64") == recorded
