"""What a Dockerfile does to an image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rules.extensions.dockerfile_steps import (
    CopyAction,
    DirectoryAction,
    InlineFile,
    RunAction,
    evaluate,
)
from lifecycle.rules.extensions.dockerfile_syntax import INSTRUCTIONS, DockerfileError, parse_dockerfile
from lifecycle.rules.extensions.run_mounts import EmptyDirectory

HEAD = "ARG base_image\nFROM ${base_image}\n"

SUM = f"sha256:{'a' * 64}"


def applied(text, config=None, **args):
    return evaluate(parse_dockerfile(HEAD + text), config or {}, args)


def steps(text, config=None, **args):
    return [(each.action, dict(each.env)) for each in applied(text, config, **args).steps]


def only(text, config=None, **args):
    (step,) = applied(text, config, **args).steps
    return step


def test_run_has_a_shell_form_and_a_json_form():
    assert only("RUN echo $x && true").action == RunAction(("/bin/sh", "-c", "echo $x && true"))
    assert only('RUN ["echo", "$x"]').action == RunAction(("echo", "$x"))
    assert only('RUN ["echo", 1]').action == RunAction(("/bin/sh", "-c", '["echo", 1]'))
    assert only('SHELL ["/bin/bash", "-e"]\nRUN true').action == RunAction(("/bin/bash", "-e", "true"))
    assert only("RUN true", {"Shell": ["/x"]}).action == RunAction(("/x", "true"))


def test_heredocs_are_scripts_or_the_input_of_commands():
    assert only("RUN <<EOF\na\nb\nEOF").action == RunAction(("/bin/sh", "-c", "a\nb\n"))
    assert only("RUN <<-EOF\n\ta\n\tEOF").action == RunAction(("/bin/sh", "-c", "a\n"))
    assert only("RUN <<EOF\n#!/bin/x\na\nEOF").action == RunAction((), "#!/bin/x\na\n")
    assert only("RUN cat <<EOF > /f\na\nEOF").action == RunAction(("/bin/sh", "-c", "cat <<EOF > /f\na\nEOF"))


def test_arguments_are_variables_of_commands_unless_the_image_has_them():
    text = "ARG a=1\nARG b\nARG c=$a-x\nARG unset\nENV a=image\nRUN true"
    step = only(text, {"Env": ["PATH=/p"]}, b="given", undeclared="u")
    assert step.env == {"PATH": "/p", "a": "image", "b": "given", "c": "1-x"}


def test_an_argument_before_from_is_known_after_it_only_if_it_is_declared_again():
    text = "ARG version=1\nARG base_image\nFROM ${base_image}\nARG version\nRUN true"
    dockerfile = parse_dockerfile(text)
    (step,) = evaluate(dockerfile, {}, {"base_image": "base"}).steps
    assert step.env["version"] == "1"
    assert "base_image" not in step.env
    (step,) = evaluate(dockerfile, {}, {"version": "2"}).steps
    assert step.env["version"] == "2"


def test_environment_and_labels_take_several_pairs_or_the_old_form():
    config = applied('ENV a=1 b="$a 2" c=\\$a\nENV d $a and more\nLABEL x.y="z w" n=$a').config
    assert config["Env"] == ["a=1", "b= 2", "c=$a", "d=1 and more"]
    assert config["Labels"] == {"x.y": "z w", "n": "1"}
    changed = applied("ENV PATH=/x:$PATH\nLABEL a=2", {"Env": ["PATH=/p", "b=c"], "Labels": {"a": "1", "k": "v"}})
    assert changed.config["Env"] == ["PATH=/x:/p", "b=c"]
    assert changed.config["Labels"] == {"a": "2", "k": "v"}
    assert changed.labels == {"a": "2"}


def test_each_step_has_the_user_directory_and_shell_of_its_place():
    found = applied("RUN a\nUSER root\nWORKDIR /one\nWORKDIR two\nRUN b\nARG u\nUSER $u", {"User": "1:2"}, u="x").steps
    assert [(type(each.action), each.user, each.working_dir) for each in found] == [
        (RunAction, "1:2", "/"),
        (DirectoryAction, "root", "/one"),
        (DirectoryAction, "root", "/one/two"),
        (RunAction, "root", "/one/two"),
    ]
    assert applied("ARG user_id\nUSER ${user_id}", user_id="1234").config["User"] == "1234"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN --mount=type=cache,target=/x --mount=type=tmpfs,dst=y/$n/ true", (EmptyDirectory("/x"), EmptyDirectory("/w/y/z"))),
        (
            "RUN --mount=type=cache,id=a,sharing=locked,rw,uid=1,gid=2,mode=0700,target=/x true",
            (EmptyDirectory("/x", 1, 2, 0o700),),
        ),
        ("RUN --mount=type=secret,id=a --mount=type=ssh true", ()),
        ("RUN --network=default true", ()),
        ('RUN --mount=type=cache,target=/x ["true"]', (EmptyDirectory("/x"),)),
        ("RUN --mount=type=cache,target=/x <<END\ntrue\nEND", (EmptyDirectory("/x"),)),
        ("RUN --mount=type=cache,target=/x <<END\n#!/bin/sh\nEND", (EmptyDirectory("/x"),)),
    ],
)  # fmt: skip
def test_mounts_are_directories_that_a_command_finds_empty(text, expected):
    action = only(f"ARG n=z\n{text}", {"WorkingDir": "/w"}).action
    assert action.emptied == expected
    assert "mount" not in " ".join(action.argv)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY a /b", CopyAction(("a",), (), "/b", "", None, unpacks=False)),
        ("COPY a b c/", CopyAction(("a", "b"), (), "/w/c/", "", None, unpacks=False)),
        ("COPY . .", CopyAction((".",), (), "/w/", "", None, unpacks=False)),
        ('COPY ["a b", "/c"]', CopyAction(("a b",), (), "/c", "", None, unpacks=False)),
        ("ADD --chown=1:2 --chmod=640 $f /", CopyAction(("file",), (), "/", "1:2", 0o640, unpacks=True)),
        (
            "ADD a https://x/$f?a=1 /z/",
            CopyAction(("a",), (), "/z/", "", None, unpacks=True, urls=("https://x/file?a=1",)),
        ),
        (
            f"ADD --checksum={SUM} HTTP://x /z",
            CopyAction((), (), "/z", "", None, unpacks=True, urls=("HTTP://x",), checksum=SUM),
        ),
        ("COPY https://x/y /z", CopyAction(("https://x/y",), (), "/z", "", None, unpacks=False)),
        ("COPY --link a /b/../c", CopyAction(("a",), (), "/c", "", None, unpacks=False)),
        (
            "COPY <<one a <<'two' /d/\n$f\none\n$f\ntwo",
            CopyAction(("a",), (InlineFile("one", "file\n"), InlineFile("two", "$f\n")), "/d/", "", None, unpacks=False),
        ),
    ],
)  # fmt: skip
def test_copies(text, expected):
    assert only(f"ARG f=file\n{text}", {"WorkingDir": "/w"}).action == expected


def test_instructions_of_configuration_change_only_that():
    found = applied(
        'ENTRYPOINT ["/e"]\nCMD a b\nEXPOSE 80 90/udp 1-2\nVOLUME /a /b\nVOLUME ["/c d"]\nSTOPSIGNAL SIGINT\n'
        "HEALTHCHECK --interval=1m --retries=2 CMD curl x\nMAINTAINER me and you\nONBUILD RUN x\n",
        {"Cmd": ["old"]},
    )
    assert found.steps == ()
    assert found.author == "me and you"
    assert found.config == {
        "Entrypoint": ["/e"],
        "Cmd": ["/bin/sh", "-c", "a b"],
        "ExposedPorts": {"80/tcp": {}, "90/udp": {}, "1/tcp": {}, "2/tcp": {}},
        "Volumes": {"/a": {}, "/b": {}, "/c d": {}},
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD-SHELL", "curl x"], "Interval": 60_000_000_000, "Retries": 2},
        "OnBuild": ["RUN x"],
    }
    assert applied("ENTRYPOINT x", {"Cmd": ["old"]}).config == {"Entrypoint": ["/bin/sh", "-c", "x"]}
    assert applied("HEALTHCHECK NONE").config == {"Healthcheck": {"Test": ["NONE"]}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("COPY --from=other a /b", "line 3: COPY can't copy from another image or stage: let bin/generate put the files"),
        ("COPY --parents a /b", "line 3: COPY has the flag '--parents', which an extension can't use here (allowed: --chmod,"),
        ("RUN --mount=target=/x true", "line 3: RUN has a mount of type bind, expected cache, tmpfs or secret: use COPY"),
        ("RUN --mount=type=cache true", "line 3: RUN has a mount without target="),
        ("RUN --mount=type=cache,target=/x,from=y true", "line 3: RUN has a mount with from=, which"),
        ("RUN --mount=type=cache,target=/x,uid=me true", "line 3: RUN has a mount with uid=me, which"),
        ("RUN --mount=type=cache,target=/x,mode=0999 true", "line 3: RUN has a mount with mode=0999, which"),
        ("RUN --mount=type=secret,id=x,required true", "line 3: RUN requires a secret mount, and nobody gives one"),
        ("RUN --network=none true", "line 3: RUN can't choose another network"),
        ("RUN []", "line 3: RUN has no command"),
        ("\nCOPY a", "line 4: COPY requires at least one source"),
        ("COPY a b /c", "its destination must be a directory"),
        ("COPY --chmod=u+x a /b", "has the mode 'u+x'"),
        ("ADD ftp://x/y /z", "line 3: ADD can't fetch ftp://x/y"),
        ("ADD https://me:secret@x/y /z", "line 3: ADD can't fetch x/y:"),
        (f"ADD --checksum={SUM} a /z", "has --checksum, which is"),
        (f"ADD --checksum={SUM} a https://x/y /z/", "has --checksum, which is"),
        ("ADD --checksum=sha256:ab https://x/y /z", "has --checksum, which is"),
        (f"COPY --checksum={SUM} a /z", "has the flag"),
        ("ADD git@github.com:x/y.git /z", "can't fetch"),
        ("ADD https://x/y.git#v1 /z", "line 3: ADD can't fetch https://x/y.git#v1: use RUN"),
        ("USER $nobody", "line 3: USER names no user: $nobody"),
        ("USER :5", "names no user"),
        ("WORKDIR $nothing", "has an empty path"),
        ("SHELL /bin/sh", "requires the arguments to be in JSON form"),
        ("ENV a", "must have two arguments"),
        ("ENV a=1 b", "can't understand 'b'"),
        ("ENV =1", "names can not be blank"),
        ("LABEL a=${x#y}", "line 3: LABEL can't be understood: unsupported modifier"),
        ("ARG =x", "names can not be blank"),
        ("EXPOSE 99999", "can't understand the port '99999'"),
        ("EXPOSE 9-1", "can't understand the port"),
        (f"EXPOSE {'9' * 5000}", "can't understand the port"),
        ("VOLUME []", "can not be an empty string"),
        ("HEALTHCHECK --interval=x CMD y", "expected a duration"),
        ("HEALTHCHECK --retries=x CMD y", "expected a number"),
        (f"HEALTHCHECK --retries={'9' * 5000} CMD y", "expected a number"),
        ("HEALTHCHECK y", "is followed by NONE"),
        ("FROM y\nRUN z", "has more than one FROM"),
    ],
)  # fmt: skip
def test_what_can_not_be_carried_out_is_refused_with_its_line(text, problem):
    with pytest.raises(DockerfileError) as caught:
        applied(text)
    assert problem in str(caught.value)


LINES = st.tuples(
    st.sampled_from(sorted(INSTRUCTIONS - {"FROM"})), st.text(st.sampled_from(list("a/-=$x{}[]\",' :.1")), min_size=1, max_size=16)
)  # fmt: skip


@given(st.lists(LINES, max_size=5))
def test_any_dockerfile_is_carried_out_or_refused(lines):
    text = "".join(f"{keyword} {arguments}\n" for keyword, arguments in lines)
    try:
        found = applied(text, {"Env": ["x=1"]})
    except DockerfileError:
        return
    assert all(each.working_dir.startswith("/") for each in found.steps)


def test_triggers_of_the_base_image_come_first_and_are_gone_then():
    base = {"OnBuild": ["ARG version=1", "RUN one \\\n  more", "USER root"], "User": "1000"}
    done = applied("RUN two\n", base, version="2")
    assert [(each.action.argv[-1], each.env["version"], each.user) for each in done.steps] == [
        ("one   more", "2", "1000"),
        ("two", "2", "root"),
    ]
    assert "OnBuild" not in done.config
    assert applied("ONBUILD RUN three\n", {"OnBuild": ["RUN one"]}).config["OnBuild"] == ["RUN three"]


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [
        ("FROM x", "line 2: FROM isn't allowed as a trigger"),
        ("ONBUILD RUN x", "line 2: ONBUILD isn't allowed as a trigger"),
        ("BAKE x", "line 2: unknown instruction: BAKE"),
        ("COPY --from=x a b", "line 2: COPY can't copy from another image"),
    ],
)
def test_a_trigger_that_can_not_be_carried_out_is_told_as_the_base_images(trigger, problem):
    with pytest.raises(DockerfileError, match=f"ONBUILD of the base image, {problem}"):
        applied("RUN x\n", {"OnBuild": ["RUN true", trigger]})
