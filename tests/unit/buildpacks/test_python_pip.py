"""The buildpack python-pip, run as a lifecycle runs it, with wheels from a directory instead of an index."""

from __future__ import annotations

import base64
import csv
import dataclasses
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import venv
from pathlib import Path

import pytest

REUSED = "Reusing layer packages: requirements.txt, Python and platform are as in the last build"


@pytest.fixture
def python_pip(ours):
    return ours / "python-pip"


@pytest.fixture
def new_app(new_workspace, wheelhouse):
    """A function that makes a workspace whose app requires the given lines."""

    def make(name="workspace", requirements="greeter==1.0\n", **settings):
        env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse)}
        made = new_workspace(name, env=env, **settings)
        (made.app / "requirements.txt").write_text(requirements)
        return made

    return make


@pytest.fixture(scope="session")
def installed(tmp_path_factory, wheelhouse, ours):
    """A layers directory after a build of greeter 1.0, not to be changed."""
    root = tmp_path_factory.mktemp("installed")
    app, layers = root / "app", root / "layers"
    app.mkdir()
    layers.mkdir()
    (app / "requirements.txt").write_text("greeter==1.0\n")
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheelhouse),
        "CNB_LAYERS_DIR": str(layers),
        "CNB_PLATFORM_DIR": str(root),
        "CNB_BP_PLAN_PATH": os.devnull,
    }
    subprocess.run([ours / "python-pip/bin/build"], cwd=app, env=env, check=True, capture_output=True)
    return layers


def restore(source, target):
    """Leave in ``target`` what a lifecycle restores of ``source``: no types, metadata in its own layout."""
    metadata = tomllib.loads((source / "packages.toml").read_text())["metadata"]
    lines = "".join(f'  {key} = "{value}"\n' for key, value in metadata.items())
    (target / "packages.toml").write_text(f"[metadata]\n{lines}")
    (target / "pip-cache.toml").write_text("")
    shutil.copytree(source / "pip-cache", target / "pip-cache")
    shutil.copytree(source / "packages", target / "packages")


