"""What image extensions write, and what of it an API refuses."""

from __future__ import annotations

import tomllib

import pytest

import cnb_buildpack as bp
from lifecycle.model.extend_config import ExtendConfig

BUILD = "ARG base_image\nFROM ${base_image}\n\nUSER root\nRUN apt-get install -y \\\n  # why\n  curl\n"


@pytest.fixture
def extension(new_site):
    """A function that returns the context of an extension."""

    def make(api="0.12"):
        site = new_site(kind="extension", api=api, declared="")
        return bp.GenerateContext.at(root=site.root, app_dir=site.app, output_dir=site.path / "output")

    return make


def test_dockerfiles_arguments_and_contexts_are_where_the_lifecycle_looks(extension):
    context = extension()
    context.build_dockerfile(BUILD)
    context.run_dockerfile("FROM example.org/run:1\n")
    context.build_arg("a", "1")
    context.run_arg("b", "2")
    (context.context_dir("run") / "file").touch()
    context.finish()
    assert (context.output_dir / "build.Dockerfile").read_text() == BUILD
    assert (context.output_dir / "run.Dockerfile").read_text() == "FROM example.org/run:1\n"
    assert (context.output_dir / "context.run/file").exists()
    config = ExtendConfig.model_validate(tomllib.loads((context.output_dir / "extend-config.toml").read_text()))
    assert [(arg.name, arg.value) for arg in config.build.args] == [("a", "1")]
    assert [(arg.name, arg.value) for arg in config.run.args] == [("b", "2")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FROM ubuntu\n", "does not start from the build image"),
        ("ARG base_image\nFROM ubuntu\n", "does not start from the build image"),
        ("RUN true\n", "does not start from the build image"),
        ("", "does not start from the build image"),
        (f"{BUILD}FROM scratch\n", "build.Dockerfile has not exactly one FROM"),
    ],
)
def test_a_build_dockerfile_extends_the_build_image(extension, text, problem):
    with pytest.raises(bp.BuildpackError, match=problem):
        extension().build_dockerfile(text)


@pytest.mark.parametrize(
    ("api", "use", "problem"),
    [
        (
            "0.9",
            lambda it: it.run_dockerfile("FROM a\nRUN b\n"),
            r"run\.Dockerfile with more than FROM .* 0\.10 or newer",
        ),
        ("0.9", lambda it: it.run_arg("a", "1"), r"argument a: .* needs Buildpack API 0\.10 or newer"),
        ("0.10", lambda it: it.context_dir(), r"context: .* needs Buildpack API 0\.11 .* in extension\.toml"),
        ("0.12", lambda it: it.build_arg("user_id", "1"), "given by the lifecycle; rename it"),
        ("0.12", lambda it: it.run_dockerfile("FROM a\nFROM b\n"), "has not exactly one FROM"),
        ("0.12", lambda it: (it.context_dir(), it.context_dir("run")), r"context\.run is asked for besides context"),
        ("0.12", lambda it: (it.context_dir("run"), it.context_dir()), "context is asked for besides one of a kind"),
    ],
)
def test_what_can_not_be_said_is_refused(extension, api, use, problem):
    with pytest.raises(bp.BuildpackError, match=problem):
        use(extension(api))


def test_there_are_no_extensions_before_0_9(extension):
    with pytest.raises(bp.BuildpackError, match=r"an image extension needs Buildpack API 0\.9 or newer"):
        extension("0.8")


def test_an_extension_requires_nothing(new_site):
    site = new_site(kind="extension")
    context = bp.DetectContext.at(root=site.root, app_dir=site.app)
    assert context.pass_(bp.BuildPlan(provides=["a"])).passed
    with pytest.raises(bp.BuildpackError, match="test/it: an image extension can't require anything"):
        context.pass_(bp.BuildPlan(provides=["a"]).or_(bp.BuildPlan(requires=["b"])))
