"""How bin/generate is run, and what becomes of its output."""

from __future__ import annotations

import pytest

from lifecycle.cli.exit_codes import exit_code
from lifecycle.errors import ExtensionGenerateError, GenerateError
from lifecycle.files.codec import load
from lifecycle.model.api import BUILDPACK_APIS, PLATFORM_APIS, PlatformApi
from lifecycle.model.extend_config import ExtendConfig
from lifecycle.model.target import TargetData

APIS = [PlatformApi(version) for version in PLATFORM_APIS if version.minor >= 10]
EXTENSION_APIS = [api for api in BUILDPACK_APIS if api.minor >= 9]
BUILD = "printf 'ARG base_image\\nFROM ${base_image}\\n' > $1/build.Dockerfile"
RUN = "printf 'FROM ${base_image}\\n' > $1/run.Dockerfile"
CONFIG = 'printf \'[[build.args]]\\nname = "a"\\nvalue = "b"\\n\' > $1/extend-config.toml'


@pytest.mark.requirement("EXT-GEN-001", "EXT-GEN-002", "EXT-GEN-003", "EXT-GEN-006", "BP-API-005")
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize("extension_api", EXTENSION_APIS, ids=str)
def test_bin_generate_gets_its_directories(extensions, api, extension_api):
    dump = extensions.root / "dump"
    env_dir = extensions.root / "platform" / "env"
    env_dir.mkdir(parents=True)
    (env_dir / "COLOUR").write_text("blue")
    operator = extensions.root / "build-config" / "env"
    operator.mkdir(parents=True)
    (operator / "OPERATOR").write_text("set")
    script = f'env > {dump}; pwd > {dump}.cwd; echo "$0 $*" > {dump}.argv; [ -d "$1" ]; [ -f "$3" ]'
    root = extensions.add("a/x", script, api=str(extension_api))
    extensions.generate("a/x", api=api, target=TargetData(os="linux", arch="arm64"))
    env = dict(line.partition("=")[::2] for line in dump.read_text().splitlines())
    executable, output, platform, plan = (extensions.root / "dump.argv").read_text().split()
    assert executable == str(root / "bin" / "generate")
    assert (extensions.root / "dump.cwd").read_text().strip() == str(extensions.root / "app")
    told = {key: value for key, value in env.items() if key.startswith("CNB_")}
    expected = {
        "CNB_EXTENSION_DIR": str(root),
        "CNB_PLATFORM_DIR": platform,
        "CNB_BP_PLAN_PATH": plan,
        "CNB_OUTPUT_DIR": output,
    }
    if extension_api.minor >= 10:
        expected |= {"CNB_TARGET_OS": "linux", "CNB_TARGET_ARCH": "arm64"}
    assert told == expected
    assert (env["COLOUR"], env["OPERATOR"]) == ("blue", "set")
    if api.version.minor >= 13:
        assert output == str(extensions.root / "generated" / "a_x")


@pytest.mark.requirement("EXT-GEN-001", "PLAT-DET-030")
def test_extensions_generate_in_the_order_of_the_group(extensions):
    for name in ("x", "y", "z"):
        extensions.add(name, f"echo {name}; echo {name} >&2")
    extensions.generate("y", "z", "x")
    assert b"".join(extensions.output) == b"y\ny\nz\nz\nx\nx\n"


@pytest.mark.requirement("EXT-GEN-007", "PLAT-DET-031")
def test_an_extension_gets_what_is_required_of_it_and_that_is_then_met(extensions):
    plan = [
        {
            "providers": [{"id": "x", "version": "1", "extension": True}],
            "requires": [{"name": "d", "metadata": {"k": 1}}],
        },
        {"providers": [{"id": "x", "version": "1"}], "requires": [{"name": "e"}]},
        {
            "providers": [{"id": "y", "version": "1", "extension": True}, {"id": "b"}],
            "requires": [{"name": "f"}],
        },
    ]
    for name in ("x", "y"):
        extensions.add(name, f"cat $CNB_BP_PLAN_PATH > {extensions.root}/{name}.plan")
    generated = extensions.generate("x", "y", plan=plan)
    assert (extensions.root / "x.plan").read_text() == '[[entries]]\n  name = "d"\n  [entries.metadata]\n    k = 1\n'
    assert (extensions.root / "y.plan").read_text() == '[[entries]]\n  name = "f"\n'
    assert [entry.requires[0].name for entry in generated.plan.entries] == ["e"]


@pytest.mark.requirement("EXT-GEN-004")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_without_bin_generate_the_directory_generate_is_the_output(extensions, api):
    root = extensions.add("x")
    (root / "generate" / "context").mkdir(parents=True)
    (root / "generate" / "context" / "file").touch()
    (root / "generate" / "run.Dockerfile").write_text("FROM other\n")
    extensions.add("nothing")
    generated = extensions.generate("nothing", "x", api=api)
    assert generated.analyzed.run_image.reference == "other"
    layout = ["x/context/file", "x/run.Dockerfile"] if api.version.minor >= 13 else ["run/x/Dockerfile"]
    assert extensions.tree() == layout


