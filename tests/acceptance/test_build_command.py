"""``lifecycle build`` and ``lifecycle run`` as a person uses them."""

import json
import os
import shutil
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
APP = FIXTURES / "apps" / "plain"
BUILDPACKS = FIXTURES / "buildpacks"


def build(lifecycle, *arguments, app=APP, buildpack="hello-processes", **keywords):
    return lifecycle("build", app, "-b", BUILDPACKS / buildpack, "-t", "app", *arguments, **keywords)


def image_id(done):
    return done.stdout.split("image id  ")[1].strip()


def test_the_second_build_reuses_every_layer_and_makes_the_same_image(lifecycle, tmp_path):
    first = build(lifecycle, "-o", tmp_path / "image")
    second = build(lifecycle, "-o", tmp_path / "image")
    assert image_id(first) == image_id(second)
    assert "every layer was reused" in second.stderr
    assert "added" not in second.stderr


@pytest.mark.requirement("PLAT-REPRO-001")
def test_place_umask_and_home_do_not_show_in_the_image(lifecycle, tmp_path):
    shutil.copytree(APP, tmp_path / "other place" / "clone")
    for path in (tmp_path / "other place").rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)
        os.utime(path, (1, 1))
    one = build(lifecycle, "-o", tmp_path / "one")
    other = build(lifecycle, "-o", tmp_path / "two.tar", app=tmp_path / "other place" / "clone", home="elsewhere")
    if not one.paths_are_of_image:
        pytest.skip("this host lets buildpacks see no paths but those of the user's home")
    assert image_id(one) == image_id(other)


def test_the_app_directory_is_left_as_it_was(lifecycle, tmp_path):
    app = shutil.copytree(APP, tmp_path / "app")
    before = {path: path.stat().st_mtime_ns for path in [app, *app.rglob("*")]}
    build(lifecycle, "-o", tmp_path / "image", app=app)
    assert {path: path.stat().st_mtime_ns for path in [app, *app.rglob("*")]} == before


def test_an_output_inside_the_app_is_refused(lifecycle, tmp_path):
    app = shutil.copytree(APP, tmp_path / "app")
    done = build(lifecycle, "-o", app / "image", app=app, check=False)
    assert done.returncode == 3
    assert "lies inside the app" in done.stderr


def test_a_pipe_in_the_place_of_project_toml_is_told(lifecycle, tmp_path):
    app = shutil.copytree(APP, tmp_path / "app")
    os.mkfifo(app / "project.toml")
    done = build(lifecycle, "-o", tmp_path / "image", app=app, check=False)
    assert done.returncode == 1
    assert f"{app}/project.toml: is not a file" in done.stderr


def test_what_builds_keep_inside_the_app_is_no_part_of_the_image(lifecycle, tmp_path):
    app = shutil.copytree(APP, tmp_path / "app")
    kept = ("--cache-dir", app / "ci", "--cache-to", f"type=local,dest={app}/to", "--cache-report", app / "report.json")
    for path in (app / ".local/state", app / ".cache"):
        path.mkdir(parents=True)
    plain = image_id(build(lifecycle, "-o", tmp_path / "plain", app=app))
    for _ in range(2):
        assert image_id(build(lifecycle, "-o", tmp_path / "image", *kept, app=app, home="app")) == plain
    assert {path.name for path in app.iterdir()} >= {"ci", "to", "report.json"}
    assert any((app / ".local/state").iterdir())


def test_a_failing_buildpack_keeps_the_previous_image(lifecycle, tmp_path):
    first = build(lifecycle, "-o", tmp_path / "image")
    index = (tmp_path / "image" / "index.json").read_bytes()
    done = build(lifecycle, "-o", tmp_path / "image", buildpack="fails-build", check=False)
    assert done.returncode == 51
    assert "exited with status 7" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "image" / "index.json").read_bytes() == index
    assert image_id(first)


def test_no_buildpack_that_passes_is_said_plainly(lifecycle):
    done = build(lifecycle, buildpack="fails-detect", check=False)
    assert done.returncode == 20
    assert "Traceback" not in done.stderr


def test_an_order_without_groups_is_said_plainly(lifecycle, tmp_path):
    (tmp_path / "order.toml").write_text('[[groups]]\nid = "a/b"\n')
    done = lifecycle("build", APP, "--buildpacks", tmp_path, "--order", "order.toml", check=False)
    assert done.returncode == 20
    assert "error: the order has no group of buildpacks\n" in done.stderr


def test_json_output_is_one_event_a_line_and_ends_with_the_image(lifecycle, tmp_path):
    done = build(lifecycle, "--json", "-o", tmp_path / "image")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "image"
    assert {"phase", "buildpack", "layer", "image"} <= {event["event"] for event in events}
    assert done.stderr == ""


def test_quiet_says_only_the_result(lifecycle, tmp_path):
    done = build(lifecycle, "--quiet", "-o", tmp_path / "image")
    assert done.stderr == ""
    assert image_id(done).startswith("sha256:")


def test_variables_reach_the_buildpacks(lifecycle, tmp_path):
    (tmp_path / "vars").write_text("# comment\nFROM_FILE=1\n")
    done = build(lifecycle, "-e", "GIVEN=2", "--env-file", tmp_path / "vars", buildpack="env-dump")
    assert "FROM_FILE=1" in done.stderr
    assert "GIVEN=2" in done.stderr


