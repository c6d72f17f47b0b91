"""The pytest plugin in a pytest run of its own, as its users have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lifecycle

SOURCE = Path(lifecycle.__file__).parents[1]
PROCFILE = SOURCE / "buildpacks" / "procfile"


def run_pytest(directory, *arguments):
    """Run pytest on `directory` with this plugin, by its entry point or, where that is not installed, by its module."""
    code = (
        "import sys, importlib.metadata as m, pytest;"
        "named = any(e.value == 'lifecycle.testing.plugin' for e in m.entry_points(group='pytest11'));"
        "sys.exit(pytest.main([*([] if named else ['-p', 'lifecycle.testing.plugin']), *sys.argv[1:]]))"
    )
    command = [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", "-W", "error", *map(str, arguments)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("failing")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "def test_it(cnb):\n"
        "    build = cnb.build(cnb.script('a/b', build='for i in $(seq 99); do echo line $i of the log; done'))\n"
        "    assert 'missing' in build.log\n"
        "def test_other(cnb):\n"
        "    cnb.build(cnb.script('a/b', build='echo because; exit 1'))\n"
    )
    return run_pytest(tmp_path).stdout


def test_the_log_of_a_buildpack_is_part_of_the_report_of_a_failure(failing):
    assert "log of bin/build of a/b@0.0.0, which exited with status 1" in failing
    assert "\nbecause\n" in failing
    assert "exited with status 1; its output above should tell why" in failing


def test_an_assertion_on_a_log_shows_its_end(failing):
    assert "AssertionError: assert 'missing' in the log of the buildpack" in failing
    assert "(39 lines before)" in failing
    assert "line 99 of the log" in failing
    assert "line 39 of the log" not in failing


def test_the_contract_takes_one_line(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "from lifecycle.testing import contract\n"
        f"TestContract = contract({str(PROCFILE)!r}, files={{'Procfile': 'web: echo'}}, broken={{'Procfile': '-'}})\n"
    )
    done = run_pytest(tmp_path, "-k", "ends_with_0_or_100 or fails_says_so or commands_of")
    assert "3 passed" in done.stdout, done.stdout


def test_the_contract_takes_no_file_at_all(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_other(): raise AssertionError\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Procfile").write_text("web: echo\n")
    options = ["--cnb-buildpack", PROCFILE, "--cnb-app", "app", "--cnb-env", "A=b"]
    done = run_pytest(tmp_path, *options, "-k", "detect_ends or exist or other", "-vv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_detect_ends_with_0_or_100[procfile] PASSED" in done.stdout
    assert "test_commands_of_processes_exist[procfile] PASSED" in done.stdout
    assert "test_other.py" not in done.stdout


def test_tests_that_are_named_run_beside_options_of_the_contract(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    done = run_pytest(tmp_path, "--cnb-buildpack", PROCFILE, "test_other.py")
    assert "1 passed" in done.stdout


def test_a_run_without_the_fixtures_loads_nothing_of_them(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert {name for name in sys.modules if name.startswith(('lifecycle.', 'pydantic'))} == "
        "{'lifecycle.testing', 'lifecycle.testing.plugin'}\n"
    )
    assert "1 passed" in run_pytest(tmp_path).stdout


def test_a_contract_that_does_not_run_loads_nothing_of_the_lifecycle(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "from lifecycle.testing import contract\n"
        f"TestContract = contract({str(PROCFILE)!r})\n"
        "def test_it():\n"
        "    assert not [name for name in sys.modules if name.startswith(('lifecycle.phases', 'pydantic'))]\n"
    )
    assert "1 passed, 25 deselected" in run_pytest(tmp_path, "-k", "test_it.py and not Contract").stdout


def test_the_lifecycle_is_loaded_as_it_was_compiled_and_tests_are_not(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(cnb):\n"
        "    name = 'lifecycle.phases.build'\n"
        "    assert type(sys.modules[name].__loader__).__name__ == 'SourceFileLoader'\n"
        "    assert name == 'another', 'told by pytest'\n"
    )
    assert "AssertionError: told by pytest\nE       assert 'lifecycle.phases.build' == 'another'" in run_pytest(
        tmp_path
    ).stdout.replace("\\n", "\n")


def test_public_names_are_there_and_others_are_not():
    import lifecycle.testing as public

    assert {getattr(public, name).__name__ for name in public.__all__} == set(public.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'none'"):
        _ = public.none