def tree(root):
    """Return mode and content of everything below a directory."""
    return {
        str(path.relative_to(root)): (
            oct(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(root.rglob("*"))
    }


def test_an_app_with_requirements_passes_with_a_plan_that_stands_alone(new_app, python_pip):
    app = new_app()
    assert app.detect(python_pip).returncode == 0
    assert tomllib.loads(app.plan.read_text()) == {
        "provides": [{"name": "python-packages"}],
        "requires": [{"name": "python-packages"}],
    }


def test_an_app_without_requirements_fails_detection(workspace, python_pip):
    assert workspace.detect(python_pip).returncode == 100
    assert workspace.plan.read_text() == ""


def test_layer_types_let_the_app_later_buildpacks_and_the_next_build_have_the_packages(installed):
    assert tomllib.loads((installed / "packages.toml").read_text())["types"] == {
        "launch": True,
        "build": True,
        "cache": True,
    }
    assert tomllib.loads((installed / "pip-cache.toml").read_text()) == {"types": {"cache": True}}


def test_modules_of_packages_do_not_become_directories_that_a_lifecycle_gives_a_meaning(installed):
    assert sorted(path.name for path in (installed / "packages").iterdir()) == ["bin", "env", "python"]
    assert (installed / "packages/python/lib/__init__.py").exists()


def test_python_path_is_prepended(installed):
    env = installed / "packages" / "env"
    assert (env / "PYTHONPATH.prepend").read_text() == str(installed / "packages" / "python")
    assert (env / "PYTHONPATH.delim").read_text() == ":"


@pytest.mark.parametrize("script", ["greet", "greet-too"])
def test_scripts_run_after_the_layer_has_moved(installed, tmp_path, script):
    moved = tmp_path / "elsewhere"
    shutil.copytree(installed / "packages", moved)
    env = {
        "PATH": f"{moved}/bin:{os.environ['PATH']}",
        "PYTHONPATH": f"{moved}/python",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert subprocess.check_output([moved / "bin" / script], env=env, text=True) == "hello from a wheel\n"


def test_record_lists_the_files_of_a_package_with_their_hashes(installed):
    site = installed / "packages" / "python"
    with (site / "greeter-1.0.dist-info" / "RECORD").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == sorted(rows)
    assert {"../bin/greet", "../bin/greet-too", "share/greeter/words.txt", "greeter/__init__.py"} <= {
        row[0] for row in rows
    }
    for name, digest, size in rows:
        if not name.endswith("RECORD"):
            content = (site / name).read_bytes()
            encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={encoded}", str(len(content)))


def test_nothing_in_the_layer_names_the_build_but_the_python_path(installed):
    naming = [
        str(path.relative_to(installed / "packages"))
        for path in (installed / "packages").rglob("*")
        if path.is_file() and re.search(rb"/layers|" + re.escape(sys.prefix.encode()), path.read_bytes())
    ]
    assert naming == ["env/PYTHONPATH.prepend"]


def test_builds_in_other_directories_with_another_umask_make_the_same_layer(installed, new_app, python_pip):
    other = new_app("other place", umask=0o077)
    assert other.build(python_pip).returncode == 0
    expected, found = tree(installed / "packages"), tree(other.layers / "packages")
    assert found.pop("env/PYTHONPATH.prepend")[1] == str(other.layers / "packages/python").encode()
    del expected["env/PYTHONPATH.prepend"]
    assert found == expected
    for name in ("packages.toml", "packages.sbom.cdx.json"):
        assert (other.layers / name).read_bytes() == (installed / name).read_bytes()


def test_the_sbom_lists_what_was_installed(installed):
    assert json.loads((installed / "packages.sbom.cdx.json").read_text()) == {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": [
            {
                "type": "library",
                "bom-ref": "pkg:pypi/greeter@1.0",
                "name": "greeter",
                "version": "1.0",
                "purl": "pkg:pypi/greeter@1.0",
                "licenses": [{"expression": "MIT"}],
            },
            {
                "type": "library",
                "bom-ref": "pkg:pypi/some-words@2.0",
                "name": "some-words",
                "version": "2.0",
                "purl": "pkg:pypi/some-words@2.0",
                "licenses": [{"license": {"name": "BSD"}}],
            },
        ],
    }


def test_restored_packages_are_reused_without_pip(installed, new_app, python_pip):
    app = new_app()
    app.env = {"PIP_NO_INDEX": "1"}
    restore(installed, app.layers)
    built = app.build(python_pip)
    assert built.returncode == 0
    assert built.stdout.splitlines()[1:] == [
        "Reusing layer pip-cache: as in the last build",
        REUSED,
        "Packages: greeter 1.0, some-words 2.0",
    ]
    for name in ("packages.toml", "pip-cache.toml", "packages.sbom.cdx.json"):
        assert (app.layers / name).read_bytes() == (installed / name).read_bytes()
    assert (app.layers / "packages/env/PYTHONPATH.prepend").read_text() == str(app.layers / "packages/python")


@pytest.fixture
def wheel_server(wheelhouse):
    """An HTTP server of the wheels that allows caching: its URL and, growing, the paths asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self):
            self.send_header("Cache-Control", "max-age=3600")
            super().end_headers()

        def log_request(self, code="-", size="-"):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=wheelhouse)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


def test_a_lost_layer_is_installed_again_from_the_pip_cache(new_app, wheel_server, python_pip):
    url, asked = wheel_server
    app = new_app(requirements="some-words\n")
    # pip caches plain HTTP for trusted hosts only.
    app.env |= {"PIP_FIND_LINKS": url, "PIP_TRUSTED_HOST": "127.0.0.1"}
    for _ in range(2):
        built = app.build(python_pip)
        assert "Creating layer packages: none from an earlier build\n" in built.stdout
        assert (app.layers / "packages/python/some_words.py").exists()
        shutil.rmtree(app.layers / "packages")
    assert asked.count("/some_words-2.0-py3-none-any.whl") == 1


def test_a_changed_requirement_replaces_the_packages(installed, new_app, python_pip):
    app = new_app(requirements="greeter==1.1\n")
    restore(installed, app.layers)
    built = app.build(python_pip)
    assert "Creating layer packages: requirements.txt changed\n" in built.stdout
    assert built.stdout.endswith("Packages: greeter 1.1, some-words 2.0\n")
    assert not (app.layers / "packages/python/greeter-1.0.dist-info").exists()


@pytest.fixture
def origin(load, ours):
    return load(ours / "python-pip/lib/origin.py")


def test_each_difference_to_the_last_build_is_a_reason(origin):
    now = origin.describe("digest", "0.2.0", {})
    before = dataclasses.replace(now, python="3.1", platform="linux-vax-glibc", buildpack="0.1.0", requirements="other")
    assert origin.difference(before, now, "requirements.txt") == (
        f"requirements.txt changed, python 3.1 → 3.{sys.version_info.minor},"
        f" platform linux-vax-glibc → {now.platform}, buildpack 0.1.0 → 0.2.0"
    )
    assert origin.difference(now, now, "requirements.txt") is None


def test_pip_settings_that_select_packages_prevent_reuse_and_others_do_not(origin):
    plain, selecting, other = (
        origin.describe("digest", "0.1.0", env)
        for env in ({}, {"PIP_ONLY_BINARY": ":all:"}, {"PIP_INDEX_URL": "https://mirror.example.org/simple"})
    )
    assert origin.difference(plain, selecting, "uv.lock") == "PIP_* settings changed"
    assert origin.difference(plain, other, "uv.lock") is None


def test_a_local_wheel_is_installed_in_each_build_and_leaves_no_path(new_app, wheelhouse, python_pip):
    app = new_app(requirements="./some_words-2.0-py3-none-any.whl\n")
    shutil.copy(wheelhouse / "some_words-2.0-py3-none-any.whl", app.app)
    for reason in ("none from an earlier build", "requirements.txt:1 names a local package, which may have changed"):
        built = app.build(python_pip)
        assert f"Creating layer packages: {reason}\n" in built.stdout
    assert not list((app.layers / "packages").rglob("direct_url.json"))


def test_pip_can_be_that_of_another_python_on_path(new_app, tmp_path, python_pip, installed):
    venv.create(tmp_path / "bare", with_pip=False)
    other = tmp_path / "bare/bin/python3.99"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    app = new_app(path=f"{tmp_path}/bare/bin:/nowhere")
    # env is looked up by its absolute path, sh by that of the wrapper.
    built = app.build(python_pip)
    assert (built.returncode, built.stderr) == (0, "")
    assert tree(app.layers / "packages").keys() == tree(installed / "packages").keys()


def test_without_any_pip_the_error_says_what_to_do(new_app, tmp_path, python_pip):
    venv.create(tmp_path / "bare", with_pip=False)
    built = new_app(path=str(tmp_path / "bare/bin")).build(python_pip)
    assert built.returncode == 1
    assert re.fullmatch(r"python-pip: \S+/bare/bin/python3? has no pip, .*python3 -m ensurepip.*\n", built.stderr)


def test_what_pip_can_not_find_fails_the_build_with_its_output(new_app, python_pip):
    app = new_app(requirements="greeter==9\n")
    built = app.build(python_pip)
    assert built.returncode == 1
    assert "No matching distribution found for greeter==9" in built.stdout
    assert (
        built.stderr == "python-pip: pip install of requirements.txt failed with exit status 1: see its output above\n"
    )
    assert not (app.layers / "packages.toml").exists()


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        ("greeter\n-e .\n", "requirements.txt:2: an image can't hold an editable package"),
        ("# one\n\n-r more.txt\n", "requirements.txt:3: names more.txt, which can't be read: No such file"),
    ],
)
def test_requirements_that_no_layer_can_hold_are_refused_by_line(new_app, python_pip, requirements, problem):
    built = new_app(requirements=requirements).build(python_pip)
    assert built.returncode == 1
    assert built.stderr.startswith(f"python-pip: {problem}")


@pytest.fixture
def requirements_files(load, ours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return load(ours / "python-pip/lib/requirements_files.py")


@pytest.mark.parametrize(
    "line",
    ["-r more/base.txt", "-rmore/base.txt", "--requirement=more/base.txt", "-c 'more/base.txt'  # why"],
)
def test_files_named_by_requirements_decide_too(requirements_files, tmp_path, line):
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    (tmp_path / "more/base.txt").write_text("-c limits.txt\n")
    digests = set()
    for content in ("a\n", "b\n"):
        (tmp_path / "more/limits.txt").write_text(content)
        digests.add(requirements_files.read(Path("requirements.txt"), {}).digest)
    assert len(digests) == 2


def test_constraints_in_the_environment_decide_too(requirements_files, tmp_path):
    (tmp_path / "requirements.txt").write_text("greeter\n")
    (tmp_path / "limits.txt").write_text("greeter<2\n")
    plain, limited = (
        requirements_files.read(Path("requirements.txt"), env) for env in ({}, {"PIP_CONSTRAINT": "limits.txt"})
    )
    assert plain.digest != limited.digest


def test_files_that_name_each_other_are_read_once(requirements_files, tmp_path):
    (tmp_path / "requirements.txt").write_text("-r other.txt\n")
    (tmp_path / "other.txt").write_text("-r requirements.txt\n")
    assert requirements_files.read(Path("requirements.txt"), {}).always is None


@pytest.mark.parametrize(
    ("line", "always"),
    [
        ("bottle==0.13.4 \\\n  --hash=sha256:00", None),
        ("Flask[async]>=3 ; python_version < '3.13'", None),
        ("--require-hashes", None),
        ("--find-links ./wheels", None),
        ("thing @ https://example.org/thing-1.0.tar.gz", None),
        ("git+https://example.org/thing@v1", None),
        ("./thing", "local"),
        ("vendor/thing", "local"),
        ("thing @ file:///srv/thing", "local"),
        ("thing-1.0.whl", "local"),
        ("-r https://example.org/requirements.txt", "remote"),
    ],
)
def test_only_what_may_change_behind_the_text_is_always_installed(requirements_files, tmp_path, line, always):
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    found = requirements_files.read(Path("requirements.txt"), {}).always
    assert found is None if always is None else always in found