def test_another_image_is_a_base(lifecycle, tmp_path):
    build(lifecycle, "-o", tmp_path / "base")
    done = build(lifecycle, "--run-image", tmp_path / "base", "-o", tmp_path / "image")
    index = json.loads((tmp_path / "image" / "index.json").read_text())
    blobs = tmp_path / "image" / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    base = json.loads((tmp_path / "base" / "index.json").read_text())["manifests"][0]["digest"]
    base_manifest = json.loads((tmp_path / "base" / "blobs" / "sha256" / base[7:]).read_text())
    count = len(base_manifest["layers"])
    assert [each["digest"] for each in manifest["layers"][:count]] == [
        each["digest"] for each in base_manifest["layers"]
    ]
    assert len(manifest["layers"]) > count
    assert image_id(done)


def test_a_missing_run_image_is_said_plainly(lifecycle, tmp_path):
    done = build(lifecycle, "--run-image", tmp_path / "none", check=False)
    assert done.returncode == 1
    assert "run image is not there" in done.stderr


def test_run_starts_a_process_of_the_last_build_with_arguments(lifecycle, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text('hello: echo "hello from $PWD" $0\n')
    procfile = Path(__file__).parents[2] / "buildpacks" / "procfile"
    lifecycle("build", app, "-b", procfile, "-o", tmp_path / "image")
    done = lifecycle("run", "hello")
    assert done.stdout.startswith("hello from /")


def test_run_without_a_build_says_what_to_do(lifecycle):
    done = lifecycle("run", check=False)
    assert done.returncode != 0
    assert "lifecycle build" in done.stderr


def test_the_help_fits_a_screen(lifecycle):
    done = lifecycle("--help")
    assert len(done.stdout.splitlines()) <= 24


def test_restored_layers_come_with_their_reason(lifecycle, tmp_path):
    build(lifecycle, "-o", tmp_path / "image", buildpack="layers-all")
    done = build(lifecycle, "-o", tmp_path / "image", buildpack="layers-all")
    restored = [line for line in done.stderr.splitlines() if line.startswith(("    contents", "    metadata"))]
    assert restored
    assert all(": " in line for line in restored)


def test_clear_cache_forgets_what_was_restored_and_no_other_file(lifecycle, tmp_path):
    build(lifecycle, "--cache-dir", "dir", "-o", tmp_path / "one", buildpack="layers-all")
    (tmp_path / "dir" / "mine").touch()
    done = build(lifecycle, "--cache-dir", "dir", "--clear-cache", "-o", tmp_path / "two", buildpack="layers-all")
    assert "nothing to restore" in done.stderr
    assert (tmp_path / "dir" / "mine").exists()


def test_run_names_the_processes_there_are_where_none_is_meant(lifecycle, tmp_path):
    build(lifecycle, "-o", tmp_path / "image")
    for arguments, problem in (((), "no default process"), (("nope",), "no process of type nope")):
        done = lifecycle("run", *arguments, check=False)
        assert done.returncode == 1
        assert done.stderr == f"error: the last build has {problem}\n       name one that it has: sys-info\n"


def test_run_says_so_where_the_image_starts_nothing(lifecycle, tmp_path):
    build(lifecycle, "-o", tmp_path / "image", buildpack="hello-world")
    done = lifecycle("run", check=False)
    assert done.stderr.startswith("error: the last build has no process\n")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("-b", "/nowhere"), 3, "error: /nowhere: is not a directory\n"),
        (("-b", "/"), 3, "error: /: is not a buildpack: it has no buildpack.toml\n"),
        (("--cache-dir", APP), 3, f"error: {APP}: is the app itself\n"),
        (("--cache-dir", "/dev/null/cache"), 1, "error: /dev/null/cache: can't be made: Not a directory\n"),
        (("--env-file", "/nowhere"), 3, "error: /nowhere: can't be read: No such file or directory\n"),
        (("--env-file", "/bin/sh"), 3, "error: /bin/sh: can't be read: it is not UTF-8\n"),
        (("-e", "=x"), 3, "error: --env '=x' has no name\n"),
        (("--env-file", "vars"), 3, "error: vars: line 2: '=x' has no name\n       write NAME=VALUE\n"),
        (("-b", "no-build"), 3, "error: no-build: is not a buildpack: it has no bin/build"),
        (("--uid", "-1"), 2, "Invalid value for '--uid'"),
        (("--descriptor", "/nowhere"), 1, "error: /nowhere: does not exist\n"),
        (("-t", "UPPER"), 3, "error: 'UPPER' is not a valid image reference"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(lifecycle, tmp_path, arguments, status, said):
    (tmp_path / "vars").write_text("# comment\n=x\n")
    (tmp_path / "no-build").mkdir()
    (tmp_path / "no-build" / "buildpack.toml").write_text('api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "1"\n')
    done = build(lifecycle, *arguments, check=False)
    assert done.returncode == status
    assert said in done.stderr
    assert "==>" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_can_not_be_written_is_told_before_the_build(lifecycle, tmp_path):
    (tmp_path / "file").touch()
    for report in (tmp_path, tmp_path / "file" / "report.json"):
        done = build(lifecycle, "-o", tmp_path / "image", "--cache-report", report, check=False)
        assert (done.returncode, "==>" in done.stderr) == (3, False)
        assert "can't be written\n       correct --cache-report" in done.stderr


def test_a_user_id_that_linux_does_not_have_is_refused(lifecycle, tmp_path):
    done = build(lifecycle, "-o", tmp_path / "image", "--uid", str(2**32 - 1), check=False)
    assert (done.returncode, "--uid" in done.stderr) == (2, True)


def test_a_project_toml_of_which_nothing_would_be_read_is_told(lifecycle, tmp_path):
    app = shutil.copytree(APP, tmp_path / "app")
    (app / "project.toml").write_text('[io.buildpacks]\nexclude = ["secret"]\n')
    done = build(lifecycle, "-o", tmp_path / "image", app=app)
    assert "warning: " in done.stderr
    assert '[io.buildpacks] is not read without [_] and its schema-version = "0.2": add it' in done.stderr
