"""Two images compared, wherever they are."""

import json
import re
from pathlib import Path

import pytest

from parts.skopeo import push_image, skopeo

FIXTURES = Path(__file__).parents[1] / "fixtures"
BUILD = """\
#!/bin/sh
set -e
cd "$CNB_LAYERS_DIR"
mkdir -p deps other
printf '[types]\\nlaunch = true\\n[metadata]\\nof = "%s"\\n' "$WORD" >deps.toml
printf '[types]\\nlaunch = true\\n' >other.toml
echo "$WORD" >deps/word
echo same >other/same
"""


@pytest.fixture
def build(lifecycle, tmp_path):
    buildpack = tmp_path / "buildpack"
    (buildpack / "bin").mkdir(parents=True)
    (buildpack / "buildpack.toml").write_text(
        'api = "0.11"\n[buildpack]\nid = "test/words"\nversion = "1.2.3"\n[[targets]]\nos = "linux"\n'
    )
    for name, text in (("detect", "#!/bin/sh\n"), ("build", BUILD)):
        (buildpack / "bin" / name).write_text(text)
        (buildpack / "bin" / name).chmod(0o755)

    def run(word, output, *arguments, **variables):
        return lifecycle(
            "build", FIXTURES / "apps/plain", "-b", buildpack, "-e", f"WORD={word}", "-o", output, *arguments,
            **variables,
        )  # fmt: skip

    return run


def test_one_image_is_identical_to_itself_in_every_place(lifecycle, build, registry, dockerd, tmp_path):
    tag = f"{registry.host}/diff/app:1"
    build("one", "oci:layout", "-t", "app")
    insecure, daemon = "--dest-tls-verify=false", f"--dest-daemon-host={dockerd.environment['DOCKER_HOST']}"
    skopeo("copy", insecure, "--preserve-digests", f"oci:{tmp_path}/layout:app", f"docker://{tag}")
    skopeo("copy", daemon, f"oci:{tmp_path}/layout:app", "docker-daemon:diff/app:1")
    skopeo("copy", f"oci:{tmp_path}/layout:app", f"oci-archive:{tmp_path}/archive.tar:app")
    skopeo("copy", f"oci:{tmp_path}/layout:app", f"docker-archive:{tmp_path}/saved.tar:diff/app:1")
    for place in (tag, "docker-daemon:diff/app:1", "archive.tar", "docker-archive:saved.tar:diff/app:1"):
        done = lifecycle("diff", "oci:layout:app", place, **dockerd.environment)
        assert done.stdout.splitlines()[0] == "identical"


def test_the_file_that_differs_and_its_buildpack_are_told_between_registry_and_daemon(
    lifecycle, build, registry, dockerd
):
    tag = f"{registry.host}/diff/two:1"
    build("one", "registry", "-t", tag)
    build("two", "daemon", "-t", "diff/two:1", **dockerd.environment)
    done = lifecycle("diff", tag, "docker-daemon:diff/two:1", check=False, **dockerd.environment)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "different: 1 layer, 1 field of the configuration"
    assert "  ~ layer 1: buildpack test/words@1.2.3, layer deps: 1 with other content" in done.stdout
    assert "/layers/test_words/deps/word" in done.stdout
    assert "      -one\n      +two\n" in done.stdout
    assert "buildpacks[test/words].layers.deps.data.of  (set by buildpack test/words@1.2.3, layer deps)" in done.stdout


def test_only_layers_that_differ_are_downloaded(lifecycle, build, registry, fault_proxy):
    tag = f"{registry.host}/diff/little:1"
    build("one", "registry", "-t", tag)
    build("two", "oci:two", "-t", "app")
    layers = json.loads(
        skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{tag}").stdout
    )["layers"]  # fmt: skip
    with_proxy = fault_proxy(registry.host)
    done = lifecycle("diff", f"{with_proxy.host}/diff/little:1", "two", "--json", check=False)
    assert done.returncode == 1
    (layer,) = json.loads(done.stdout)["layers"]
    assert (layer["second"]["buildpack"], layer["second"]["name"]) == ("test/words", "deps")
    read = {request.path.rpartition("/")[2] for request in with_proxy.requests("GET", "/blobs/")}
    assert read & {each["digest"] for each in layers} == {layers[0]["digest"]}


def test_other_compression_alone_is_told_and_may_be_ignored(lifecycle, build, tmp_path):
    build("one", "oci:gzip", "-t", "app")
    skopeo("copy", "--dest-compress-format=zstd", f"oci:{tmp_path}/gzip:app", f"oci:{tmp_path}/zstd:app")
    done = lifecycle("diff", "gzip", "zstd", check=False)
    assert done.returncode == 1
    assert re.match(r"same image id, stored differently: the compression of \d layers\n", done.stdout)
    assert lifecycle("diff", "--ignore-storage", "gzip", "zstd").returncode == 0


def test_an_image_of_several_platforms_is_compared_for_the_one_that_is_wanted(lifecycle, registry):
    image = push_image(registry, "diff/platforms", platforms=("linux/amd64", "linux/arm64"))
    other = push_image(registry, "diff/platforms", "arm", platforms=("linux/arm64",))
    arm = lifecycle("diff", "--platform", "linux/arm64", image.reference, other.reference, check=False)
    assert arm.returncode == 0, arm.stdout
    amd = lifecycle("diff", "--platform", "linux/amd64", image.reference, other.reference, check=False)
    assert amd.returncode == 1
    assert "architecture" in amd.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("oci:gone", "scratch"), 4, "oci:gone: is not there"),
        (("scratch", "docker-archive:gone.tar"), 4, "docker-archive:gone.tar: is not there"),
        (("scratch", "-not/a-reference"), 2, "No such option"),
        (("scratch", "NOT/A:REFERENCE"), 3, "is not a valid image reference"),
        (("scratch", "scratch", "--platform", "linux"), 3, "is no platform"),
        (("scratch",), 2, "Missing argument"),
    ],
)  # fmt: skip
def test_what_can_not_be_compared_has_a_code_of_its_own(lifecycle, arguments, code, said):
    done = lifecycle("diff", *arguments, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_layer_that_was_damaged_ends_it_with_one_message(lifecycle, build, tmp_path):
    build("one", "oci:one", "-t", "app")
    build("two", "oci:two", "-t", "app")
    index = json.loads((tmp_path / "two/index.json").read_text())
    blobs = tmp_path / "two/blobs/sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"].partition(":")[2]).read_text())
    (blobs / manifest["layers"][0]["digest"].partition(":")[2]).write_bytes(b"x" * manifest["layers"][0]["size"])
    done = lifecycle("diff", "one", "two", check=False)
    assert done.returncode == 4
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
