"""The extender.  Spec: platform.md "extender", image_extension.md "Phase: Extension"."""

import hashlib
import io
import os
import re
import signal
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifecycle.cli.inputs.flags import FlagError
from lifecycle.cli.inputs.settings import read_flags, resolve
from lifecycle.cli.inputs.table import inputs_of
from lifecycle.cli.phase_names import Phase
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from parts.extension_container import USERS
from parts.http_server import LoopbackServer

EXTENDER_APIS = [str(api) for api in PLATFORM_APIS if api.minor >= 10]
RUN_APIS = [str(api) for api in PLATFORM_APIS if api.minor >= 12]
RESET = "ARG user_id\nARG group_id\nUSER ${user_id}:${group_id}\n"
REBASABLE = "LABEL io.buildpacks.rebasable=true\n"

# requirement, flag, environment variable, default, first Platform API
TABLE = [
    ("PLAT-EXD-001", "-analyzed", "CNB_ANALYZED_PATH", "/layers/analyzed.toml", 10),
    ("PLAT-EXD-002", "-app", "CNB_APP_DIR", "/workspace", 10),
    ("PLAT-EXD-003", "-build-config", "CNB_BUILD_CONFIG_DIR", "/cnb/build-config", 11),
    ("PLAT-EXD-004", "-buildpacks", "CNB_BUILDPACKS_DIR", "/cnb/buildpacks", 10),
    ("PLAT-EXD-005", "-extended", "CNB_EXTENDED_DIR", "/layers/extended", 12),
    ("PLAT-EXD-006", "-generated", "CNB_GENERATED_DIR", "/layers/generated", 10),
    ("PLAT-EXD-007", "-gid", "CNB_GROUP_ID", "0", 10),
    ("PLAT-EXD-008", "-group", "CNB_GROUP_PATH", "/layers/group.toml", 10),
    ("PLAT-EXD-009", "-kaniko-cache-ttl", "CNB_KANIKO_CACHE_TTL", "336h0m0s", 10),
    ("PLAT-EXD-011", "-kind", "CNB_EXTEND_KIND", "build", 12),
    ("PLAT-EXD-012", "-layers", "CNB_LAYERS_DIR", "/layers", 10),
    ("PLAT-EXD-013", "-log-level", "CNB_LOG_LEVEL", "info", 10),
    ("PLAT-EXD-014", "-plan", "CNB_PLAN_PATH", "/layers/plan.toml", 10),
    ("PLAT-EXD-015", "-platform", "CNB_PLATFORM_DIR", "/platform", 10),
    ("PLAT-EXD-016", "-uid", "CNB_USER_ID", "0", 10),
    ("PLAT-EXD-017", "", "CNB_EXEC_ENV", "production", 15),
]


def resolved(api, *arguments, **environment):
    platform_api = PlatformApi.parse(api)
    return resolve(Phase.EXTENDER, platform_api, read_flags(Phase.EXTENDER, platform_api, arguments), environment)


@pytest.mark.requirement(
    "PLAT-EXD-001",
    "PLAT-EXD-002",
    "PLAT-EXD-003",
    "PLAT-EXD-004",
    "PLAT-EXD-005",
    "PLAT-EXD-006",
    "PLAT-EXD-007",
    "PLAT-EXD-008",
    "PLAT-EXD-009",
    "PLAT-EXD-011",
    "PLAT-EXD-012",
    "PLAT-EXD-013",
    "PLAT-EXD-014",
    "PLAT-EXD-015",
    "PLAT-EXD-016",
    "PLAT-EXD-017",
)
@pytest.mark.parametrize("api", [str(api) for api in PLATFORM_APIS])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1] or row[2])
def test_an_input_comes_from_flag_environment_or_default(row, api):
    _, flag, variable, default, since = row
    name = flag.removeprefix("-").replace("-", "_") or "exec_env"
    value, other = ("12", "34") if default == "0" else ("1h", "2h") if "ttl" in flag else ("/some/value", "/other")
    assert resolved(api).text(name) == default
    assert resolved(api, **{variable: value}).text(name) == value
    if not flag:
        return
    if PlatformApi.parse(api).version.minor >= since:
        assert resolved(api, flag, value, **{variable: other}).text(name) == value
    else:
        with pytest.raises(FlagError, match="flag provided but not defined"):
            resolved(api, flag, value)


