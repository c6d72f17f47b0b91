"""What bin/build finds in its environment."""

from __future__ import annotations

import os

import pytest

from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS, PlatformApi

PATHS = ("PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "PKG_CONFIG_PATH")
PLATFORMS = pytest.mark.parametrize("api", PLATFORM_APIS, ids=str)


@pytest.mark.requirement("PLAT-ENV-001", "PLAT-ENV-002", "PLAT-ENV-003", "BP-ENV-006", "BP-ENV-007", "BP-BLD-012")
@PLATFORMS
def test_some_variables_of_the_lifecycle_are_inherited(builder, dump, api):
    builder.buildpack("a/b", dump)
    inherited = {"HOME": "/home/x", "CNB_STACK_ID": "some.stack", "HOSTNAME": "h", "http_proxy": "http://p"}
    inherited |= {name: f"/{name}:/usr/bin:/bin" for name in PATHS}
    builder.build(env=inherited, api=PlatformApi(api))
    env = builder.environment("a/b")
    assert {name: env.get(name) for name in inherited} == inherited


@pytest.mark.requirement("PLAT-ENV-004", "BP-SEC-001")
def test_credentials_and_anything_else_are_withheld(builder, dump):
    builder.buildpack("a/b", dump)
    builder.build(
        env={
            "CNB_REGISTRY_AUTH": '{"r": "Basic x"}',
            "DOCKER_CONFIG": "/secret",
            "CNB_PLATFORM_API": "0.12",
            "FOO": "1",
        }
    )
    own = {
        "PATH",
        "CNB_BUILDPACK_DIR",
        "CNB_PLATFORM_DIR",
        "CNB_LAYERS_DIR",
        "CNB_BP_PLAN_PATH",
        "CNB_EXEC_ENV",
    }
    shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert set(builder.environment("a/b")) - shell == own


@pytest.mark.requirement("PLAT-ENV-005", "BP-ENV-011", "BP-ENV-006")
@PLATFORMS
def test_variables_of_the_user_replace_others_byte_for_byte(builder, dump, api):
    builder.variable("BP_VERSION", " 3.12 $(x) \n")
    builder.variable("HOME", "/by/user")
    builder.buildpack("a/b", dump)
    builder.build(env={"HOME": "/by/lifecycle"}, api=PlatformApi(api))
    env = builder.environment("a/b")
    assert env["BP_VERSION"] == " 3.12 $(x) \n"
    assert env["HOME"] == "/by/user"


@pytest.mark.requirement("BP-ENV-009", "BP-ENV-008", "BP-ENV-012")
@pytest.mark.parametrize("api", BUILDPACK_APIS, ids=str)
def test_clear_env_keeps_the_users_variables_in_files_only(builder, dump, api):
    builder.variable("BP_VERSION", "1")
    builder.variable("PATH", "/by/user")
    builder.variable("OPERATOR", "1", by="build-config")
    builder.buildpack("a/b", f'{dump}; cp "$2/env/BP_VERSION" "$L/copy"', api=str(api), toml="clear-env = true")
    builder.build()
    env = builder.environment("a/b")
    assert "BP_VERSION" not in env
    assert env["PATH"] == os.environ["PATH"]
    assert (builder.layers_dir / "a_b" / "copy").read_text() == "1"
    assert env["OPERATOR"] == "1"


@pytest.mark.requirement("BP-ENV-010", "PLAT-ENV-007", "BP-ENV-005")
@pytest.mark.parametrize("name", PATHS)
def test_path_variables_of_the_user_come_before_those_of_buildpacks(builder, dump, name):
    builder.variable(name, "/by/user")
    builder.buildpack("a/1", 'layer x build; for d in bin lib include pkgconfig; do mkdir "$L/x/$d"; done')
    builder.buildpack("b/2", dump)
    builder.build(env={name: os.environ["PATH"]})
    first, second, *rest = builder.environment("b/2")[name].split(":")
    assert first == "/by/user"
    assert second.startswith(str(builder.layers_dir / "a_1" / "x"))
    assert ":".join(rest) == os.environ["PATH"]


@pytest.mark.requirement("PLAT-ENV-008")
@pytest.mark.parametrize("api", [api for api in PLATFORM_APIS if api.minor < 12], ids=str)
def test_an_earlier_buildpack_may_add_to_a_path_of_the_user(builder, dump, api):
    builder.variable("CPATH", "/by/user")
    builder.buildpack("a/1", 'layer x build; mkdir "$L/x/include"')
    builder.buildpack("b/2", dump)
    builder.build(api=PlatformApi(api))
    assert builder.environment("b/2")["CPATH"] == f"/by/user:{builder.layers_dir}/a_1/x/include"


@pytest.mark.requirement("PLAT-ENV-007")
def test_other_variables_of_the_user_are_not_modified_by_buildpacks(builder, dump):
    builder.variable("NAME", "by-user")
    builder.buildpack("a/1", 'layer x build; file "$L/x/env/NAME.override" bp; file "$L/x/env.build/NAME.append" bp')
    builder.buildpack("b/2", dump)
    builder.build()
    assert builder.environment("b/2")["NAME"] == "by-user"


@pytest.mark.requirement("PLAT-ENV-009", "PLAT-ENV-010")
def test_the_operator_has_the_last_word_or_by_default_the_first(builder, dump):
    for suffix in ("append", "prepend", "override"):
        builder.variable(f"{suffix.upper()}.{suffix}", "op", by="build-config")
    builder.variable("PLAIN", "op", by="build-config")
    builder.variable("UNSET", "op", by="build-config")
    names = "APPEND PREPEND OVERRIDE PLAIN"
    builder.buildpack("a/1", f'layer x build; for n in {names}; do file "$L/x/env/$n" bp; done')
    builder.buildpack("b/2", dump)
    builder.build()
    env = builder.environment("b/2")
    assert {name: env[name] for name in (*names.split(), "UNSET")} == {
        "APPEND": "bpop",
        "PREPEND": "opbp",
        "OVERRIDE": "op",
        "PLAIN": "bp",
        "UNSET": "op",
    }


@pytest.mark.requirement("BP-ENV-001", "BP-ENV-003", "BP-LAYER-003")
def test_build_layers_extend_the_search_paths_of_later_buildpacks(builder, dump):
    make = 'for d in bin lib include pkgconfig; do mkdir "$L/tool/$d"; done'
    builder.buildpack("a/1", f'layer tool "build cache"; {make}; layer run launch; mkdir "$L/run/bin"')
    builder.buildpack("b/2", f"layer tool build; {make}; {dump}")
    builder.buildpack("c/3", dump)
    builder.build()
    first, second = builder.layers_dir / "a_1" / "tool", builder.layers_dir / "b_2" / "tool"
    found = {name: builder.environment("c/3")[name] for name in PATHS}
    assert found == {
        "PATH": f"{second}/bin:{first}/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{second}/lib:{first}/lib",
        "LIBRARY_PATH": f"{second}/lib:{first}/lib",
        "CPATH": f"{second}/include:{first}/include",
        "PKG_CONFIG_PATH": f"{second}/pkgconfig:{first}/pkgconfig",
    }
    assert builder.environment("b/2")["PATH"] == f"{first}/bin:{os.environ['PATH']}"


@pytest.mark.requirement("BP-ENV-013", "BP-LAYER-003")
@pytest.mark.parametrize(
    ("types", "seen"),
    [("build", True), ("build launch cache", True), ("launch", False), ("cache", False), ("", False)],
)
def test_env_files_of_build_layers_reach_later_buildpacks_only(builder, dump, types, seen):
    files = 'file "$L/x/env/A" 1; file "$L/x/env.build/B" 2; file "$L/x/env.launch/C" 3; file "$L/x/env/dir/D" 4'
    builder.buildpack("a/1", f"layer x '{types}'; {files}; {dump}")
    builder.buildpack("b/2", dump)
    builder.build()
    names = ("A", "B", "C", "D", "dir")
    later = {name: value for name, value in builder.environment("b/2").items() if name in names}
    assert later == ({"A": "1", "B": "2"} if seen else {})
    assert "A" not in builder.environment("a/1")


@pytest.mark.requirement("BP-ENV-018", "BP-ENV-019", "BP-ENV-020", "BP-ENV-021", "BP-ENV-022", "BP-ENV-023")
def test_modifications_add_up_over_buildpacks_layers_and_directories(builder, dump):
    def script(buildpack: str) -> str:
        return "\n".join(
            f'file "$L/{layer}/{env}/{action.upper()}.{action}" "{buildpack}{layer}{env[-1]}"'
            f'; printf , > "$L/{layer}/{env}/{action.upper()}.delim"'
            for layer in ("x", "y")
            for env in ("env", "env.build")
            for action in ("append", "prepend", "default", "override")
        )

    for name in ("1", "2"):
        builder.buildpack(f"a/{name}", f"layer y build; layer x build\n{script(name)}")
    builder.buildpack("c/3", dump)
    builder.build()
    env = builder.environment("c/3")
    ascending = ["1xv", "1xd", "1yv", "1yd", "2xv", "2xd", "2yv", "2yd"]
    assert env["APPEND"].split(",") == ascending
    assert env["PREPEND"].split(",") == ascending[::-1]
    assert env["DEFAULT"] == ascending[0]
    assert env["OVERRIDE"] == ascending[-1]


@pytest.mark.requirement("BP-ENV-015", "BP-ENV-016", "BP-ENV-017")
def test_name_and_action_of_a_file_are_split_at_the_first_dot(builder, dump):
    builder.buildpack(
        "a/1",
        """layer x build
        file "$L/x/env/PLAIN" '$HOME `id`  '
        file "$L/x/env/OVER.override" over
        file "$L/x/env/NAME.prepend.bak" ignored
        file "$L/x/env/OTHER.unknown" ignored
        file "$L/x/env/.gitkeep" ""
        """,
    )
    builder.buildpack("b/2", dump)
    builder.build()
    env = builder.environment("b/2")
    assert env["PLAIN"] == "$HOME `id`  "
    assert env["OVER"] == "over"
    assert not {"NAME", "OTHER", ""} & env.keys()
