"""Apps built twice, by buildpacks that do the same each time and by others."""

import json
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
APP = FIXTURES / "apps/plain"
UNSTEADY = """\
#!/bin/sh
set -e
cd "$CNB_LAYERS_DIR"
mkdir -p steady time path random order log
for layer in steady time path random order log; do printf '[types]\\nlaunch = true\\n' >$layer.toml; done
printf '[types]\\nlaunch = true\\n[metadata]\\nbuilt = "%s"\\n' "$(date +%s)" >steady.toml
echo steady >steady/file
date +%s >time/built-at
echo 'x = 1' >time/module.py
python3 -m py_compile time/module.py
echo "home=$HOME" >path/config.ini
cat /proc/sys/kernel/random/uuid >random/id
python3 -c 'print(*{str(n) for n in range(200)}, sep="\\n")' >order/names
echo "done in $$ ms" >log/install.log
"""


def buildpack(directory, build):
    (directory / "bin").mkdir(parents=True)
    (directory / "buildpack.toml").write_text(
        'api = "0.11"\n[buildpack]\nid = "test/unsteady"\nversion = "1.2.3"\n[[targets]]\nos = "linux"\n'
    )
    for name, text in (("detect", "#!/bin/sh\n"), ("build", build)):
        (directory / "bin" / name).write_text(text)
        (directory / "bin" / name).chmod(0o755)
    return directory


def test_a_build_that_does_the_same_each_time_is_reproducible_and_nothing_is_pushed(lifecycle, registry, tmp_path):
    tag = f"{registry.host}/verify/app:1"
    cache = tmp_path / "cache"
    done = lifecycle(
        "verify", "--quiet", "--keep", "kept", "--",
        APP, "-b", FIXTURES / "buildpacks/hello-processes", "-o", "registry", "-t", tag, "--cache-dir", cache,
        "--cache-to", f"type=registry,ref={registry.host}/verify/cache:1", "--process", "sys-info",
        CNB_CACHE_REPO=str(tmp_path / "shared"), SOURCE_DATE_EPOCH="1",
    )  # fmt: skip
    assert done.stdout.startswith("reproducible: both builds made sha256:")
    assert done.stderr == ""
    assert "/v2/verify/" not in registry.log
    assert not cache.exists()
    assert not (tmp_path / "shared").exists()
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == []
    assert lifecycle("diff", "kept/first", "kept/second").stdout.startswith("identical")


@pytest.fixture(scope="module")
def unsteady(tmp_path_factory):
    return buildpack(tmp_path_factory.mktemp("unsteady") / "buildpack", UNSTEADY)


def test_what_a_buildpack_does_otherwise_each_time_is_told_by_its_id_and_file_with_the_cause(lifecycle, unsteady):
    done = lifecycle("verify", "--json", "--", APP, "-b", unsteady, check=False)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert not found["reproducible"]
    assert {each["second"]["buildpack"] for each in found["difference"]["layers"]} == {"test/unsteady"}
    files = {
        member["path"].removeprefix("/layers/test_unsteady/"): " ".join(member["causes"])
        for layer in found["difference"]["layers"]
        for member in layer["members"]
    }
    expected = {
        "time/built-at": "a time", "path/config.ini": "a path of the build", "random/id": "a random id",
        "order/names": "the same parts in another order", "log/install.log": "a log",
    }  # fmt: skip
    assert {name: cause in files[name] for name, cause in expected.items()} == dict.fromkeys(expected, True)
    (bytecode,) = (cause for name, cause in files.items() if name.endswith(".pyc"))
    assert "bytecode with the mtime of its source" in bytecode
    assert "steady/file" not in files
    of_metadata = [each for each in found["difference"]["fields"] if each["field"].endswith("steady.data.built")]
    assert [each["origin"] for each in of_metadata] == ["buildpack test/unsteady@1.2.3, layer steady"]
    assert found["first-difference"]["layer"]["buildpack"] == "test/unsteady"


def test_the_first_difference_comes_first(lifecycle, tmp_path):
    text = '#!/bin/sh\ncd "$CNB_LAYERS_DIR"; mkdir a; date +%s >a/now; printf "[types]\\nlaunch = true\\n" >a.toml\n'
    done = lifecycle("verify", "--", APP, "-b", buildpack(tmp_path / "one", text), check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "not reproducible",
        "first difference: /layers/test_unsteady/a/now",
        "  made by buildpack test/unsteady@1.2.3, layer a",
    ]
    assert "      likely: a time: leave it out, or take that of SOURCE_DATE_EPOCH" in lines
    assert "==> Build 1 of 2" in done.stderr


def test_a_build_that_fails_ends_it_with_its_code_and_its_log(lifecycle):
    done = lifecycle("verify", "-q", "--", APP, "-b", FIXTURES / "buildpacks/fails-build", check=False)
    assert done.returncode == 51
    assert "error:" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--", "--no-such-option"), 2, "No such option"),
        (("--keep", "full", "--", "app"), 3, "full: is not empty"),
        ((), 2, "Missing argument"),
    ],
)
def test_arguments_that_are_wrong_are_refused_before_anything_is_built(lifecycle, tmp_path, arguments, code, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    done = lifecycle("verify", *arguments, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert "==> Analyzing" not in done.stderr
