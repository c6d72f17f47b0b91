"""The contract of buildpacks: a good one keeps it, and for each of its tests there is one that breaks it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lifecycle.testing.contracts.buildpack import BuildpackContract
from lifecycle.testing.contracts.runs import Runs
from lifecycle.testing.contracts.subject import Subject

GOOD = {
    "buildpack.toml": """\
api = "0.10"
[buildpack]
id = "test/good"
version = "1.0.0"
sbom-formats = ["application/vnd.cyclonedx+json"]
[[targets]]
os = "linux"
arch = "amd64"
[[targets]]
os = "linux"
arch = "arm64"
[[targets]]
os = "linux"
arch = "s390x"
""",
    "bin/detect": """\
#!/bin/sh
test -f main.txt || exit 100
cat > "$CNB_BUILD_PLAN_PATH" <<END
[[provides]]
name = "tool"
[[requires]]
name = "tool"
[requires.metadata]
version = "1"
END
""",
    "bin/build": r"""#!/bin/sh
set -eu
L=$CNB_LAYERS_DIR
cd "$CNB_LAYERS_DIR"
if [ ! -d tool ]; then
    mkdir -p tool/exec.d
    printf '#!/bin/sh\necho run\n' > tool/run
    printf '#!/bin/sh\necho "A = \\"b\\"" >&3\n' > tool/helper
    chmod +x tool/run tool/helper
    ln -s "$L/tool/helper" tool/exec.d/more