def test_there_is_no_other_flag():
    flags = {f"-{row.flag}" for row in inputs_of(Phase.EXTENDER, PlatformApi.parse("0.15"))}
    assert flags == {row[1] for row in TABLE if row[1]} | {"-no-color"}


@pytest.mark.parametrize("text", ["", "2 weeks", "-kind"])
def test_a_lifetime_that_is_none_is_refused_as_flag_and_ignored_as_variable(text):
    with pytest.raises(FlagError, match=r'invalid value ".*" for flag -kaniko-cache-ttl: parse error'):
        resolved("0.15", f"-kaniko-cache-ttl={text}")
    assert resolved("0.15", CNB_KANIKO_CACHE_TTL=text).seconds("kaniko_cache_ttl") == 14 * 24 * 3600


@pytest.mark.requirement("PLAT-EXD-020", "PLAT-EXD-021", "PLAT-EXD-022", "PLAT-EXD-026", "EXT-APPLY-001")
@pytest.mark.parametrize("api", EXTENDER_APIS)
def test_the_build_runs_in_the_extended_build_image_as_its_user(situation, api):
    situation.api = api
    situation.extensions(
        f"USER root\nRUN echo first > /order\n{RESET}",
        f"USER root\nRUN echo second >> /order; chmod 600 /order\nENV PATH=/ext:$PATH\n{RESET}",
        kind="build",
    )
    done = situation.build()
    assert done.code == 0, done.output
    assert "the build runs as 1000:1000, PATH is /ext:/bin" in done.output
    assert (situation.container.root / "order").read_text() == "first\nsecond\n"
    metadata = situation.container.layers / "config" / "metadata.toml"
    assert 'id = "bp"' in metadata.read_text()
    assert metadata.stat().st_uid == 1000


@pytest.mark.requirement("PLAT-EXD-025", "PLAT-EXD-029", "EXT-APPLY-001", "PLAT-EXD-021", "PLAT-EXD-022")
@pytest.mark.parametrize("api", RUN_APIS)
def test_the_run_image_gets_a_layer_for_each_instruction_that_changed_files(situation, api):
    situation.api = api
    situation.extensions(
        f"USER root\nRUN echo a > /a\nRUN true\nENV A=b\nWORKDIR /w\n{RESET}", f"USER root\nRUN mv /a /b\n{RESET}"
    )
    done = situation.run()
    assert done.code == 0, done.output
    image = situation.extended()
    assert [each.created_by for each in image.config.history] == [
        "Layer: 'RUN echo a > /a', Created by extension: one",
        "Layer: 'WORKDIR /w', Created by extension: one",
        "Layer: 'RUN mv /a /b', Created by extension: two",
    ]
    assert all(image.has_blob(each) for each in image.manifest.layers)
    assert image.config.run["Env"] == ["PATH=/bin", "FROM_BASE=yes", "A=b"]
    assert (image.config.run["WorkingDir"], image.config.run["User"]) == ("/w", "1000:1000")
    assert "the build runs" not in done.output


def test_triggers_of_the_base_image_are_run_once_before_the_first_dockerfile(situation):
    """As kaniko does."""
    situation.base(OnBuild=["USER root", "RUN echo a > /a", f"USER {USERS['cnb'][0]}"])
    situation.extensions(f"USER root\nRUN mv /a /b\n{RESET}", f"USER root\nRUN echo c > /c\n{RESET}")
    done = situation.run()
    assert done.code == 0, done.output
    image = situation.extended()
    assert [each.created_by for each in image.config.history] == [
        "Layer: 'RUN echo a > /a', Created by extension: one",
        "Layer: 'RUN mv /a /b', Created by extension: one",
        "Layer: 'RUN echo c > /c', Created by extension: two",
    ]
    assert "OnBuild" not in image.config.run


def test_a_trigger_that_fails_is_told_as_the_base_images(situation):
    situation.base(OnBuild=["USER root", "RUN exit 3"])
    situation.extensions(f"USER root\n{RESET}")
    done = situation.run()
    assert done.code != 0
    assert "Dockerfile: ONBUILD of the base image, line 2: " in done.output


