"""The parts that other tests stand on do what those tests believe: memory, and layers of any size."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import urllib.request

import pytest

from parts.memory import MIB, memory_of_call, memory_of_command
from parts.skopeo import access, pull_files, push_image, skopeo
from parts.synthetic_registry import SyntheticLayer, SyntheticRegistry


@pytest.fixture
def synthetic_registry():
    with SyntheticRegistry() as started:
        yield started


def _holds(size):
    return len(bytearray(b"x") * size)


def _streams(url):
    import hashlib
    import urllib.request

    digest = hashlib.sha256()
    with urllib.request.urlopen(url) as answer:
        while data := answer.read(65536):
            digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def _reads_whole(url):
    import urllib.request

    with urllib.request.urlopen(url) as answer:
        return len(answer.read())


def test_a_call_that_holds_memory_is_seen_whatever_this_process_holds():
    here = bytearray(b"x") * (200 * MIB)
    little, much = memory_of_call(_holds, MIB), memory_of_call(_holds, 150 * MIB)
    assert (little.result, much.result) == (MIB, 150 * MIB)
    assert little.peak < 60 * MIB < len(here)
    assert 140 * MIB < much.peak - little.peak < 160 * MIB


def test_a_command_that_holds_memory_is_seen_whatever_this_process_holds():
    here = bytearray(b"x") * (200 * MIB)
    hold = "import sys; len(bytearray(b'x') * int(sys.argv[1])); print('done'); sys.exit(3)"
    little, much = (memory_of_command([sys.executable, "-c", hold, str(size)]) for size in (MIB, 150 * MIB))
    assert (little.exit_code, little.stdout, little.stderr) == (3, "done\n", "")
    assert little.peak < 60 * MIB < len(here)
    assert 140 * MIB < much.peak - little.peak < 160 * MIB


def test_commands_that_do_not_start_or_do_not_end_are_told_apart():
    missing = memory_of_command(["/no/such/program"])
    assert missing.exit_code == 127
    assert "/no/such/program" in missing.stderr
    with pytest.raises(subprocess.TimeoutExpired):
        memory_of_command(["sleep", "3600"], timeout=0.5)


def test_functions_that_cannot_run_elsewhere_are_refused():
    around = 5

    def closure():
        return around

    for function in (closure, lambda: 1):
        with pytest.raises(ValueError, match="can't run in another process"):
            memory_of_call(function)


def test_a_failing_call_shows_its_traceback():
    with pytest.raises(RuntimeError, match=r"OverflowError|MemoryError"):
        memory_of_call(_holds, 2**62)


@pytest.mark.parametrize("size", [0, 1, 511, 512, MIB, MIB + 1, 3 * MIB + 7])
def test_synthetic_layers_are_tar_archives_with_the_file(size):
    plain, packed = SyntheticLayer(size), SyntheticLayer(size, compression="gzip")
    tar, zipped = b"".join(plain.chunks()), b"".join(packed.chunks())
    assert gzip.decompress(zipped) == tar
    assert (plain.blob_size, packed.blob_size) == (len(tar), len(zipped))
    assert plain.digest == plain.diff_id == packed.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert packed.digest == f"sha256:{hashlib.sha256(zipped).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == ["opt/large"]
        assert archive.extractfile("opt/large").read() == b"".join(plain.file_chunks())


def test_a_stream_of_any_length_needs_the_same_memory_and_a_read_of_the_whole_does_not(synthetic_registry):
    layers = [SyntheticLayer(size) for size in (MIB, 150 * MIB)]
    synthetic_registry.add_image("some/image", layers)
    urls = [f"{synthetic_registry.url}/v2/some/image/blobs/{layer.digest}" for layer in layers]
    small, large = (memory_of_call(_streams, url) for url in urls)
    assert [small.result, large.result] == [layer.digest for layer in layers]
    assert large.peak - small.peak < 8 * MIB
    assert memory_of_call(_reads_whole, urls[1]).peak - small.peak > 140 * MIB


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_synthetic_blob_can_be_resumed(synthetic_registry, compression):
    layer = SyntheticLayer(3 * MIB, compression=compression)
    synthetic_registry.add_image("some/image", [layer])
    url = f"{synthetic_registry.url}/v2/some/image/blobs/{layer.digest}"
    for first in (1, MIB + 512, layer.blob_size - 1):
        request = urllib.request.Request(url, headers={"Range": f"bytes={first}-"})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 206
            assert answer.read() == b"".join(layer.chunks())[first:]


def test_skopeo_copies_a_synthetic_image_to_a_real_registry(synthetic_registry, registry):
    layers = [SyntheticLayer(3 * MIB, "one"), SyntheticLayer(MIB, "two", seed=1, compression="gzip")]
    synthetic_registry.add_image("some/image", layers)
    with access(synthetic_registry, "--src-") as source, access(registry, "--dest-") as target:
        skopeo(
            *("copy", *source, *target, f"docker://{synthetic_registry.host}/some/image"),
            f"docker://{registry.host}/parts/from-synthetic",
        )
    one, two = pull_files(registry, "parts/from-synthetic:latest")
    assert one == {"one": b"".join(layers[0].file_chunks())}
    assert two == {"two": b"".join(layers[1].file_chunks())}


def test_what_skopeo_pushes_is_checked_and_not_kept(synthetic_registry):
    pushed = push_image(synthetic_registry, "some/target", layers=[{"big": bytes(5 * MIB)}])
    assert synthetic_registry.manifests["some/target:latest"] == (pushed.media_type, pushed.data)
    sizes = {each["digest"]: each["size"] for each in [pushed.manifest["config"], *pushed.manifest["layers"]]}
    assert synthetic_registry.uploaded == sizes