@pytest.mark.requirement("EXT-GEN-005", "PLAT-DET-020")
@pytest.mark.parametrize("script", ["exit 1", "exit 100", "kill -9 $$"])
def test_a_failing_bin_generate_fails_the_build(extensions, script):
    extensions.add("x", script)
    with pytest.raises(ExtensionGenerateError, match="bin/generate of extension x@1") as caught:
        extensions.generate("x")
    assert exit_code(caught.value, None) == 91


def test_a_bin_generate_that_can_not_be_started_fails_the_build(extensions):
    (extensions.add("x", "") / "bin" / "generate").chmod(0o644)
    with pytest.raises(ExtensionGenerateError, match="can't be started"):
        extensions.generate("x")


@pytest.mark.requirement("PLAT-DET-021")
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (
            "echo FROM x > $1/build.Dockerfile",
            "x@1: build.Dockerfile did not start with required ARG command",
        ),
        ("mkdir $1/run.Dockerfile", "run.Dockerfile: is not a file"),
        ("mkfifo $1/run.Dockerfile", "run.Dockerfile: is not a file"),
        ("echo '[' > $1/extend-config.toml", "extend-config.toml"),
        ("mkfifo $1/extend-config.toml", "extend-config.toml: is not a file"),
    ],
)
def test_unusable_output_fails_the_build_otherwise(extensions, script, problem):
    extensions.add("x", script)
    with pytest.raises(GenerateError, match=problem) as caught:
        extensions.generate("x")
    assert exit_code(caught.value, None) == 92


@pytest.mark.requirement("EXT-GEN-008", "PLAT-DET-032", "PLAT-DET-033", "PLAT-DET-034")
@pytest.mark.parametrize("api", APIS, ids=str)
def test_dockerfiles_lie_where_the_extender_looks_for_them(extensions, api):
    extensions.add("a/x", f"{BUILD}; {RUN}; {CONFIG}; mkdir $1/context.run; touch $1/context.run/f")
    extensions.add("y", BUILD)
    generated = extensions.generate("a/x", "y", api=api)
    root = extensions.root / "generated"
    if api.version.minor >= 13:
        assert extensions.tree() == [
            "a_x/build.Dockerfile",
            "a_x/context.run/f",
            "a_x/extend-config.toml",
            "a_x/run.Dockerfile",
            "y/build.Dockerfile",
        ]
        expected = ["a_x/build.Dockerfile", "a_x/run.Dockerfile", "y/build.Dockerfile"]
    else:
        assert extensions.tree() == [
            "build/a_x/Dockerfile",
            "build/a_x/extend-config.toml",
            "build/y/Dockerfile",
            "run/a_x/Dockerfile",
            "run/a_x/extend-config.toml",
        ]
        expected = ["build/a_x/Dockerfile", "run/a_x/Dockerfile", "build/y/Dockerfile"]
    assert [each.path.relative_to(root).as_posix() for each in generated.dockerfiles] == expected
    assert all(each.path.is_file() for each in generated.dockerfiles)


@pytest.mark.parametrize("api", APIS, ids=str)
def test_what_an_earlier_build_left_is_gone(extensions, api):
    extensions.add("x", f"[ -e {extensions.root}/second ] || {{ {BUILD}; {RUN}; }}")
    extensions.generate("x", api=api)
    assert len(extensions.tree()) == 2
    (extensions.root / "second").touch()
    assert extensions.generate("x", api=api).dockerfiles == ()
    assert extensions.tree() == []


@pytest.mark.requirement("EXT-CTX-001")
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize(
    "folders", ["context context.build", "context context.run", "context context.run context.build"]
)
def test_a_shared_context_excludes_those_of_one_image(extensions, api, folders):
    extensions.add("x", f"cd $1; mkdir {folders}")
    if api.version.minor < 13:
        extensions.generate("x", api=api)
    else:
        with pytest.raises(
            GenerateError, match="image-specific context dir is provided together with a shared context"
        ):
            extensions.generate("x", api=api)


@pytest.mark.parametrize("folders", ["context", "context.build context.run", "context.run"])
def test_contexts_that_do_not_exclude_each_other_are_kept(extensions, folders):
    extensions.add("x", f"cd $1; for d in {folders}; do mkdir $d; touch $d/f; done")
    extensions.generate("x")
    assert extensions.tree() == [f"x/{name}/f" for name in folders.split()]


@pytest.mark.requirement("EXT-FILE-003")
def test_extend_config_holds_arguments_for_both_images(tmp_path):
    path = tmp_path / "extend-config.toml"
    path.write_text('[[build.args]]\nname = "a"\nvalue = "b"\n[[run.args]]\nname = "c"\nvalue = "d"\n')
    config = load(ExtendConfig, path)
    assert [(arg.name, arg.value) for arg in (*config.build.args, *config.run.args)] == [
        ("a", "b"),
        ("c", "d"),
    ]


@pytest.mark.parametrize("name", ["build_id", "user_id", "group_id"])
@pytest.mark.parametrize("kind", ["build", "run"])
def test_arguments_of_the_lifecycle_can_not_be_given(extensions, name, kind):
    extensions.add("x", f"printf '[[{kind}.args]]\\nname = \"{name}\"\\n' > $1/extend-config.toml")
    with pytest.raises(GenerateError, match="is given by the lifecycle"):
        extensions.generate("x")