@pytest.mark.requirement("EXT-APPLY-002", "EXT-APPLY-003", "EXT-APPLY-004", "EXT-APPLY-005", "EXT-APPLY-006")
@pytest.mark.parametrize("kind", ["build", "run"])
def test_dockerfiles_get_their_arguments(situation, kind):
    show = "USER root\nARG base_image\nARG build_id\nARG user_id\nARG group_id\nARG own=default\nARG other=default\n"
    show += "RUN echo =$base_image=$build_id=$user_id=$group_id=$own=$other=\n"
    config = "".join(f'[[{each}.args]]\nname = "own"\nvalue = "of {each}"\n' for each in ("build", "run"))
    digest = situation.base(User="1234:5")
    situation.extensions(f"{show}USER cnb\n", f"{show}USER cnb\n", kind=kind, config=config)
    done = situation.run() if kind == "run" else situation.build()
    assert done.code == 0, done.output
    first, second = re.findall(r"^=(.*)=$", done.output, re.MULTILINE)
    base, build_id, *rest = first.split("=")
    assert base == f"base@{digest}"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", build_id)
    assert rest == ["1234", "5", f"of {kind}", "default"]
    other_base, same_build, *rest = second.split("=")
    assert re.fullmatch(r"base@sha256:[0-9a-f]{64}", other_base)
    assert other_base != base
    assert same_build == build_id
    assert rest == ["1000", "1000", f"of {kind}", "default"]


@pytest.mark.requirement("EXT-APPLY-003")
def test_the_build_id_is_new_in_each_build_and_makes_what_follows_new(situation):
    situation.extensions("USER root\nRUN echo before > /a\nARG build_id=0\nRUN echo $build_id > /b\n" + RESET)
    first, second = situation.run(), situation.run()
    assert "Using the cached layer of RUN echo before > /a" in second.output
    assert "\nRUN echo $build_id > /b\n" in second.output
    assert first.code == second.code == 0


@pytest.mark.requirement("PLAT-EXD-027", "EXT-APPLY-008")
@pytest.mark.parametrize(
    ("dockerfiles", "expected"),
    [
        ([REBASABLE], "true"),
        ([REBASABLE, REBASABLE], "true"),
        ([REBASABLE, "ENV a=b\n"], "false"),
        (["ENV a=b\n", REBASABLE], "false"),
        (["LABEL io.buildpacks.rebasable=false\n", REBASABLE], "false"),
        (["LABEL io.buildpacks.rebasable=perhaps\n"], "false"),
    ],
)
def test_the_run_image_is_rebasable_only_if_every_dockerfile_says_so(situation, dockerfiles, expected):
    situation.base(Labels={"io.buildpacks.rebasable": "true"})
    situation.extensions(*dockerfiles)
    assert situation.run().code == 0
    assert situation.extended().config.labels["io.buildpacks.rebasable"] == expected


def test_a_user_that_is_no_number_of_a_user_is_a_name(situation):
    situation.extensions(f"USER {'9' * 5000}\n")
    done = situation.run()
    assert done.code == 102
    assert "there is no user '9999" in done.output


@pytest.mark.requirement("PLAT-EXD-028", "PLAT-EXD-019")
@pytest.mark.parametrize("user", ["root", "0:1000", "0"])
def test_a_run_image_whose_user_is_root_in_the_end_fails(situation, user):
    situation.extensions(f"USER {user}\n")
    done = situation.run()
    assert done.code == 102
    assert f"the final user of the run image is root ({user})" in done.output
    assert f"changed the user from 1000:1000 to {user}" in done.output
    assert situation.extended() is None


@pytest.mark.requirement("PLAT-EXD-028")
def test_a_run_image_that_names_no_user_fails_for_that_is_root(situation):
    situation.base(User="")
    situation.extensions("ENV a=b\n")
    assert situation.run().code == 102


@pytest.mark.requirement("PLAT-EXD-028")
def test_the_user_of_a_run_image_may_be_root_before_the_last_dockerfile(situation):
    situation.extensions("USER root\n", "USER cnb\n")
    done = situation.run()
    assert done.code == 0, done.output
    assert "this must not be the final user" in done.output
    assert "The original user was" not in done.output


