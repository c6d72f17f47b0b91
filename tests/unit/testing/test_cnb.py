"""The fixture `cnb`: detect, build, build again, export and launch, as tests of buildpacks use it."""

from __future__ import annotations

import json

import pytest

from lifecycle.errors import (
    BuildError,
    BuildpackBuildError,
    BuildpackDetectError,
    InvalidFileError,
    InvalidInputError,
    LaunchError,
    NoGroupDetectedError,
)

BUILD = r"""#!/bin/sh
set -e
cd "$1"
find . -type f | sort | sed 's/^/found /'
for layer in both run tool; do mkdir -p $layer; done
mkdir -p tool/bin run/env.launch/web run/env
echo data > both/data
printf '#!/bin/sh\necho from tool\n' > tool/bin/tool
chmod +x tool/bin/tool
printf staging > run/env.launch/web/MODE
printf /opt > run/env/PLACE.append
printf ':' > run/env/PLACE.delim
printf '[types]\ncache = true\nlaunch = true\n[metadata]\nkey = "k"\n' > both.toml
printf '[types]\nlaunch = true\n' > run.toml
printf '[types]\nbuild = true\n' > tool.toml
printf '[metadata]\ncount = 1\n' > store.toml
printf '{"bomFormat":"CycloneDX"}' > run.sbom.cdx.json
cat > launch.toml <<END
[[processes]]
type = "web"
command = ["sh", "-c", "echo web \$MODE in \$(pwd) with \$0 \$1; test -f main.txt"]
args = ["a", "b"]
default = true
[[labels]]
key = "made.by"
value = "test"
[[slices]]
paths = ["*.txt"]
END
"""
SBOM = 'sbom-formats = ["application/vnd.cyclonedx+json"]\n'


@pytest.fixture
def built(cnb, made):
    root = made(build=BUILD)
    descriptor = root / "buildpack.toml"
    descriptor.write_text(descriptor.read_text().replace("[[targets]]", SBOM + "[[targets]]"))
    return cnb.build(root, files={"main.txt": "main"}, env={"BP_ONE": "1"})


def test_no_report_has_warnings_of_files_that_only_a_platform_has(built, caplog):
    built.export()
    assert caplog.records == []


def test_a_build_tells_what_its_buildpack_left(built):
    assert built.error is None
    assert built.exit_code == 0
    assert built.layers["both"].types == {"cache", "launch"}
    assert built.layers["both"].metadata == {"key": "k"}
    assert built.layers["both"].files == ("data",)
    assert built.layers["both"].read("data") == "data\n"
    assert built.layers["run"].env == {
        "env/PLACE.append": "/opt",
        "env/PLACE.delim": ":",
        "env.launch/web/MODE": "staging",
    }
    assert built.layers["run"].sboms == ("run.sbom.cdx.json",)
    assert list(built.processes) == ["web"]
    assert built.processes["web"].args == ("a", "b")
    assert built.default_process == "web"
    assert built.labels == {"made.by": "test"}
    assert built.slices == [["*.txt"]]
    assert built.store() == {"count": 1}
    assert built.sboms == {"launch/test_made/run/sbom.cdx.json": {"bomFormat": "CycloneDX"}}
    assert built.env["PATH"].startswith(f"{built.layers['tool'].path}/bin:")
    assert built.unmet == []
    assert "layer test/made:both: cache launch; 1 files" in repr(built)


def test_a_layer_that_is_not_there_is_told_with_those_that_are(built):
    with pytest.raises(KeyError, match="no layer is called 'none'; there are test/made:both"):
        built.layers["none"]


def test_the_next_build_finds_what_a_restorer_brings_back(built):
    again = built.rebuild()
    found = {line.removeprefix("found ./") for line in again.log.lines if line.startswith("found ")}
    assert found == {"both/data", "both.toml", "run.toml", "run.sbom.cdx.json", "store.toml"}
    assert again.restored == {"both": "contents", "run": "metadata"}
    image = again.export()
    assert image.added == []
    assert {"test/made:both", "test/made:run", "slice-1"} <= set(image.reused)
    assert built.layers["both"].diff_id == again.layers["both"].diff_id
    assert built.export().layers == image.layers


