"""What platforms give: variables, bindings, targets."""

from __future__ import annotations

import os

import pytest

import cnb_buildpack as bp


@pytest.fixture
def bind(site):
    """A function that makes a service binding."""

    def make(name, root=site.platform / "bindings", **entries):
        (root / name).mkdir(parents=True)
        for key, value in entries.items():
            (root / name / key).write_bytes(value if isinstance(value, bytes) else value.encode())

    return make


def test_user_provided_variables_are_read_though_they_are_not_in_the_environment(site):
    (site.platform / "env").mkdir()
    (site.platform / "env" / "BP_NAME").write_text("value\n")
    assert site.build().platform.env == {"BP_NAME": "value\n"}


def test_no_platform_directory_is_no_variables_and_no_bindings(site):
    site.platform.rmdir()
    platform = site.build().platform
    assert (platform.env, platform.bindings, platform.binding("ca")) == ({}, (), None)


def test_a_binding_is_found_by_type_without_regard_to_case(site, bind):
    bind("db", type="PostgreSQL\n", provider="acme", username="me\n", password=b"\xff")
    bind("maven", type="maven", settings="<xml/>")
    found = site.build().platform.binding("postgresql")
    assert (found.name, found.type, found.provider, found.keys()) == (
        "db",
        "PostgreSQL",
        "acme",
        ("password", "username"),
    )
    assert (found["username"], found.bytes("password"), found.file("username").read_text()) == ("me", b"\xff", "me\n")
    assert list(found) == ["password", "username"]


def test_bindings_of_kubernetes_are_links_beside_hidden_directories(site, bind):
    bind("db", type="mysql")
    db = site.platform / "bindings/db"
    (db / "..data").mkdir()
    (db / "..data" / "host").write_text("here")
    (db / "..data" / ".npmrc").write_text("registry=here")
    for name in ("host", ".npmrc"):
        (db / name).symlink_to(f"..data/{name}")
    assert [(each.name, each.keys()) for each in site.build().platform.bindings] == [("db", (".npmrc", "host"))]


def test_service_binding_root_is_where_bindings_are_if_it_is_set(site, bind, tmp_path):
    bind("one", type="a")
    bind("two", root=tmp_path / "bound", type="a")
    assert site.build(SERVICE_BINDING_ROOT=str(tmp_path / "bound")).platform.binding("a").name == "two"


def test_several_bindings_of_a_type_are_told_apart_by_provider_or_name(site, bind):
    bind("one", type="a", provider="x")
    bind("two", type="a", provider="y")
    platform = site.build().platform
    with pytest.raises(bp.BuildpackError, match="there are 2 service bindings of type a: one, two"):
        platform.binding("a")
    assert platform.binding("a", provider="Y").name == platform.binding("a", name="two").name == "two"


def test_a_binding_without_a_type_is_an_error_that_names_it(site, bind):
    bind("one", user="x")
    with pytest.raises(bp.BuildpackError, match="bindings/one: a service binding without type; add a file 'type'"):
        _ = site.build().platform.bindings


def test_no_secret_is_in_a_representation_or_an_error(site, bind):
    bind("one", type="a", password="hunter2", key=b"hunter2\xff")
    context = site.build(TOKEN="hunter2")
    found = context.platform.binding("a")
    for key in ("user", "key"):
        with pytest.raises(bp.BuildpackError) as raised:
            _ = found[key]
        assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr((context, context.platform, found))


def test_the_target_is_that_of_the_variables(site):
    target = site.build(
        CNB_TARGET_OS="linux",
        CNB_TARGET_ARCH="arm",
        CNB_TARGET_ARCH_VARIANT="v7",
        CNB_TARGET_DISTRO_NAME="debian",
        CNB_TARGET_DISTRO_VERSION="12",
    ).target
    assert target == bp.Target("linux", "arm", "v7", "debian", "12")


def test_without_variables_the_target_is_this_machine(site):
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = os.uname().machine
    assert site.build().target == bp.Target("linux", names.get(machine, machine))


def test_the_execution_environment_is_production_unless_told(site):
    assert (site.build().exec_env, site.build(CNB_EXEC_ENV="test").exec_env) == ("production", "test")


def test_a_descriptor_says_who_the_buildpack_is(site):
    found = site.build().descriptor
    assert (found.id, found.version, str(found.api), found.metadata) == ("test/it", "1.2.3", "0.12", {"key": 1})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('api = "0.12"', "has no buildpack.id"),
        ('[buildpack]\nid = "a"', "buildpack.toml: has no api"),
        ("api =", "not valid TOML"),
        (None, "can't be read: No such file"),
    ],
)
def test_a_descriptor_that_says_nothing_is_an_error(site, text, problem):
    path = site.root / "buildpack.toml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(bp.BuildpackError, match=problem):
        site.build()
