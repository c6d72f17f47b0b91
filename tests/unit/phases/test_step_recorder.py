"""What a recorder sees of steps, and keys that are known before a build from records of earlier ones."""

from dataclasses import replace

import pytest

from lifecycle.executables.process import run_process
from lifecycle.files.merkle import tree_digest
from lifecycle.model.api import PlatformApi
from lifecycle.model.canonical import canonical_digest
from lifecycle.model.group import Group, GroupElement
from lifecycle.model.layer import LayerTypes
from lifecycle.model.plan import Plan, PlanEntry, Provider, Require
from lifecycle.model.step_record import LayerRecord, StepRecord, step_key
from lifecycle.oci.digest import digest_of
from lifecycle.phases import step_recorder
from lifecycle.phases.build import BuildInputs, build
from lifecycle.phases.step_recorder import StepContext, StepRecorder, expected_steps
from lifecycle.rules.step_key import build_layers, field_digest, upstream_content

FIRST = """
mkdir -p "$CNB_LAYERS_DIR/tools/bin" "$CNB_LAYERS_DIR/tools/env"
printf '[types]\\nbuild = true\\n' > "$CNB_LAYERS_DIR/tools.toml"
printf x > "$CNB_LAYERS_DIR/tools/env/FROM_FIRST.default"
printf '[[unmet]]\\nname = "db"\\n' > "$CNB_LAYERS_DIR/build.toml"
echo more >> made-by-first
"""
SECOND = 'echo "$FROM_FIRST"; cat "$CNB_BP_PLAN_PATH"; test -f made-by-first'


@pytest.fixture
def inputs(tmp_path):
    for name in ("app", "layers", "platform/env", "build-config"):
        (tmp_path / name).mkdir(parents=True)
    for name, script in (("first", FIRST), ("second", SECOND)):
        bin_dir = tmp_path / f"buildpacks/x_{name}/1/bin"
        bin_dir.mkdir(parents=True)
        (bin_dir / "build").write_text(f"#!/bin/sh\nset -e\n{script}\n")
        (bin_dir / "build").chmod(0o755)
        (bin_dir.parent / "buildpack.toml").write_text(f'api = "0.10"\n[buildpack]\nid = "x/{name}"\nversion = "1"\n')
    providers = (Provider(id="x/first", version="1"), Provider(id="x/second", version="1"))
    entries = tuple(PlanEntry(providers=providers, requires=(Require(name=name),)) for name in ("db", "web"))
    return BuildInputs(
        platform_api=PlatformApi.parse("0.15"),
        app_dir=tmp_path / "app",
        layers_dir=tmp_path / "layers",
        buildpacks_dir=tmp_path / "buildpacks",
        platform_dir=tmp_path / "platform",
        build_config_dir=tmp_path / "build-config",
        group=Group(group=(GroupElement(id="x/first", version="1"), GroupElement(id="x/second", version="1"))),
        plan=Plan(entries=entries),
        process_env={"PATH": "/usr/bin:/bin", "HOSTNAME": "here"},
    )


@pytest.fixture
def context(inputs):
    return StepContext(
        app_dir=inputs.app_dir,
        platform_dir=inputs.platform_dir,
        paths={"layers": str(inputs.layers_dir)},
        target=None,
        exec_env=inputs.exec_env,
        base={},
        user=(1, 1),
        image_layers_dir=str(inputs.layers_dir),
    )


def _records(seen):
    """Make records of the steps, as an export does."""
    upstream, found = [], {}
    for step in seen:
        layers = ()
        if step.buildpack_id == "x/first":
            layers = (LayerRecord("tools", LayerTypes(build=True), diff_id=digest_of(b"tools")),)
        fields = {**step.fields, "upstream": field_digest("upstream", upstream_content(upstream, step.environment))}
        record = StepRecord(
            buildpack=GroupElement(id=step.buildpack_id, version="1"),
            layers=layers,
            key=step_key(fields),
            inputs=fields,
            outputs={"build.toml": {"unmet": [{"name": "db"}]}} if layers else {},
            app_after=step.app_after,
            environment_after=step.environment_after,
        )
        upstream += build_layers(step.buildpack_id, layers)
        found[record.key] = record
    return found


def _built(inputs, context):
    recorder = StepRecorder(context)
    build(inputs, run=run_process, output=lambda _: None, observer=recorder)
    return recorder.steps


def test_all_keys_of_a_build_are_known_before_it_from_the_records_of_an_equal_one(inputs, context):
    records = _records(_built(inputs, context))
    (inputs.app_dir / "made-by-first").unlink()
    expected = expected_steps(inputs, context, records.get)
    assert [each.key for each in expected.values()] == list(records)
    assert {name: dict(each.fields) for name, each in expected.items()} == {
        record.buildpack.id: dict(record.inputs) for record in records.values()
    }


def test_the_first_step_that_no_record_knows_is_the_last_whose_key_is_known(inputs, context):
    assert list(expected_steps(inputs, context, lambda _: None)) == ["x/first"]


def test_a_step_after_one_that_changed_is_looked_for_with_what_that_one_left(inputs, context):
    first, second = _built(inputs, context)
    assert first.environment != second.environment == first.environment_after
    assert first.app_after == second.app_after
    assert first.fields["app"] != second.fields["app"]
    assert first.fields["plan"] != second.fields["plan"]


def test_a_step_with_secrets_ends_what_is_known(inputs, context):
    records = _records(_built(inputs, context))
    (inputs.app_dir / "made-by-first").unlink()
    secret = replace(context, secret_names=frozenset({"TOKEN"}))
    (inputs.platform_dir / "env/TOKEN").write_text("x")
    assert expected_steps(inputs, secret, records.get) == {}


def test_what_can_not_be_read_costs_a_step_its_key_and_the_build_nothing(inputs, context, caplog):
    missing = replace(context, app_dir=inputs.app_dir / "made-by-first")
    seen = _built(inputs, missing)
    assert [bool(step.withheld) for step in seen] == [False, True]
    assert seen[0].app_after is None
    assert seen[1].fields == {}
    assert "has no key" in caplog.text


def test_without_an_observer_nothing_is_looked_at(inputs, monkeypatch):
    monkeypatch.setattr("lifecycle.phases.step_recorder.tree_digest", None)
    assert build(inputs, run=run_process, output=lambda _: None).metadata.buildpacks


def test_hosts_differ_in_name_and_proxies_only(inputs, context):
    keys = []
    for variables in ({"HOSTNAME": "a"}, {"HOSTNAME": "b", "https_proxy": "http://u:p@proxy"}):
        process_env = {"PATH": "/usr/bin:/bin", **variables}
        found = expected_steps(replace(inputs, process_env=process_env), context, lambda _: None)
        keys.append(found["x/first"].key)
    assert keys[0] == keys[1]
    assert canonical_digest(variables) != canonical_digest({})


def test_the_app_directory_is_read_once_for_each_state_that_it_is_in(inputs, context, monkeypatch):
    read = []
    monkeypatch.setattr(step_recorder, "tree_digest", lambda path: (read.append(path), tree_digest(path))[1])
    recorder = StepRecorder(context)
    settled = []
    build(
        inputs,
        run=run_process,
        output=lambda _: None,
        observer=recorder,
        settle=lambda _: settled.append(recorder.app_after()),
    )
    assert read.count(context.app_dir) == 3
    assert settled == [step.app_after for step in recorder.steps]
