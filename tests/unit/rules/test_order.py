"""Orders become plain groups."""

from __future__ import annotations

import pytest

from lifecycle.errors import DetectionError
from lifecycle.model.descriptor import OrderGroup, SystemTables
from lifecycle.rules.order import Composite, resolved_groups, with_system


def group(text):
    """``a b? c@2`` is a group of three, the second optional, the third of version 2."""
    return OrderGroup.model_validate({"group": [element(word) for word in text.split()]})


def element(word):
    name, _, version = word.removesuffix("?").partition("@")
    return {"id": name, "version": version or "1", "optional": word.endswith("?")}


def order(*texts):
    return tuple(group(text) for text in texts)


def resolve(start, *, composites=None, extensions=(), absent=()):
    found = {name: Composite(order(*texts)) for name, texts in (composites or {}).items()}

    def look_up(entry):
        return None if entry.element.id in absent else found.get(str(entry), entry.element.id)

    groups = resolved_groups(order(*start), order(*extensions), look_up=look_up)
    return [" ".join(("+" if entry.extension else "") + entry.element.id for entry, _ in each) for each in groups]


@pytest.mark.requirement("BP-ORDER-001")
def test_a_composite_is_replaced_by_each_of_its_groups():
    assert resolve(["e o f"], composites={"o@1": ["a b", "c d"]}) == ["e a b f", "e c d f"]


def test_composites_in_composites_are_replaced_too():
    composites = {"o@1": ["p x", "c"], "p@1": ["a", "b"]}
    assert resolve(["o z"], composites=composites) == ["a x z", "b x z", "c z"]


@pytest.mark.requirement("BP-ORDER-002")
def test_the_first_composite_varies_slowest():
    composites = {"o@1": ["a b", "c d"], "p@1": ["e f", "g h"]}
    assert resolve(["o p"], composites=composites) == ["a b e f", "a b g h", "c d e f", "c d g h"]


@pytest.mark.requirement("BP-ORDER-003")
def test_an_optional_composite_is_left_out_after_its_groups():
    assert resolve(["e o? f"], composites={"o@1": ["a", "b"]}) == ["e a f", "e b f", "e f"]


@pytest.mark.requirement("BP-ORDER-004")
def test_the_order_of_extensions_comes_first_and_may_be_left_out():
    assert resolve(["a", "b"], extensions=["x y", "z"]) == ["+x +y a", "+z a", "a", "+x +y b", "+z b", "b"]


@pytest.mark.requirement("BP-ORDER-005")
def test_an_extension_is_never_expanded_although_a_composite_has_its_id():
    def look_up(entry):
        return "extension" if entry.extension else Composite(order("a"))

    with pytest.raises(DetectionError):
        list(resolved_groups(order("a"), order("x"), look_up=look_up))
    groups = resolved_groups(order("a"), order("a"), look_up=lambda entry: str(entry.extension))
    assert [[found for _, found in each] for each in groups] == [["True", "False"], ["False"]]


def test_of_one_id_the_first_entry_stays_whatever_its_version():
    assert resolve(["a o a@2"], composites={"o@1": ["b a@3", "c b"]}) == ["a b", "a c b"]


def test_what_is_not_to_be_used_makes_room_for_a_later_entry_of_its_id():
    def look_up(entry):
        return None if entry.element.version == "1" else entry.element.version

    (only,) = resolved_groups(order("a a@2 b"), (), look_up=look_up)
    assert [found for _, found in only] == ["2"]


@pytest.mark.requirement("BP-ORDER-006")
@pytest.mark.parametrize(
    ("composites", "path"),
    [({"o@1": ["o"]}, "o@1 -> o@1"), ({"o@1": ["a p"], "p@1": ["q o"]}, "o@1 -> p@1 -> o@1")],
)
def test_a_composite_that_contains_itself_is_an_error_that_names_the_circle(composites, path):
    with pytest.raises(DetectionError, match=path):
        resolve(["o"], composites=composites)


def test_a_composite_may_be_named_twice_or_contain_another_version_of_itself():
    assert resolve(["o o"], composites={"o@1": ["a"]}) == ["a"]
    assert resolve(["o"], composites={"o@1": ["o@2 a"], "o@2": ["b"]}) == ["b a"]


def test_groups_are_made_only_as_far_as_they_are_asked_for():
    composites = {f"o{level}@1": [f"o{level + 1} a", f"o{level + 1} b"] for level in range(500)}

    def look_up(entry):
        texts = composites.get(str(entry))
        return Composite(order(*texts)) if texts else entry.element.id

    first = next(resolved_groups(order("o0"), (), look_up=look_up))
    assert [found for _, found in first] == ["o500", "a"]


SYSTEM = {"pre": {"buildpacks": [element("x"), element("a@9")]}, "post": {"buildpacks": [element("z?")]}}


@pytest.mark.requirement("PLAT-DET-027")
def test_system_buildpacks_stand_around_a_group_that_has_no_other_version_of_them():
    system = SystemTables.model_validate(SYSTEM)
    extended, before, after = with_system(group("a b"), system)
    assert [str(each) for each in extended.group] == ["x@1", "a@1", "b@1", "z@1"]
    assert (before, after) == (1, 1)
    assert with_system(group("z x a"), system) == (group("z x a"), 0, 0)


def test_a_system_buildpack_may_be_optional():
    extended, _, _ = with_system(group("b"), SystemTables.model_validate(SYSTEM))
    assert [each.optional for each in extended.group] == [False, False, False, True]