def test_the_next_build_may_have_lost_its_cache_and_its_image(built):
    assert built.rebuild(cached=False).restored == {"both": "nothing", "run": "metadata"}


def test_without_image_and_cache_nothing_comes_back(built):
    assert built.rebuild(cached=False, with_image=False).restored == {}


def test_the_next_build_may_have_another_app(built):
    image = built.rebuild(files={"more.txt": "more"}).export()
    assert image.read("/workspace/more.txt") == b"more"
    assert "slice-1" in image.added


def test_a_build_is_still_there_after_the_next_one(built):
    before = built.layers["both"].diff_id
    built.rebuild(files={"more.txt": "more"})
    assert built.layers["both"].diff_id == before
    assert "/workspace/more.txt" not in built.export().files
    assert built.export().launch().exit_code == 0


def test_a_build_may_be_followed_by_several(built):
    first = built.rebuild()
    second = built.rebuild(files={"more.txt": "more"})
    assert first.restored == second.restored
    assert {each.layers["both"].diff_id for each in (built, first, second)} == {built.layers["both"].diff_id}
    assert {each.layers["both"].read("data") for each in (built, first, second)} == {"data\n"}


def test_an_image_tells_what_it_holds(built):
    image = built.export()
    assert image.entrypoint == ["/cnb/process/web"]
    assert image.working_dir == "/workspace"
    assert image.env["CNB_APP_DIR"] == "/workspace"
    assert image.labels["made.by"] == "test"
    assert json.loads(image.labels["io.buildpacks.build.metadata"])["processes"][0]["type"] == "web"
    assert image.files["/layers/test_made/run/env/PLACE.append"].mode == 0o644
    assert image.files["/layers/test_made/both/data"].uid == 1000
    assert image.files["/cnb/process/web"].link == "/cnb/lifecycle/launcher"
    assert "/layers/test_made/tool/bin/tool" not in image.files
    assert image.read("/layers/test_made/both/data") == b"data\n"
    with pytest.raises(KeyError, match=r"/layers/test_made/both it has .*data"):
        image.files["/layers/test_made/both/none"]


def test_a_process_starts_as_in_a_container(built):
    image = built.export()
    launched = image.launch()
    assert launched.exit_code == 0, launched
    assert launched.log.startswith("web staging in ")
    assert launched.log.endswith("/workspace with a b\n")
    assert image.launch("web", ["x"]).log.endswith("with x\n")


def test_the_environment_of_a_process_is_that_which_the_launcher_makes(built):
    image = built.export()
    env = image.launch_env("web", env={"PLACE": "/srv", "OTHER": "1"})
    assert (env["MODE"], env["PLACE"], env["OTHER"]) == ("staging", "/srv:/opt", "1")
    assert image.launch().exit_code == 0


def test_an_unknown_process_is_told_with_those_there_are(built):
    with pytest.raises(LaunchError, match=r"no process 'job' but \['web'\]"):
        built.export().launch("job")


def test_a_server_runs_while_it_is_tested(cnb, made):
    process = '[[processes]]\ntype = "web"\ncommand = ["sh", "-c", "echo ready; exec sleep 600"]\n'
    root = made(build=f"#!/bin/sh\ncat > $1/launch.toml <<'END'\n{process}END\n")
    with cnb.build(root).export().running("web") as web:
        web.wait_for("ready")
        assert web.exit_code is None
    assert web.exit_code == -15


def test_servers_that_run_together_have_each_their_own_log(cnb, made):
    process = 'command = ["sh", "-c", "echo ready; exec sleep 600"]\n'
    text = f'[[processes]]\ntype = "web"\n{process}[[processes]]\ntype = "job"\n{process}'
    image = cnb.build(made(build=f"#!/bin/sh\ncat > $1/launch.toml <<'END'\n{text}END\n")).export()
    with image.running("web") as web:
        web.wait_for("ready")
        with image.running("job") as job:
            job.wait_for("ready")
            assert (web.log, job.log) == ("ready\n", "ready\n")
            assert web.path != job.path


def test_a_server_that_ends_is_told_with_its_log(cnb, made):
    process = '[[processes]]\ntype = "web"\ncommand = ["sh", "-c", "echo no port; exit 3"]\n'
    root = made(build=f"#!/bin/sh\ncat > $1/launch.toml <<'END'\n{process}END\n")
    with (
        cnb.build(root).export().running("web") as web,
        pytest.raises(LaunchError, match="ended with 3 and did not print 'ready':\nno port"),
    ):
        web.wait_for("ready")


