import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import CorruptImageError, InvalidInputError
from lifecycle.model.buildpackage import ModuleKind, PublishedInfo
from lifecycle.model.descriptor import OrderElement, OrderGroup, StackEntry
from lifecycle.model.target import Distro, Target
from lifecycle.rules.buildpackage import Module, check_package, package_labels, package_stacks, read_package

names = st.sampled_from(["a", "b", "*", "io.buildpacks.stacks.jammy"])
stacks = st.lists(names, max_size=3, unique=True).map(lambda ids: tuple(StackEntry(id=each) for each in ids))


def module(name="me/one", **fields):
    return Module(ModuleKind.BUILDPACK, PublishedInfo(id=name, version="1.0.0"), "0.10", **fields)


def ids(*modules):
    return {each.id for each in package_stacks(modules)}


def test_buildpacks_with_targets_are_for_any_stack():
    assert ids(module(targets=(Target(os="linux"),))) == {"*"}
    assert ids(module(), module(stacks=(StackEntry(id="jammy"),))) == {"jammy"}


def test_a_package_runs_where_all_of_it_does():
    one = module(stacks=(StackEntry(id="jammy", mixins=("git",)), StackEntry(id="noble")))
    other = module(stacks=(StackEntry(id="jammy", mixins=("curl",)),))
    assert package_stacks((one, other)) == (StackEntry(id="jammy", mixins=("curl", "git")),)
    assert package_stacks((other, module(stacks=(StackEntry(id="noble"),)))) == ()


@given(stacks, stacks, stacks)
def test_the_order_of_buildpacks_is_of_no_weight(one, other, third):
    modules = [module(stacks=each) for each in (one, other, third)]
    assert ids(*modules) == ids(*reversed(modules))


def test_buildpacks_without_a_common_stack_make_no_package():
    group = OrderGroup(group=(OrderElement(id="a", version="1.0.0"), OrderElement(id="b", version="1.0.0")))
    parts = [module(name, stacks=(StackEntry(id=name),)) for name in ("a", "b")]
    with pytest.raises(InvalidInputError, match="no stack in common"):
        check_package(module("all", order=(group,)), parts)


def test_a_buildpack_is_given_once():
    with pytest.raises(InvalidInputError, match="given twice"):
        check_package(module(), [module()])


def test_labels_read_back_as_they_were():
    target = Target(os="linux", arch="arm64", arch_variant="v8", distros=(Distro(name="debian", version="12"),))
    group = OrderGroup(group=(OrderElement(id="me/one", version="1.0.0", optional=True),))
    layers = [
        (module(targets=(target,)), "sha256:" + "1" * 64),
        (module("me/all", order=(group,)), "sha256:" + "2" * 64),
    ]
    labels = package_labels(layers[1][0], layers)
    contents = read_package(labels, [diff_id for _, diff_id in layers], where="x")
    assert contents.main.id == "me/all"
    assert {str(each): (each.targets, each.order, diff_id) for each, diff_id in contents.layers} == {
        str(each): (each.targets, each.order, diff_id) for each, diff_id in layers
    }


@pytest.mark.parametrize("text", ["", "[]", "null", '{"id": 1}', "{", '{"id":"x"}'])
def test_labels_that_can_not_be_understood_are_refused(text):
    labels = package_labels(module(), [(module(), "sha256:" + "1" * 64)])
    for key in labels:
        with pytest.raises(CorruptImageError):
            read_package({**labels, key: text}, ["sha256:" + "1" * 64], where="x")
