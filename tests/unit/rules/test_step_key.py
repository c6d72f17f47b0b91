"""Keys of steps: whatever a step depends on is in its key, and nothing else.  Design: experiment E16."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.files.modules import read_buildpack
from lifecycle.model.canonical import canonical
from lifecycle.model.layer import LayerTypes
from lifecycle.model.plan import Require
from lifecycle.model.step_record import FIELDS, LayerRecord, layer_key, step_key
from lifecycle.model.target import Distro, TargetData
from lifecycle.oci.digest import digest_of
from lifecycle.phases.build import StepStart
from lifecycle.phases.step_recorder import StepContext, StepRecorder
from lifecycle.rules.step_key import (
    SECRET_FIELDS,
    UpstreamLayer,
    build_layers,
    differing,
    field_digest,
    hint_key,
    nearest,
    upstream_content,
)

SECRET = "do not tell 0815"


class Step:
    """A step on disk, whose key a test takes after changing something."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.buildpack = root / "buildpack"
        self.app = root / "app"
        for path, text in (
            ("buildpack/buildpack.toml", 'api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "1"\n'),
            ("buildpack/bin/build", "#!/bin/sh\n"),
            ("app/main.py", "print()\n"),
            ("app/lib/x", "x\n"),
        ):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (self.app / "link").symlink_to("main.py")
        self.context = StepContext(
            app_dir=self.app,
            platform_dir=root / "platform",
            paths={"layers": "/layers", "app": "/workspace", "platform": "/platform"},
            target=TargetData(os="linux", arch="amd64", distro=Distro(name="debian", version="12")),
            exec_env="production",
            base={"image": "", "os-release": "1"},
            user=(1000, 1000),
            image_layers_dir="/layers",
        )
        self.plan = (Require(name="node", metadata={"version": "22", "ratio": 0.5}),)
        self.environment = {"PATH": "/layers/a_b/tools/bin:/usr/bin", "HOSTNAME": "one"}
        self.platform_env = {"SETTING": "1"}
        self.build_config_env = {"OPERATOR": "1"}
        self.upstream = (UpstreamLayer("a/first", "tools", digest_of(b"tools")),)

    def fields(self):
        recorder = StepRecorder(self.context)
        start = StepStart(
            read_buildpack(self.buildpack),
            self.root / "layers",
            self.plan,
            self.environment,
            self.platform_env,
            self.build_config_env,
        )
        recorder.before(start)
        recorder.after(start, self.environment)
        (seen,) = recorder.steps
        self.seen = seen
        return {**seen.fields, "upstream": field_digest("upstream", upstream_content(self.upstream, seen.environment))}


@pytest.fixture
def step(tmp_path):
    return Step(tmp_path)


def _write(path: str, text: str):
    return lambda step: (step.root / path).write_text(text)


def _context(**changes):
    def change(step):
        step.context = replace(step.context, **changes)

    return change


def _set(**changes):
    return lambda step: step.__dict__.update(changes)