def test_a_build_that_fails_raises_unless_told_otherwise(cnb, made):
    root = made(build="#!/bin/sh\necho because\nexit 7\n")
    with pytest.raises(BuildpackBuildError, match="exited with status 7"):
        cnb.build(root)
    failed = cnb.build(root, check=False)
    assert failed.exit_code == 7
    assert "because" in failed.log
    assert "because" in repr(failed)
    with pytest.raises(BuildError, match=r"the build failed: [^\n]*\nbecause"):
        _ = failed.processes


def test_detection_tells_status_plan_and_log(cnb, made):
    plan = '[[provides]]\nname = "x"\n[[requires]]\nname = "x"\n[requires.metadata]\nn = 1\n[[or]]\n'
    root = made(detect=f"#!/bin/sh\necho hello\ntest -f main || exit 100\ncat > $2 <<'END'\n{plan}END\n")
    detection = cnb.detect(root, files={"main": ""})
    assert detection.passed
    assert detection.exit_code == 0
    assert detection.log == "hello\n"
    assert detection.plan.provides == ["x"]
    assert detection.plan.required("x").metadata == {"n": 1}
    assert detection.plan.alternatives == [(["x"], ["x"]), ([], [])]
    assert detection.buildpacks == ["test/made"]
    assert [entry.requires[0].name for entry in detection.resolved.entries] == ["x"]
    failed = cnb.detect(root)
    assert not failed
    assert failed.exit_code == 100


@pytest.mark.parametrize(
    ("plan", "problem"), [("provides = 1", "provides: expected an array"), ("provides =", "line 1")]
)
def test_a_plan_that_is_malformed_is_told(cnb, made, plan, problem):
    detection = cnb.detect(made(detect=f"#!/bin/sh\necho '{plan}' >$2\n"))
    with pytest.raises(InvalidFileError, match=f"build plan of test/made: .*{problem}"):
        _ = detection.plan


def test_a_detect_that_removes_its_plan_is_told_as_detection_tells_it(cnb, made):
    detection = cnb.detect(made(detect='#!/bin/sh\nrm "$2"\n'))
    assert not detection.passed
    assert "plan.toml: does not exist" in detection.report


def test_a_group_that_does_not_pass_is_explained(cnb):
    wants = cnb.script("a/wants", detect="printf '[[requires]]\\nname = \"x\"\\n' > $2")
    gives = cnb.script("a/gives", detect="printf '[[provides]]\\nname = \"x\"\\n' > $2")
    with pytest.raises(NoGroupDetectedError, match=r"put a/gives@0.0.0 before a/wants@0.0.0: it provides x"):
        cnb.build([wants, gives])
    assert cnb.build([gives, wants]).group == ["a/gives", "a/wants"]


def test_a_detection_that_errs_is_explained(cnb):
    with pytest.raises(BuildpackDetectError, match="bin/detect exited with status 3: no"):
        cnb.build(cnb.script("a/errs", detect="echo no; exit 3"))


def test_later_buildpacks_have_the_tools_of_earlier_ones(built, cnb):
    maker = built._session.buildpacks[0]
    user = cnb.script("a/user", build="tool", api="0.10")
    assert cnb.build([maker, user], files={"main.txt": ""}).log.endswith("from tool\n")


def test_optional_buildpacks_may_stay_out(cnb):
    out = cnb.script("a/out", detect="exit 100", optional=True)
    assert cnb.build([out, cnb.script("a/in")]).group == ["a/in"]


def test_a_plan_replaces_detection(cnb):
    buildpack = cnb.script("a/b", detect="exit 100", build='cat "$3"')
    build = cnb.build(buildpack, plan=["x", {"name": "y", "metadata": {"version": "1"}}])
    assert (
        build.log == '[[entries]]\n  name = "x"\n\n[[entries]]\n  name = "y"\n  [entries.metadata]\n    version = "1"\n'
    )


