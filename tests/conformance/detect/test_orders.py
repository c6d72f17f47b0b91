"""Composite buildpacks, system buildpacks and execution environments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.cli.exit_codes import exit_code
from lifecycle.errors import DetectionError, InvalidFileError, NoGroupDetectedError
from lifecycle.executables.process import run_process
from lifecycle.files.codec import load
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.descriptor import Order, System
from lifecycle.phases.detect import detect

APIS = [PlatformApi(version) for version in PLATFORM_APIS]
FAIL = "exit 100"


@pytest.mark.requirement("BP-ORDER-001", "BP-ORDER-002")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_composites_are_tried_depth_first(builder, api):
    for name in "abegh":
        builder.buildpack(name, FAIL if name in "be" else "")
    builder.composite("o", "a b", "a")
    builder.composite("p", "e", "g h")
    assert builder.group("o p", api=api) == ["a", "g", "h"]


@pytest.mark.requirement("BP-ORDER-003")
def test_a_group_is_tried_without_an_optional_entry_that_fails(builder):
    builder.buildpack("a")
    builder.buildpack("b", FAIL)
    builder.composite("o", "b")
    assert builder.group("b? o? a") == ["a"]


@pytest.mark.requirement("BP-ORDER-006", "PLAT-DET-019")
def test_a_composite_that_does_not_resolve_is_an_error(builder):
    builder.composite("o", "p")
    builder.composite("p", "o")
    with pytest.raises(DetectionError, match="composite buildpack o@1 contains itself: o@1 -> p@1 -> o@1") as caught:
        builder.detect("o")
    assert exit_code(caught.value, None) == 22
    builder.composite("q", "gone")
    with pytest.raises(DetectionError, match="buildpack gone@1 is not there"):
        builder.detect("q")


@pytest.mark.requirement("BP-ORDER-007", "PLAT-FILE-021", "PLAT-FILE-022")
def test_an_order_names_id_and_version_and_optional_is_false_by_default(tmp_path):
    path = tmp_path / "order.toml"
    path.write_text(
        '[[order]]\n[[order.group]]\nid = "a"\nversion = "1"\n[[order.group]]\nid = "b"\nversion = "2"\n'
        'optional = true\n[[order-extensions]]\n[[order-extensions.group]]\nid = "x"\nversion = "3"\n'
    )
    order = load(Order, path)
    assert [(each.id, each.version, each.optional) for each in order.order[0].group] == [
        ("a", "1", False),
        ("b", "2", True),
    ]
    assert [str(each) for each in order.order_extensions[0].group] == ["x@3"]
    path.write_text('[[order]]\n[[order.group]]\nversion = "1"\n')
    with pytest.raises(InvalidFileError):
        load(Order, path)


@pytest.mark.requirement("PLAT-FILE-021")
def test_an_entry_without_a_version_is_refused(builder):
    builder.buildpack("a")
    order = Order.model_validate({"order": [{"group": [{"id": "a"}]}]})
    with pytest.raises(InvalidFileError, match=r"buildpack a \(no version given\) is not there; it has 1"):
        detect(replace(builder.inputs("a"), order=order), run=run_process)


@pytest.mark.requirement("PLAT-FILE-034")
def test_system_toml_names_buildpacks_before_and_after(tmp_path):
    path = tmp_path / "system.toml"
    path.write_text(
        '[[system.pre.buildpacks]]\nid = "a"\nversion = "1"\noptional = true\n'
        '[[system.post.buildpacks]]\nid = "z"\nversion = "2"\n'
    )
    tables = load(System, path).system
    assert [(str(each), each.optional) for each in tables.pre.buildpacks] == [("a@1", True)]
    assert [(str(each), each.optional) for each in tables.post.buildpacks] == [("z@2", False)]
    path.write_text("")
    assert load(System, path) == System()


SYSTEM = {
    "pre": {"buildpacks": [{"id": "first", "version": "1"}]},
    "post": {"buildpacks": [{"id": "last", "version": "1"}]},
}


@pytest.mark.requirement("PLAT-DET-025", "PLAT-DET-026")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_system_buildpacks_are_in_every_group(builder, api):
    builder.buildpack("a", FAIL)
    for name in ("first", "b", "last"):
        builder.buildpack(name)
    expected = ["first", "b", "last"] if api.version.minor >= 15 else ["b"]
    assert builder.group("a", "b", system=SYSTEM, api=api) == expected


@pytest.mark.requirement("PLAT-DET-027")
def test_a_group_with_a_system_buildpack_of_its_own_keeps_that(builder):
    builder.buildpack("first", version="2")
    for name in ("first", "b", "last"):
        builder.buildpack(name)
    group = builder.detect("b first@2", system=SYSTEM).group
    assert [str(element) for element in group.group] == ["b@1", "first@2", "last@1"]


def test_extensions_come_before_system_buildpacks(builder):
    builder.extension("x", "printf '[[provides]]\\nname=\"d\"\\n' > $2")
    builder.buildpack("first", "printf '[[requires]]\\nname=\"d\"\\n' > $2")
    builder.buildpack("last")
    builder.buildpack("b")
    detected = builder.detect("b", system=SYSTEM, extensions=("x",))
    assert [element.id for element in detected.group.group_extensions] == ["x"]


@pytest.mark.requirement("PLAT-DET-028")
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize("listed", ["exec-env = ['production']", "[[buildpack.exec-env]]\nname = 'production'"])
def test_a_buildpack_for_another_execution_environment_is_skipped(builder, api, listed):
    builder.buildpack("a", toml=listed)
    builder.buildpack("b", toml="exec-env = ['*']")
    builder.buildpack("c", api="0.11", toml=listed)
    skipped = api.version.minor >= 15
    assert builder.group("a b c", exec_env="test", api=api) == (["b", "c"] if skipped else ["a", "b", "c"])
    assert builder.called() == (["b@1", "c@1"] if skipped else ["a@1", "b@1", "c@1"])


@pytest.mark.requirement("PLAT-DET-029")
def test_a_group_of_skipped_buildpacks_fails_and_the_next_is_tried(builder):
    builder.buildpack("a", toml="exec-env = ['production']")
    builder.buildpack("b")
    assert builder.group("a", "b", exec_env="test") == ["b"]
    with pytest.raises(NoGroupDetectedError):
        builder.detect("a", exec_env="test")


@pytest.mark.requirement("BP-ORDER-008")
def test_an_entry_of_an_order_may_be_for_some_execution_environments(builder):
    entry = "[[order]]\n[[order.group]]\nid='a'\nversion='1'\nexec-env=['test']\n[[order.group]]\nid='b'\nversion='1'\n"
    builder.buildpack("a")
    builder.buildpack("b")
    builder.composite("o", toml=entry)
    builder.composite("old", toml=entry, api="0.11")
    assert builder.group("o", exec_env="production") == ["b"]
    assert builder.group("o", exec_env="test") == ["a", "b"]
    assert builder.group("old", exec_env="production") == ["a", "b"]