CHANGES = {
    "buildpack: its version": ("buildpack", _write("buildpack/buildpack.toml", 'api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "2"\n')),
    "buildpack: a file": ("buildpack", _write("buildpack/bin/build", "#!/bin/sh\nset -e\n")),
    "plan: a requirement": ("plan", _set(plan=(Require(name="node", metadata={"version": "24", "ratio": 0.5}),))),
    "plan: a float for an integer": ("plan", _set(plan=(Require(name="node", metadata={"version": "22", "ratio": 1}),))),
    "app: contents": ("app", _write("app/main.py", "print(1)\n")),
    "app: a new file": ("app", _write("app/new", "")),
    "app: a file renamed": ("app", lambda step: (step.app / "lib/x").rename(step.app / "lib/y")),
    "app: an executable bit": ("app", lambda step: (step.app / "main.py").chmod(0o755)),
    "app: where a link points": (
        "app",
        lambda step: ((step.app / "link").unlink(), (step.app / "link").symlink_to("lib/x")),
    ),
    "app: a file for a link": ("app", lambda step: ((step.app / "link").unlink(), (step.app / "link").write_text("main.py"))),
    "app: an empty directory": ("app", lambda step: (step.app / "empty").mkdir()),
    "upstream: a layer": ("upstream", _set(upstream=(UpstreamLayer("a/first", "tools", digest_of(b"others")),))),
    "upstream: a layer's name": ("upstream", _set(upstream=(UpstreamLayer("a/first", "tool", digest_of(b"tools")),))),
    "upstream: the environment": ("upstream", _set(environment={"PATH": "/usr/bin"})),
    "env: a user's variable": ("env", _set(platform_env={"SETTING": "2"})),
    "env: an operator's variable": ("env", _set(build_config_env={"OPERATOR": "2"})),
    "env: a variable of the other kind": ("env", _set(platform_env={}, build_config_env={"OPERATOR": "1", "SETTING": "1"})),
    "bindings: a secret": ("bindings", _write("platform/bindings/db/password", SECRET)),
    "target: the architecture": ("target", _context(target=TargetData(os="linux", arch="arm64", distro=Distro(name="debian", version="12")))),
    "target: the distribution": ("target", _context(target=TargetData(os="linux", arch="amd64", distro=Distro(name="debian", version="13")))),
    "exec-env": ("exec-env", _context(exec_env="test")),
    "base": ("base", _context(base={"image": "", "os-release": "2"})),
    "paths": ("paths", _context(paths={"layers": "/other", "app": "/workspace", "platform": "/platform"})),
    "user": ("user", _context(user=(1001, 1000))),
    "cache-version": ("cache-version", _context(cache_version="2")),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_any_field_makes_another_key_and_is_named(step, change):
    field, apply = CHANGES[change]
    if field == "bindings":
        step.context = replace(step.context, salt=b"pepper")
        (step.root / "platform/bindings/db").mkdir(parents=True)
    before = step.fields()
    apply(step)
    after = step.fields()
    assert step_key(after) != step_key(before)
    assert differing(after, before) == (field,)
    assert str(nearest(after, {"the last build": before})) == (
        f"differs from the last build in {field} ({FIELDS[field]})"
    )


def test_every_field_but_the_format_has_a_change_that_is_tried():
    assert {field for field, _ in CHANGES.values()} == FIELDS.keys() - {"format"}


def test_another_format_of_layers_makes_another_key(step, monkeypatch):
    before = step.fields()
    monkeypatch.setattr("lifecycle.rules.step_key.FORMAT", 2)
    assert differing(step.fields(), before) == ("format",)


def _touch(step):
    for path in (step.app / "main.py", step.app, step.buildpack / "bin/build"):
        os.utime(path, (1, 1))


def _move(step):
    shutil.copytree(step.app, step.root / "elsewhere", symlinks=True)
    step.context = replace(step.context, app_dir=step.root / "elsewhere")


def _chown(step):
    if os.geteuid():
        pytest.skip("files can be given to others by root only")
    for path in (step.app / "main.py", step.app / "lib", step.buildpack / "bin/build"):
        os.chown(path, 12345, 12345)


SAME = {
    "times": _touch,
    "owners": _chown,
    "the host's name": _set(environment={"PATH": "/layers/a_b/tools/bin:/usr/bin", "HOSTNAME": "other"}),
    "proxies": _set(
        environment={"PATH": "/layers/a_b/tools/bin:/usr/bin", "https_proxy": f"http://me:{SECRET}@proxy"},
    ),
    "where the source was cloned": _move,
    "bits for group and others": lambda step: (step.app / "main.py").chmod(0o640),
    "a restored layer": lambda step: (step.root / "layers/deps").mkdir(parents=True),
    "the id that target data has beside os and architecture": _context(
        target=TargetData(id="stack", os="linux", arch="amd64", distro=Distro(name="debian", version="12"))
    ),
}


@pytest.mark.parametrize("change", SAME)
def test_what_says_nothing_of_the_outcome_is_not_in_the_key(step, change):
    before = step.fields()
    SAME[change](step)
    assert step_key(step.fields()) == step_key(before)


def test_the_run_image_has_no_way_into_a_key():
    fields = {name for name in StepContext.__dataclass_fields__ if "run" in name}
    assert fields == set()


def test_a_clone_is_its_commit_however_git_packs_it(tmp_path):
    def git(*arguments, cwd):
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=cwd, check=True, capture_output=True
        )

    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    step = Step(tmp_path / "step")
    git("init", "-q", cwd=step.app)
    git("add", "-A", cwd=step.app)
    git("commit", "-qm", "one", cwd=step.app)
    git("tag", "v1", cwd=step.app)
    git("tag", "-a", "v1-annotated", "-m", "x", cwd=step.app)
    keys = [step.fields()]
    git("gc", "-q", "--aggressive", "--prune=now", cwd=step.app)
    keys.append(step.fields())
    git("clone", "-q", str(step.app), str(tmp_path / "clone"), cwd=tmp_path)
    step.context = replace(step.context, app_dir=tmp_path / "clone")
    keys.append(step.fields())
    assert len({step_key(each) for each in keys}) == 1
    git("commit", "-q", "--allow-empty", "-m", "two", cwd=tmp_path / "clone")
    assert differing(step.fields(), keys[0]) == ("app",)