fi
printf '{"bomFormat":"CycloneDX"}' > launch.sbom.cdx.json
printf '[types]\nlaunch = true\ncache = true\n[metadata]\nversion = "1"\n' > tool.toml
printf '[[processes]]\ntype = "web"\ncommand = ["%s/tool/run"]\ndefault = true\n' "$CNB_LAYERS_DIR" > launch.toml
""",
}
APP = {"main.txt": "main"}
BROKEN = {"main.txt": "main", "broken": ""}

# For each test of the contract: changes to files of the good buildpack, and a word of what the test says of each.
BAD: dict[str, list[tuple[str, str, str, str]]] = {
    "test_detect_and_build_are_executable": [("bin/build", "", "", "bin/build .* is missing or not executable")],
    "test_detect_passes_for_the_app": [
        ("bin/detect", "main.txt ||", "main.txt &&", "detection of the app does not pass"),
        ("bin/detect", '[[requires]]\nname = "tool"', '[[requires]]\nname = "other"', "requires other, which none"),
    ],
    "test_detect_ends_with_0_or_100": [
        ("bin/detect", "exit 100", "exit 1", "exited with status 1 for an empty app"),
        ("bin/detect", "exit 100", "kill -9 $$", "was killed by signal 9 \\(Killed\\) for an empty app"),
    ],
    "test_detect_writes_a_build_plan_that_the_specification_knows": [
        ("bin/detect", "[requires.metadata]", "[requires.meta]", "has the key requires.meta"),
        ("bin/detect", '[[provides]]\nname = "tool"', '[[provides]]\nid = "tool"', "without a name"),
        ("bin/detect", '[[provides]]\nname = "tool"', "[[provides]]\nname = tool", "is no TOML"),
        ("bin/detect", 'version = "1"\n', 'version = "1"\n[[or]]\nrequired = 1\n', "has the key or.required"),
    ],
    "test_detect_says_the_same_again": [("bin/detect", 'version = "1"', 'version = "$(date +%N)"', "and then exited")],
    "test_detect_changes_nothing_but_its_plan": [
        ("bin/detect", "test -f", 'touch "$CNB_BUILDPACK_DIR/seen"\ntest -f', "test_good/1.0.0/seen was added"),
        ("bin/detect", "test -f", "touch seen\ntest -f", "workspace/seen was added"),
        ("bin/detect", "test -f", 'touch "$CNB_PLATFORM_DIR/env/A"\ntest -f', "platform/env/A was added"),
    ],
    "test_detect_respects_each_target_it_declares": [
        ("bin/detect", "test -f", 'test "$CNB_TARGET_ARCH" != s390x || exit 7\ntest -f', "status 7 for the target"),
    ],
    "test_the_app_is_built": [("bin/build", "set -eu", "echo because >&2; exit 5", "status 5(.|\n)*because")],
    "test_toml_files_have_only_what_the_specification_knows": [
        ("bin/build", "ncommand", "nargv = []\\ncommand", "launch.toml has the key processes.argv"),
        ("bin/build", "[types]\\nlaunch = true", "launch = true\\n[types]", r"launch outside of \[types\]"),
        ("bin/build", "launch = true\\ncache", 'launch = "yes"\\ncache', "types.launch is 'yes'"),
        ("bin/build", "[types]", "[tipes]", "tool.toml has the key tipes"),
        ("bin/build", "ntype = ", "ntype = web #", "launch.toml is no TOML"),
    ],
    "test_build_touches_nothing_of_others": [
        ("bin/build", "set -eu", 'echo a >> "$CNB_LAYERS_DIR/../contract_neighbour/tool/bin/tool" || :', "was changed"),
        ("bin/build", "set -eu", 'touch "$CNB_PLATFORM_DIR/more"', "platform/more was added"),
        ("bin/build", "set -eu", 'touch "$CNB_BUILDPACK_DIR/more"', "1.0.0/more was added"),
    ],
    "test_commands_of_processes_exist": [
        ("bin/build", '/tool/run"]', '/tool/go"]', "process web: .*/tool/go does not exist"),
        ("bin/build", "chmod +x tool/run", "chmod +x", "tool/run is not executable"),
        ("bin/build", "launch = true", "launch = false", "lies in the layer tool, which no image has"),
        ("bin/build", "default = true", 'working-dir = "none"', "none is no directory"),
    ],
    "test_exec_d_programs_can_run": [
        ("bin/build", "tool/run tool/helper", "tool/run", "exec.d/more of layer tool is not executable"),
        ("bin/build", 'echo "A = ', 'echo "A = no ', "exec.d programs before process web fail"),
        ("bin/build", "&3", "&3; exit 3", "exec.d programs before process web fail"),
    ],
    "test_sboms_are_documents_of_the_declared_formats": [
        ("bin/build", '{"bomFormat":"CycloneDX"}', "<bom/>", "is no JSON"),
        ("bin/build", '{"bomFormat":"CycloneDX"}', "1", "cdx.json holds 1"),
    ],
    "test_a_build_that_can_not_write_its_layers_fails": [("bin/build", "set -eu", "trap 'exit 0' EXIT", "status 0")],
    "test_a_build_that_fails_says_so": [("bin/build", "exit 9", "exit 0", "status 0 for an app that can't be built")],
    "test_a_second_build_with_restored_layers_passes": [
        ("bin/build", "set -eu", 'set -eu; test ! -d "$CNB_LAYERS_DIR/tool"', "second build, .*failed"),
    ],
    "test_a_second_build_without_the_cache_passes": [
        (
            "bin/build",
            "cd ",
            'test ! -f "$L/store.toml" || test -d "$L/tool"; : > "$L/store.toml"; cd ',
            "its cache failed",
        ),
    ],
    "test_nothing_changes_if_nothing_changed": [
        (
            "bin/build",
            "default = true",
            "default = true\\n' > /dev/null; date +%N > tool/time; : '",
            "tool is made anew: time",
        ),
        ("bin/build", 'version = "1"', "n = '$(date +1%N)'", "metadata of layer test/good:tool changes"),
        ("bin/build", "cd ", "date +%N > made; cd ", "the second image has other layers: slice-1"),
        (
            "bin/build",
            "cd ",
            "mkdir -p $L/c; date +%N > $L/c/n; printf '[types]\\ncache = true\\n' > $L/c.toml; cd ",
            "cached layer test/good:c",
        ),
        ("bin/build", "cd ", 'test ! -f "$L/tool.toml" || exit 0; cd ', "layer test/good:tool is lost"),
    ],
    "test_two_builds_are_byte_equal": [
        (
            "bin/build",
            "chmod +x tool/run",
            "date +%N > tool/n; chmod +x tool/run",
            "tool differs between two builds: n: from",
        ),
        (
            "bin/build",
            "chmod +x tool/run",
            'echo "$HOME" > tool/home; chmod +x tool/run',
            "holds the path .* of one build",
        ),
        ("bin/build", "chmod +x tool/run", "date -u +%FT%T.%N > tool/time; chmod +x tool/run", "looks like a time"),
        (
            "bin/build",
            "default = true",
            'default = true\\n[[labels]]\\nkey = "a"\\nvalue = "\'$(date +%N)\'"',
            "labels differ",
        ),
    ],
    "test_it_works_in_a_path_with_a_space": [
        ("bin/build", 'cd "$CNB_LAYERS_DIR"', "cd $CNB_LAYERS_DIR", "with a space")
    ],
    "test_it_works_at_the_paths_of_the_image": [
        ("bin/build", "set -eu", 'case "$CNB_LAYERS_DIR" in /layers/*) exit 1;; esac', "at the paths of the image"),
    ],
    "test_it_works_under_any_user": [("bin/build", "set -eu", '[ "$(id -u)" = 0 ]  || exit 1', "under another user")],
    "test_it_works_with_a_strict_umask": [("bin/build", "set -eu", "[ $(umask) != 0077 ] || exit 1", "with umask 077")],
    "test_it_works_without_a_home": [("bin/build", "set -eu", 'set -eu; : "$HOME"', "without HOME")],
    "test_it_works_from_a_directory_that_it_can_not_write": [
        ("bin/build", "set -eu", 'set -eu; : > "$CNB_BUILDPACK_DIR/cache"', "from a read-only directory"),
    ],
}
TESTS = sorted(name for name in dir(BuildpackContract) if name.startswith("test_"))


@pytest.fixture
def buildpack(tmp_path):
    root = tmp_path / "buildpack"
    for name, text in GOOD.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("set -eu", "set -eu\n[ ! -f broken ] || exit 9", 1))
        path.chmod(0o755)
    return root


@pytest.fixture(scope="module")
def good_runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("good")
    for name, text in GOOD.items():
        path = root / "buildpack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("set -eu", "set -eu\n[ ! -f broken ] || exit 9", 1))
        path.chmod(0o755)
    return Runs(Subject(buildpack=root / "buildpack", files=APP, broken=BROKEN), root / "runs")


@pytest.mark.parametrize("name", TESTS)
def test_a_good_buildpack_keeps_the_contract(good_runs, name):
    getattr(BuildpackContract(), name)(good_runs)


def test_each_test_of_the_contract_is_broken_by_some_buildpack():
    assert sorted(BAD) == TESTS


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"), [(name, *row) for name, rows in BAD.items() for row in rows]
)
def test_a_bad_buildpack_breaks_the_contract(buildpack, tmp_path, name, file, old, new, message):
    path = buildpack / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    if not old:
        path.chmod(0o644)
    runs = Runs(Subject(buildpack=buildpack, files=APP, broken=BROKEN), tmp_path / "runs")
    if "user" in name and os.geteuid() != 0:
        pytest.skip("only root can run a buildpack as another user")
    if runs.namespaces_refused and "image" in name:
        pytest.skip(f"this host has no mount namespaces: {runs.namespaces_refused}")
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match=message) as failed:
        getattr(BuildpackContract(), name)(runs)
    assert "specification: " in str(failed.value)
    assert "what to do: " in str(failed.value)


def test_a_buildpack_for_another_distribution_is_put_through_for_that_one(buildpack, tmp_path):
    descriptor = buildpack / "buildpack.toml"
    declared = '[[targets.distros]]\nname = "elsewhere"\nversion = "7"\n'
    descriptor.write_text(descriptor.read_text().replace('arch = "amd64"\n', f'arch = "amd64"\n{declared}', 1))
    descriptor.write_text(descriptor.read_text().replace('arch = "arm64"\n', f'arch = "arm64"\n{declared}', 1))
    told = buildpack / "bin" / "detect"
    told.write_text(
        told.read_text().replace("test -f", 'test "$CNB_TARGET_DISTRO_NAME" = elsewhere || exit 9\ntest -f')
    )
    runs = Runs(Subject(buildpack=buildpack, files=APP), tmp_path / "runs")
    BuildpackContract().test_detect_passes_for_the_app(runs)
    BuildpackContract().test_the_app_is_built(runs)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a buildpack as another user")
def test_what_a_build_leaves_among_temporary_files_is_in_no_other_user_s_way(buildpack, tmp_path):
    build = buildpack / "bin" / "build"
    left = f"contract-{os.getpid()}-{tmp_path.name}"
    build.write_text(build.read_text().replace("set -eu", f'set -eu\necho x > "${{TMPDIR:-/tmp}}/{left}"', 1))
    runs = Runs(Subject(buildpack=buildpack, files=APP), tmp_path / "runs")
    try:
        BuildpackContract().test_the_app_is_built(runs)
        BuildpackContract().test_it_works_under_any_user(runs)
        BuildpackContract().test_it_works_from_a_directory_that_it_can_not_write(runs)
    finally:
        Path("/tmp", left).unlink(missing_ok=True)