@pytest.mark.requirement("EXT-CTX-002", "EXT-CTX-003", "EXT-CTX-004", "PLAT-EXD-023")
@pytest.mark.parametrize("kind", ["build", "run"])
@pytest.mark.parametrize(
    ("there", "expected"), [(["context"], "context"), (["context.build", "context.run"], "context.{}"), ([], "app")]
)
def test_the_build_context_is_the_folder_for_the_image_else_the_app(situation, kind, there, expected):
    situation.extensions(f"USER root\nCOPY name /copied\nRUN echo =$(cat /copied)=\n{RESET}", kind=kind)
    (situation.container.app / "name").write_text("app")
    for name in there:
        (situation.generated("one") / name).mkdir()
        (situation.generated("one") / name / "name").write_text(name)
    done = situation.run() if kind == "run" else situation.build()
    assert done.code == 0, done.output
    assert f"={expected.format(kind)}=" in done.output


@pytest.mark.requirement("PLAT-EXD-018")
def test_generic_errors_and_unsupported_apis_have_their_codes(situation):
    situation.extensions("ENV a=b\n")
    assert situation.container.phase("extender", "-kind", "other").code == 3
    assert situation.container.phase("extender", "argument").code == 3
    assert situation.container.phase("extender", "-unknown").code == 2
    assert situation.container.phase("extender", api="0.9").code == 11
    assert situation.container.phase("extender", api="9.9").code == 11
    group = situation.container.layers / "group.toml"
    for old, new in (('api = "0.10"', 'api = "0.1"'), ('version = "1"\napi = "0.10"\n', 'version = "1"\napi = "9"\n')):
        text = group.read_text()
        group.write_text(new.join(text.rsplit(old, 1)))
        assert situation.run().code == 12
        group.write_text(text)
    assert situation.run().code == 0


@pytest.mark.requirement("PLAT-EXD-019")
@pytest.mark.parametrize(
    ("dockerfile", "problem"),
    [
        ("RUN exit 7\n", "run.Dockerfile:3: RUN exit 7 exited with status 7"),
        ("RUN kill -9 $$\n", "was killed by signal 9 (Killed)"),
        ('RUN ["/no/such"]\n', "can't be started"),
        ("COPY missing /x\n", "run.Dockerfile:3: there is no 'missing' in the build context"),
        ("COPY --from=x a /b\n", "run.Dockerfile: line 3: COPY can't copy from another image"),
        ("USER nobody\nRUN true\n", "run.Dockerfile:4: there is no user 'nobody' in the image"),
        ("FROM other\n", "has more than one FROM"),
        ("NONSENSE\n", "line 3: unknown instruction: NONSENSE"),
    ],
)
def test_an_extension_that_fails_is_told_with_file_and_line(situation, dockerfile, problem):
    situation.extensions(dockerfile)
    done = situation.run()
    assert done.code == 102
    (error,) = [line for line in done.output.splitlines() if line.startswith("ERROR: failed to extend: /layers/")]
    assert problem in error


def test_a_failing_buildpack_fails_the_build_after_an_extension(situation):
    situation.extensions(f"USER root\nRUN rm /cnb/buildpacks/bp/1/bin/build\n{RESET}", kind="build")
    done = situation.build()
    assert (done.code, "failed to build" in done.output) == (51, True)
    done = situation.container.phase("extender", "-uid", "0", "-gid", "0")
    assert "refusing to run as root" in done.output


def test_without_the_volume_of_the_restorer_the_extender_says_what_to_do(situation):
    (situation.container.layers / "analyzed.toml").write_text("")
    situation.extensions("ENV a=b\n")
    done = situation.run()
    assert done.code == 102
    assert "let the restorer prepare the base images for the extender" in done.output


def test_outside_of_a_container_nothing_is_changed(situation):
    situation.container.variables = {"PATH": "/bin"}
    situation.extensions("USER root\nRUN echo > /changed\n")
    done = situation.run()
    if done.code == 0:
        pytest.skip("these tests run in a container")
    assert "does not look like a container" in done.output
    assert not (situation.container.root / "changed").exists()