@pytest.mark.parametrize("secret_in", ["binding", "variable"])
def test_a_secret_without_a_salt_gives_no_key_and_with_one_a_digest_that_nobody_can_try(step, secret_in):
    if secret_in == "binding":
        (step.root / "platform/bindings/db").mkdir(parents=True)
        (step.root / "platform/bindings/db/password").write_text(SECRET)
    else:
        step.platform_env = {"SETTING": "1", "TOKEN": SECRET}
        step.context = replace(step.context, secret_names=frozenset({"TOKEN"}))
    step.fields()
    assert "no salt-file" in step.seen.withheld
    assert step.seen.fields == {}
    salted = []
    for salt in (b"pepper", b"other pepper"):
        step.context = replace(step.context, salt=salt)
        salted.append(step.fields())
        assert not step.seen.withheld
    assert set(differing(*salted)) == SECRET_FIELDS
    assert SECRET not in repr(step.seen)
    assert "pepper" not in repr(step.context)


digests = st.binary(max_size=4).map(digest_of)
all_fields = st.fixed_dictionaries(dict.fromkeys(FIELDS, digests))


@given(all_fields, all_fields)
def test_two_keys_are_equal_exactly_when_all_fields_are(one, other):
    assert (step_key(one) == step_key(other)) is (one == other)
    assert (differing(one, other) == ()) is (one == other)


@given(all_fields, st.dictionaries(st.text(max_size=3), all_fields, min_size=1))
def test_the_nearest_record_differs_in_no_more_fields_than_any_other(fields, records):
    found = nearest(fields, records)
    assert len(found.fields) == min(len(differing(fields, each)) for each in records.values())
    assert found.fields == differing(fields, records[found.record])


def test_without_records_there_is_no_nearest_one():
    assert nearest({}, {}) is None


def test_a_field_that_one_side_does_not_know_differs():
    assert differing({"app": "1", "invented": "2"}, {"app": "1"}) == ("invented",)


@pytest.mark.parametrize("fields", [{}, dict.fromkeys([*FIELDS, "more"], digest_of(b"")), {"app": digest_of(b"")}])
def test_a_key_has_all_fields_and_no_others(fields):
    with pytest.raises(ValueError, match="the fields of a step are"):
        step_key(fields)


@given(st.sampled_from(sorted(FIELDS)), st.sampled_from(sorted(FIELDS)), st.text())
def test_the_same_content_of_two_fields_has_two_digests(one, other, content):
    assert (field_digest(one, content) == field_digest(other, content)) is (one == other)


def test_layers_of_one_step_have_keys_of_their_own_and_so_have_hints():
    key = digest_of(b"step")
    assert len({layer_key(key, "a"), layer_key(key, "b"), layer_key(digest_of(b"other"), "a"), key}) == 4
    hint = {"target": {"os": "linux"}, "exec_env": "production", "paths": {"layers": "/layers"}}
    assert hint_key("a/b", **hint) == hint_key("a/b", **hint)
    assert hint_key("a/b", **hint) != hint_key("a/b", **hint | {"exec_env": "test"})


def test_only_build_layers_are_upstream_of_later_steps():
    layers = [
        LayerRecord("tools", LayerTypes(build=True), diff_id=digest_of(b"1")),
        LayerRecord("app", LayerTypes(launch=True), diff_id=digest_of(b"2")),
        LayerRecord("downloads", LayerTypes(cache=True), diff_id=digest_of(b"3")),
        LayerRecord("deps", LayerTypes(build=True, launch=True), diff_id=digest_of(b"4")),
    ]
    assert [each.name for each in build_layers("a/b", layers)] == ["tools", "deps"]


def test_a_float_has_no_canonical_form():
    with pytest.raises(TypeError):
        canonical({"a": [{"b": 1.0}]})