def test_variables_of_the_user_reach_the_buildpack_and_no_others_do(cnb, monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    build = cnb.build(cnb.script("a/b", build="env"), env={"BP_X": "a b"})
    assert "BP_X=a b\n" in build.log
    assert "SECRET" not in build.log


def test_a_composite_buildpack_brings_those_beside_it(cnb, made, tmp_path):
    made("a/one", build="#!/bin/sh\necho one\n")
    composite = tmp_path / "composite"
    composite.mkdir()
    (composite / "buildpack.toml").write_text(
        'api = "0.10"\n[buildpack]\nid = "a/all"\nversion = "1"\n[[order]]\n'
        '[[order.group]]\nid = "a/one"\nversion = "1.2.3"\n'
    )
    assert cnb.build(composite).log == "one\n"


def test_extensions_generate_dockerfiles(cnb, tmp_path):
    root = tmp_path / "extension"
    (root / "bin").mkdir(parents=True)
    (root / "extension.toml").write_text('api = "0.10"\n[extension]\nid = "a/ext"\nversion = "1"\n')
    (root / "bin/generate").write_text(
        '#!/bin/sh\necho generating\nprintf "FROM other\\n" > "$CNB_OUTPUT_DIR/run.Dockerfile"\n'
    )
    (root / "bin/generate").chmod(0o755)
    generation = cnb.generate([root], cnb.script("a/b"))
    assert generation.run_image == "other"
    assert generation.dockerfile("run") == "FROM other\n"
    assert generation.log == "generating\n"
    with pytest.raises(KeyError, match=r"no extension wrote a build.Dockerfile"):
        generation.dockerfile("build")


def test_what_is_no_buildpack_is_named(cnb, tmp_path):
    with pytest.raises(InvalidInputError, match=r"is not a buildpack: it has no buildpack.toml"):
        cnb.build(tmp_path)
    with pytest.raises(InvalidInputError, match="is not a directory; name the directory of a buildpack"):
        cnb.detect(tmp_path / "none")
    with pytest.raises(InvalidInputError, match="name the directory of an app"):
        cnb.detect(cnb.script("a/b"), tmp_path / "none")


BINDING = {"type": "postgresql", "password": b"secret\n"}


def test_executables_find_service_bindings_until_a_build_is_given_others(cnb):
    show = 'cd "$CNB_PLATFORM_DIR"; for each in bindings/*/*; do echo "$each: $(cat "$each")"; done'
    buildpack = cnb.script("a/b", detect=show, build=show, api="0.12")
    shown = "bindings/db/password: secret\nbindings/db/type: postgresql\n"
    assert cnb.detect(buildpack, bindings={"db": BINDING}).log == shown
    build = cnb.build(buildpack, bindings={"db": BINDING})
    assert build.log == shown
    again = build.rebuild()
    assert again.log == shown
    assert again.rebuild(bindings={"x": {"type": "y"}}).log == "bindings/x/type: y\n"
    with pytest.raises(InvalidInputError, match="binding 'db' has no type"):
        cnb.detect(buildpack, bindings={"db": {}})


def test_a_name_that_is_not_there_is_told_with_those_that_are(cnb):
    build = cnb.build(
        cnb.script(
            "a/b",
            build='mkdir "$1/made"; touch "$1/made/one"; printf "[types]\\nlaunch = true\\n" > "$1/made.toml"\n'
            'printf \'[[processes]]\\ntype = "web"\\ncommand = ["true"]\\n[[labels]]\\nkey = "k"\\nvalue = "v"\\n\' '
            '> "$1/launch.toml"',
        )
    )
    image = build.export()
    lookups = {
        "no process is called 'x'; there are web": lambda: build.processes["x"],
        "no label is called 'x'; there are k": lambda: build.labels["x"],
        "no label is called 'x'; there are .*io.buildpacks.lifecycle.metadata": lambda: image.labels["x"],
        "no variable is called 'x'; there are .*PATH": lambda: image.env["x"],
        "no variable is called 'x'; there are PATH, HOME": lambda: build.env["x"],
        "no layer of the last build is called 'x'; there are made": lambda: build.rebuild().restored["x"],
        "layer made has no file 'x'; there are one": lambda: build.layers["made"].read("x"),
        "no buildpack 'x' took part; there are a/b": lambda: build.store("x"),
    }
    for text, look_up in lookups.items():
        with pytest.raises(KeyError, match=text):
            look_up()
    assert build.labels == {"k": "v"}
