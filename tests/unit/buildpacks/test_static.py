"""The buildpack static, without nginx; tests/acceptance has builds with Debian's."""

from __future__ import annotations

import subprocess

import pytest

import cnb_buildpack as bp


@pytest.fixture
def static(ours):
    return ours / "static"


@pytest.fixture
def module(load, static):
    return load(static / "lib" / "buildpack.py")


@pytest.fixture
def context(tmp_path, static):
    def make(**env):
        return bp.DetectContext.at(app_dir=tmp_path, root=static, env=env)

    return make


@pytest.mark.parametrize("root", ["public", "dist", "build", "."])
def test_a_directory_with_an_index_is_served(context, module, tmp_path, root):
    assert module.site_root(context()) is None
    (tmp_path / root).mkdir(exist_ok=True)
    (tmp_path / root / "index.html").touch()
    assert module.site_root(context()) == root


def test_detection_says_where_it_looked(workspace, static):
    failed = workspace.detect(static)
    assert failed.returncode == 100
    assert "no index.html in public, dist, build, ." in failed.stdout + failed.stderr


def test_a_root_that_is_set_has_to_be_there(context, module, tmp_path):
    with pytest.raises(bp.BuildpackError, match="no directory of the app"):
        module.site_root(context(BP_WEB_SERVER_ROOT="web"))
    (tmp_path / "web").mkdir()
    assert module.site_root(context(BP_WEB_SERVER_ROOT="web")) == "web"


def test_a_root_that_a_buildpack_before_makes_is_waited_for(workspace, static):
    workspace.env = {"BP_WEB_SERVER_ROOT": "web"}
    assert workspace.detect(static).returncode == 0
    built = workspace.build(static)
    assert built.returncode == 1
    assert "BP_WEB_SERVER_ROOT is web, which is no directory of the app" in built.stderr


@pytest.mark.parametrize("text", ["/etc", "..", "a/../../b"])
def test_a_root_outside_the_app_is_refused(context, module, tmp_path, text):
    (tmp_path / "a").mkdir()
    (tmp_path.parent / "b").mkdir(exist_ok=True)
    with pytest.raises(bp.BuildpackError, match="no directory of the app"):
        module.site_root(context(BP_WEB_SERVER_ROOT=text))


def test_addresses_without_a_file_are_404_or_the_index(module):
    assert "try_files $uri $uri/index.html $uri.html =404;" in module.configuration(push_state=False)
    assert "$uri.html /index.html;" in module.configuration(push_state=True)


def test_a_port_that_is_none_is_refused_before_nginx_starts(static, tmp_path):
    program = static / "lib" / "site" / "serve-site"
    done = subprocess.run(
        [program, "."],
        env={"PORT": "80;", "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "PORT is 80;, which is no port: set it to a number\n"