def test_commands_run_as_the_user_in_the_directory_and_environment_of_their_place(situation):
    show = (
        "RUN echo =$(id -u):$(id -g):$(id -G)=$PWD=$HOME=$FROM_BASE=$HTTP_PROXY=$CNB_REGISTRY_AUTH=$CNB_PLATFORM_API=\n"
    )
    situation.extensions(f"USER cnb\n{show}USER 1234:5\nWORKDIR /made/here\n{show}USER root\n{show}{RESET}")
    done = situation.run(HTTP_PROXY="http://proxy", CNB_REGISTRY_AUTH="{}")
    assert done.code == 0, done.output
    home = USERS["cnb"][1]
    assert re.findall(r"^=(.*)=$", done.output, re.MULTILINE) == [
        f"1000:1000:1000 1234=/home/cnb={home}=yes=http://proxy==",
        "1234:5:5=/made/here=/=yes=http://proxy==",
        "0:0:0=/made/here=/root=yes=http://proxy==",
    ]
    assert not any("HTTP_PROXY" in each for each in situation.extended().config.env)


@pytest.mark.requirement("BP-SEC-001")
def test_commands_of_root_see_neither_environment_nor_memory_nor_files_of_the_extender(situation):
    look = " ".join(f'cat "/proc/$PPID/{name}" > /tmp/seen && exit 1;' for name in ("environ", "maps", "fd/0"))
    situation.extensions(f"USER root\nRUN cat /proc/self/environ > /tmp/seen || exit 1; {look} true\n{RESET}")
    done = situation.run(CNB_REGISTRY_AUTH="{}")
    assert done.code == 0, done.output
    denied = re.findall(r"/proc/[0-9]+/(\S+)': Permission denied", done.output)
    assert denied == ["environ", "maps", "fd/0"], done.output


def test_scripts_in_dockerfiles_run_as_their_user(situation):
    script = "RUN <<EOF\n#!/bin/sh\necho =$0=$(id -u)=\nEOF\n"
    situation.extensions(f"USER root\nRUN rm -rf /tmp/*\nUSER cnb\n{script}RUN cat <<EOF\n=$FROM_BASE=\nEOF\n")
    done = situation.run()
    assert done.code == 0, done.output
    assert re.search(r"^=/tmp/cnb-lifecycle\.extender\.\w+/script=1000=$", done.output, re.MULTILINE)
    assert "\n=yes=\n" in done.output
    assert list((situation.container.root / "tmp").iterdir()) == []


def paths_of(image):
    """Return the names of all members of all layers."""
    names = []
    for diff_id in image.config.diff_ids:
        with tarfile.open(fileobj=io.BytesIO(b"".join(image.layer(diff_id)))) as layer:
            names += layer.getnames()
    return names


@pytest.mark.parametrize("kind", ["run", "build"])
def test_a_cache_that_is_mounted_is_empty_for_its_command_and_nothing_of_it_stays(situation, kind):
    cached = situation.container.root / "var" / "cached"
    (cached / "below").mkdir(parents=True)
    (cached / "below" / "file").write_text("of the image")
    (cached / "below" / "link").symlink_to("file")
    os.chown(cached / "below" / "file", 1000, 1000)
    mounts = "--mount=type=cache,target=/var/cached,uid=1000 --mount=type=tmpfs,target=/tmp --mount=type=secret,id=x"
    situation.extensions(
        f"USER cnb\nRUN {mounts} [ ! -e /var/cached/below ] && echo x > /var/cached/x && echo x > /tmp/x\n"
        "USER root\nRUN --mount=type=cache,target=/new/cache [ -e /var/cached/below/file ] && echo x > /new/cache/x\n"
        + RESET,
        kind=kind,
    )
    done = situation.run() if kind == "run" else situation.build()
    assert done.code == 0, done.output
    assert (cached / "below" / "file").read_text() == "of the image"
    assert (cached / "below" / "file").stat().st_uid == 1000
    assert (cached / "below" / "link").readlink() == Path("file")
    assert [each.name for each in cached.iterdir()] == ["below"]
    assert cached.stat().st_uid == 0
    assert not list((situation.container.root / "tmp").iterdir())
    assert not list((situation.container.root / "new" / "cache").iterdir())
    if kind == "run":
        assert paths_of(situation.extended()) == ["new", "new/cache"]


def test_what_is_not_the_images_can_not_be_mounted_over(situation):
    (situation.container.app / "precious").write_text("of the app")
    for target in ("/", "/workspace", "/workspace/sub", "/proc"):
        situation.extensions(f"USER root\nRUN --mount=type=cache,target={target} true\n{RESET}")
        done = situation.run()
        assert done.code != 0
        assert f"run.Dockerfile:4: nothing can be mounted at {target}: it is no directory of the image" in done.output
    assert (situation.container.app / "precious").read_text() == "of the app"


