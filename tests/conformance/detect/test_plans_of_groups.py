"""Build plans as bin/detect writes them, and the plan of the group."""

from __future__ import annotations

import pytest

from lifecycle.errors import BuildpackDetectError, NoGroupDetectedError
from lifecycle.files.codec import dumps, load
from lifecycle.model.group import Group
from lifecycle.model.plan import Plan


def writes(*lines):
    return "cat > $2 <<'EOF'\n" + "\n".join(lines) + "\nEOF"


PROVIDES = writes("[[provides]]", 'name = "jdk"')
REQUIRES = writes("[[requires]]", 'name = "jdk"', "[requires.metadata]", 'version = "21"', "launch = true")


@pytest.mark.requirement("BP-PLAN-010", "PLAT-FILE-023", "PLAT-FILE-024")
def test_the_plan_holds_providers_and_requires(builder, tmp_path):
    builder.buildpack("jdk", PROVIDES)
    builder.buildpack("web", REQUIRES)
    plan = builder.detect("jdk web").plan
    text = dumps(plan.struct())
    assert text == (
        '[[entries]]\n\n  [[entries.providers]]\n    id = "jdk"\n    version = "1"\n\n  [[entries.requires]]\n'
        '    name = "jdk"\n    [entries.requires.metadata]\n      launch = true\n      version = "21"\n'
    )
    path = tmp_path / "plan.toml"
    path.write_text(text)
    assert load(Plan, path) == plan


@pytest.mark.requirement("PLAT-FILE-023")
def test_without_entries_the_plan_is_empty(builder):
    builder.buildpack("a")
    assert dumps(builder.detect("a").plan.struct()) == ""


@pytest.mark.requirement("BP-PLAN-001", "BP-PLAN-002", "BP-PLAN-003", "BP-PLAN-010")
def test_alternatives_of_a_plan_are_tried_in_turn(builder):
    builder.buildpack(
        "a",
        writes('provides = [{name = "x"}]', "[[or]]", 'requires = [{name = "y"}]', "[[or]]", "provides = []"),
    )
    detected = builder.detect("a")
    assert (len(detected.attempts[0].elements), detected.attempts[0].trials) == (1, 3)


@pytest.mark.requirement("BP-PLAN-004", "BP-PLAN-005")
def test_a_group_whose_plan_does_not_fit_fails(builder):
    builder.buildpack("jdk", PROVIDES)
    builder.buildpack("web", REQUIRES)
    builder.buildpack("other")
    assert builder.group("web jdk", "jdk", "web", "other") == ["other"]
    with pytest.raises(NoGroupDetectedError) as caught:
        builder.detect("web jdk")
    web, jdk = caught.value.attempts[0].elements
    assert (web.unmet, web.unused, jdk.unmet, jdk.unused) == (("jdk",), (), (), ())


@pytest.mark.requirement("BP-PLAN-006", "BP-PLAN-007")
def test_optional_buildpacks_leave_with_all_of_their_plan(builder):
    builder.buildpack("jdk", PROVIDES)
    builder.buildpack("agent", writes('requires = [{name = "jdk"}, {name = "licence"}]'))
    builder.buildpack("web")
    detected = builder.detect("jdk? agent? web")
    assert [element.id for element in detected.group.group] == ["web"]
    assert detected.plan == Plan()


@pytest.mark.parametrize(
    "plan",
    ['requires = [{name = "x", version = "1"}]', '[[or]]\nrequires = [{name = "x", version = "1"}]'],
)
def test_a_version_beside_the_name_is_an_error(builder, plan):
    builder.buildpack("a", writes('provides = [{name = "x"}]', plan) if "or" not in plan else writes(plan))
    with pytest.raises(BuildpackDetectError) as caught:
        builder.detect("a")
    assert caught.value.attempts[0].elements[0].error == (
        'buildpack a has a "version" key which is not supported. "metadata.version" should be used instead'
    )


@pytest.mark.requirement("PLAT-FILE-011", "PLAT-FILE-012", "PLAT-FILE-025", "BP-PLAN-008", "BP-PLAN-009")
def test_extensions_provide_beside_buildpacks(builder, tmp_path):
    builder.extension("x", PROVIDES)
    builder.extension("unused", writes('provides = [{name = "other"}]'))
    builder.buildpack("jdk", PROVIDES)
    builder.buildpack("web", REQUIRES)
    detected = builder.detect("jdk web", extensions=("x unused",))
    text = dumps(detected.group.struct())
    assert text == (
        '[[group]]\n  id = "jdk"\n  version = "1"\n  api = "0.12"\n\n'
        '[[group]]\n  id = "web"\n  version = "1"\n  api = "0.12"\n\n'
        '[[group-extensions]]\n  id = "x"\n  version = "1"\n  api = "0.12"\n'
    )
    path = tmp_path / "group.toml"
    path.write_text(text)
    assert load(Group, path) == detected.group
    (entry,) = detected.plan.entries
    assert [(each.id, each.extension) for each in entry.providers] == [("x", True), ("jdk", False)]