def test_add_fetches_files_and_keeps_what_has_a_checksum(situation):
    class Files(LoopbackServer):
        def answer(self, exchange):
            exchange.answer(200, b"fetched")

    digest = hashlib.sha256(b"fetched").hexdigest()
    with Files() as server:
        url = f"{server.url}/a/file%20name?token=1"
        adds = f"ADD {url} /opt/\nADD --checksum=sha256:{digest} --chown=cnb --chmod=644 {url} /opt/other\n"
        situation.extensions(f"USER root\n{adds}RUN cat '/opt/file name' /opt/other; ls -l /opt\n{RESET}")
        first, second = situation.run(), situation.run()
        assert (first.code, second.code) == (0, 0), first.output + second.output
        assert "fetchedfetched" in first.output
        assert re.search(
            r"-rw-------    1 root     root             7 .* file name\n-rw-r--r--    1 cnb .* other", first.output
        )
        assert "Using the cached layer of RUN" in second.output
        assert len(server.requests()) == 3
        situation.extensions(f"USER root\nADD --checksum=sha256:{digest[::-1]} {url} /opt/\n{RESET}")
        done = situation.run()
    assert (done.code, f"has the digest sha256:{digest}, expected sha256:{digest[::-1]}" in done.output) == (102, True)


@pytest.mark.requirement("PLAT-EXD-009", "PLAT-EXD-030")
def test_a_cached_layer_is_used_until_it_is_too_old(situation):
    situation.extensions(f"USER root\nRUN echo ran; echo x > /x\n{RESET}")
    outputs = [situation.run(*more).output for more in ((), (), ("-kaniko-cache-ttl", "0"), ())]
    assert ["\nran\n" in each for each in outputs] == [True, False, True, True]
    assert (situation.container.kaniko / "cache" / "extended").stat().st_mode & 0o777 == 0o700


def test_a_signal_ends_the_command_and_leaves_nothing(situation):
    situation.extensions(
        "USER root\nRUN echo $$ > /workspace/new && mv /workspace/new /workspace/pid; exec sleep 300\n"
    )
    written = situation.container.app / "pid"
    with ThreadPoolExecutor(max_workers=1) as pool:
        ended = pool.submit(situation.run)
        while not ended.done() and not written.exists():
            time.sleep(0.01)
        command = int(written.read_text())
        parent = Path(f"/proc/{command}/stat").read_text().rpartition(")")[2].split()[1]
        os.kill(int(parent), signal.SIGTERM)
        assert ended.result().code == 128 + signal.SIGTERM
    remains, until = Path(f"/proc/{command}"), time.monotonic() + 10
    while remains.exists() and time.monotonic() < until:  # the kernel may be at it still
        time.sleep(0.01)
    assert not remains.exists()
    assert list((situation.container.root / "tmp").iterdir()) == []
    assert situation.extended() is None


def test_a_step_after_a_cached_one_sees_what_that_did(situation, tmp_path):
    situation.extensions(f"USER root\nRUN echo one > /x\n{RESET}")
    assert situation.run().code == 0
    first = situation.extended()
    (situation.container.root / "x").unlink()
    situation.extensions(f"USER root\nRUN echo one > /x\nRUN cat /x; echo two >> /x\n{RESET}")
    done = situation.run()
    assert done.code == 0, done.output
    assert "\none\n" in done.output
    assert situation.extended().config.diff_ids[:1] == first.config.diff_ids
    assert (situation.container.root / "x").read_text() == "one\ntwo\n"


def test_what_is_mounted_or_not_the_images_is_in_no_layer(situation):
    paths = ("/layers/a", "/workspace/a", "/platform/a", "/kaniko/a", "/host/tmp/none || true")
    situation.extensions(
        "USER root\n" + "".join(f"RUN echo > {path}\n" for path in paths) + "COPY b /workspace/b\n" + RESET
    )
    (situation.container.app / "b").touch()
    done = situation.run()
    assert done.code == 0, done.output
    assert situation.extended().config.diff_ids == ()
