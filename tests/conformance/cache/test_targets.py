"""Caches in BuildKit's format: what they hold in each mode, and what a second builder with an empty disk gets back.

Experiments E3 and E4 of spec/cache-experiments.md.
"""

import json
import pwd
from dataclasses import dataclass

import pytest

from lifecycle.images.layout_files import DirectoryFiles, blob_name
from lifecycle.images.layout_image import read_layout_index, with_name
from lifecycle.images.registry.client import RegistryClient
from lifecycle.layers.blob import decompressed
from lifecycle.oci.digest import digest_of
from lifecycle.oci.manifest import Descriptor, Manifest, read_descriptor
from lifecycle.oci.reference import parse_reference
from parts.builds import Builds

BUILD = r"""
cd "$CNB_LAYERS_DIR"
find . -type f | sort | sed 's/^/found /'
for layer in 'tools build' 'deps build launch' 'downloads cache' 'app launch' 'both cache launch'; do
    set -- $layer
    name=$1
    shift
    if [ -d "$name" ]; then echo "reused $name"; else echo "made $name"; fi
    mkdir -p "$name/lib"
    echo "$name" > "$name/lib/data"
    { echo "[types]"; for type; do echo "$type = true"; done
      printf '[metadata]\nof = "%s"\nratio = 1.5\nat = 1979-05-27T07:32:00Z\n' "$name"; } > $name.toml
done
printf '[metadata]\nn = 1\n' > store.toml
printf '{"of":"tools"}' > tools.sbom.cdx.json
printf '{"of":"app"}' > app.sbom.cdx.json
printf '{"of":"downloads"}' > downloads.sbom.cdx.json
printf '[[processes]]\ntype = "web"\ncommand = ["true"]\n' > launch.toml
"""
LAUNCH, CACHED, BUILD_ONLY = {"app", "both", "deps"}, {"both", "downloads"}, {"tools"}
CONFIG_TYPE = "application/vnd.buildkit.cacheconfig.v0"
INDEX_TYPE = "application/vnd.cnb-lifecycle.cache.index.v1+json"
ONE_MIB = 1 << 20
SECRET = "never-to-be-seen-4711"


@pytest.fixture(scope="module")
def numbers():
    return iter(range(1000))


@pytest.fixture
def builds(place, registry, registry_store, numbers):
    made = Builds(place, registry_store, f"{registry.host}/targets-{next(numbers)}")
    place.write("buildpacks/a_b/1/bin/build", f"#!/bin/sh\nset -e\n{BUILD}")
    return made


@dataclass(frozen=True)
class Stored:
    """A cache as an independent reader sees it: its documents as JSON and its blobs as bytes."""

    media_type: str
    manifest: dict
    config: dict
    index: dict
    blobs: dict[str, bytes]

    @property
    def build(self):
        return self.index["builds"][0]

    def layers(self):
        """Layers by name."""
        return {layer["name"]: layer for step in self.build["steps"] for layer in step["layers"]}

    def kept(self):
        return {name for name, layer in self.layers().items() if "blob" in layer}


def stored(manifest: bytes, media_type: str, fetch) -> Stored:
    value = json.loads(manifest)
    listed = [*value.get("manifests", ()), *value.get("layers", ())]
    config = value.get("config") or next(each for each in listed if each["mediaType"] == CONFIG_TYPE)
    blobs = {each["digest"]: fetch(read_descriptor(each, where="")) for each in [*listed, config]}
    for each in [*listed, config]:
        assert digest_of(blobs[each["digest"]]) == each["digest"]
        assert len(blobs[each["digest"]]) == each["size"]
    assert config["mediaType"] == CONFIG_TYPE
    read = json.loads(blobs[config["digest"]])
    return Stored(media_type, value, read, json.loads(blobs[read["cnb"]["index"]]), blobs)


def in_registry(client: RegistryClient, name: str) -> Stored:
    reference = parse_reference(name)
    found = client.manifest(reference)
    assert found is not None
    return stored(found.data, found.media_type, lambda each: b"".join(client.blob(reference, each)))


def in_layout(path, tag="latest") -> Stored:
    files = DirectoryFiles(path)
    (found,) = with_name(read_layout_index(files), tag)
    read = lambda each: b"".join(files.chunks(blob_name(each.digest)))  # noqa: E731
    return stored(read(found), found.media_type, read)


@pytest.fixture
def client(registry_client):
    return registry_client


def seen(done):
    assert done.code == 0, done.output
    return {line.split()[1] for line in done.output.splitlines() if line.startswith("reused ")}


def build(builds, *arguments, **more):
    done = builds.create(*arguments, **more)
    assert done.code == 0, done.output
    return done


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_second_builder_with_an_empty_disk_gets_build_only_layers_with_max_and_not_with_min(builds, mode):
    cache = builds.name("cache")
    build(builds, "-cache-to", f"type=registry,ref={cache},mode={mode}")
    builds.start_again(cache=False)
    second = build(builds, "-cache-from", cache, name="second")
    assert seen(second) == (CACHED | BUILD_ONLY | {"deps"} if mode == "max" else CACHED | {"deps"})
    first_image, second_image = builds.image(), builds.image("second")
    assert first_image.reference.rpartition("@")[2] == second_image.reference.rpartition("@")[2]


@pytest.mark.parametrize(("mode", "kept"), [("min", LAUNCH | CACHED), ("max", LAUNCH | CACHED | BUILD_ONLY)])
@pytest.mark.parametrize(
    ("attributes", "media_type"),
    [
        ("", "application/vnd.oci.image.manifest.v1+json"),
        (",image-manifest=false", "application/vnd.oci.image.index.v1+json"),
        (",oci-mediatypes=false", "application/vnd.docker.distribution.manifest.list.v2+json"),
    ],
)
def test_a_registry_holds_what_the_mode_says_in_each_variant(builds, client, mode, kept, attributes, media_type):
    cache = builds.name("cache")
    build(builds, "-cache-to", f"type=registry,ref={cache},mode={mode}{attributes}")
    found = in_registry(client, cache)
    assert found.media_type == media_type
    assert found.kept() == kept
    assert set(found.layers()) == LAUNCH | CACHED | BUILD_ONLY
    assert found.layers()["tools"]["metadata"]["ratio"] == {"$toml": ["float", "1.5"]}
    places = {"launch", "cache", "build"} if mode == "max" else {"launch", "cache"}
    assert set(found.build["sbom"]) == places
    outputs = {"launch.toml", "store.toml"} if mode == "max" else {"store.toml"}
    assert set(found.build["steps"][0]["outputs"]) == outputs
    assert set(found.build.get("detected", ())) == ({"group", "plan"} if mode == "max" else set())
    keys = {record["digest"] for record in found.config["records"]}
    assert found.build["steps"][0]["key"] in keys
    assert len(keys) == 1 + len(kept)
    builds.start_again(cache=False)
    assert seen(build(builds, "-cache-from", cache, name="again")) >= CACHED


def test_blobs_unpack_to_their_diff_ids_in_every_compression(builds, client):
    diff_ids = {}
    for compression, magic in (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"), ("uncompressed", b"")):
        for force in ("false", "true"):
            cache = builds.name(f"cache-{compression}-{force}")
            build(
                builds,
                "-cache-to",
                f"type=registry,ref={cache},mode=max,compression={compression},force-compression={force}",
            )
            found = in_registry(client, cache)
            for name, layer in found.layers().items():
                blob = found.blobs[layer["blob"]]
                tar = b"".join(decompressed([blob]))
                assert digest_of(tar) == layer["diffID"]
                diff_ids.setdefault(name, set()).add(layer["diffID"])
                if force == "true" or name in BUILD_ONLY | CACHED - LAUNCH:
                    packed = layer["mediaType"].partition(".tar")[2]
                    assert packed == {"gzip": "+gzip", "zstd": "+zstd", "uncompressed": ""}[compression]
                    assert blob.startswith(magic)
                    assert magic or blob == tar
    assert {name: len(each) for name, each in diff_ids.items()} == dict.fromkeys(LAUNCH | CACHED | BUILD_ONLY, 1)


def test_a_level_changes_the_size_and_no_diff_id(builds, client):
    builds.place.write("buildpacks/a_b/1/bin/build", f"#!/bin/sh\n{BUILD}\nseq 20000 > tools/lib/data\n")
    found = []
    for level in (1, 9):
        cache = builds.name(f"cache-{level}")
        build(builds, "-cache-to", f"type=registry,ref={cache},mode=max,compression-level={level}")
        found.append(in_registry(client, cache).layers()["tools"])
    assert found[0]["diffID"] == found[1]["diffID"]
    assert found[0]["size"] != found[1]["size"]


def test_two_builders_that_make_the_same_write_the_same_cache(builds, client):
    caches = [builds.name("one"), builds.name("other")]
    for cache in caches:
        builds.start_again(cache=False)
        build(builds, "-cache-to", f"type=registry,ref={cache},mode=max", name=cache.rpartition("/")[2])
    one, other = (client.manifest(parse_reference(cache)) for cache in caches)
    assert one.digest == other.digest


def test_all_phases_one_by_one_write_and_read_the_cache_that_the_creator_does(builds, client):
    cache, other = builds.name("by-phases"), builds.name("by-creator")
    # A creator looks up its user's home, which a container engine sets for other phases.
    home = next((each.pw_dir for each in pwd.getpwall() if each.pw_uid == builds.ids[0]), "/")
    builds.five(CNB_CACHE_TO=f"type=registry,ref={cache},mode=max", HOME=home)
    builds.start_again(cache=False)
    build(builds, "-cache-to", f"type=registry,ref={other},mode=max", name="created")
    assert in_registry(client, cache).index == in_registry(client, other).index
    assert client.manifest(parse_reference(cache)).digest == client.manifest(parse_reference(other)).digest
    builds.start_again(cache=False)
    done = builds.five(name="again", CNB_CACHE_FROM=cache, HOME=home)
    assert seen(done[3]) == CACHED | BUILD_ONLY | {"deps"}


def test_a_directory_is_a_cache_too_and_keeps_other_tags_unless_it_is_reset(builds):
    path = builds.place.root / "exported"
    path.mkdir()
    for tag in ("latest", "other"):
        build(builds, "-cache-to", f"type=local,dest={path},tag={tag},mode=max")
    assert in_layout(path).kept() == in_layout(path, "other").kept() == LAUNCH | CACHED | BUILD_ONLY
    builds.start_again(cache=False)
    assert seen(build(builds, "-cache-from", f"type=local,src={path}", name="second")) >= BUILD_ONLY
    build(builds, "-cache-to", f"type=local,dest={path},tag=only,reset=true")
    assert [each.annotations for each in read_layout_index(DirectoryFiles(path))] == [
        {"org.opencontainers.image.ref.name": "only"}
    ]
    assert in_layout(path, "only").kept() == LAUNCH | CACHED
    listed = {f"sha256:{each.name}" for each in (path / "blobs/sha256").iterdir()}
    found = in_layout(path, "only")
    assert listed == set(found.blobs) | {digest_of(json.dumps(found.manifest, separators=(",", ":")).encode())}


def test_an_image_is_a_cache_of_its_launch_layers_when_asked_and_else_has_no_trace(builds):
    plain = build(builds, name="plain")
    build(builds, "-cache-to", "type=inline", name="inline")
    assert plain.code == 0
    configs = {}
    for name in ("plain", "inline"):
        image = builds.image(name)
        data = b"".join(image.blob(image.manifest.config))
        configs[name] = json.loads(data)
    assert "moby.buildkit.cache.v0" not in configs["plain"]
    assert "cnb-lifecycle.cache.records" not in configs["plain"]["config"]["Labels"]
    assert configs["plain"]["rootfs"] == configs["inline"]["rootfs"]
    assert configs["inline"]["config"]["Labels"].pop("cnb-lifecycle.cache.records")
    assert configs["inline"].pop("moby.buildkit.cache.v0")
    assert configs["inline"] == configs["plain"]
    builds.start_again(cache=False)
    second = build(builds, "-cache-from", builds.name("inline"), name="second")
    assert seen(second) == {"both", "deps"}


def test_with_merge_a_cache_keeps_the_builds_of_others_and_without_only_the_last(builds, client):
    cache = builds.name("cache")
    for text in ("first", "second"):
        builds.place.write("app/main.txt", text)
        builds.start_again(cache=False)
        build(builds, "-cache-to", f"type=registry,ref={cache},mode=max,merge=true")
    found = in_registry(client, cache)
    keys = [each["steps"][0]["key"] for each in found.index["builds"]]
    assert len(set(keys)) == 2
    build(builds, "-cache-to", f"type=registry,ref={cache},mode=max")
    assert [each["steps"][0]["key"] for each in in_registry(client, cache).index["builds"]] == keys[:1]


def test_no_secret_of_the_build_stands_in_a_cache(builds, client):
    builds.place.write("platform/env/API_TOKEN", SECRET)
    builds.place.write("build-config/env/OPERATOR_TOKEN", SECRET)
    cache, path = builds.name("cache"), builds.place.root / "exported"
    done = build(
        builds,
        "-cache-to", f"type=registry,ref={cache},mode=max",
        "-cache-to", f"type=local,dest={path},mode=max",
        "-cache-to", "type=inline",
        HOSTNAME="host-of-the-build",
        HTTP_PROXY=f"http://user:{SECRET}@proxy.example",
    )  # fmt: skip
    found = in_registry(client, cache)
    image = builds.image()
    data = [*found.blobs.values(), json.dumps(found.manifest).encode(), b"".join(image.blob(image.manifest.config))]
    data += [b"".join(decompressed([blob])) for blob in found.blobs.values()]
    data += [each.read_bytes() for each in path.rglob("*") if each.is_file()]
    data += [each.read_bytes() for each in builds.place.layers.rglob("*") if each.is_file()]
    assert not [each for each in data if SECRET.encode() in each or b"host-of-the-build" in each]
    assert SECRET not in done.output


def test_a_step_with_service_bindings_has_no_key_and_its_layers_come_back_as_a_hint(builds, client):
    builds.place.write("platform/bindings/db/password", SECRET)
    cache = builds.name("cache")
    build(builds, "-cache-to", f"type=registry,ref={cache},mode=max")
    step = in_registry(client, cache).build["steps"][0]
    assert "key" not in step
    assert "inputs" not in step
    builds.start_again(cache=False)
    assert seen(build(builds, "-cache-from", cache, name="second")) == CACHED


def test_a_killed_registry_fails_the_build_only_without_ignore_error_and_the_image_is_written(builds, own_registry):
    address = f"{own_registry.host}/cache"
    own_registry.kill()
    failed = builds.create("-cache-to", f"type=registry,ref={address}")
    assert failed.code != 0
    assert any("failed to export cache" in line and "ignore-error=true" in line for line in failed.errors)
    assert builds.image() is not None
    done = build(builds, "-cache-to", f"type=registry,ref={address},ignore-error=true")
    assert "Failed to export cache to" in done.output


def test_blobs_of_a_cache_that_buildkit_wrote_are_mounted_where_the_image_has_them(builds, registry, client):
    image = builds.image("run")
    (layer,) = image.manifest.layers
    foreign, target = parse_reference(builds.name("foreign")), f"{builds.repository}-target"
    config = json.dumps({"layers": [{"blob": layer.digest, "parent": -1}], "records": [{"digest": layer.digest}]})
    described = Descriptor(CONFIG_TYPE, len(config), digest_of(config.encode()))
    client.upload_blob(foreign, described, lambda: iter([config.encode()]))
    client.mount_blob(foreign, layer, source=parse_reference(builds.name("run")))
    manifest = Manifest("application/vnd.oci.image.manifest.v1+json", described, (layer,)).dumps()
    client.put_manifest(foreign, manifest, "application/vnd.oci.image.manifest.v1+json")
    done = builds.one("creator", "-cache-from", foreign.name, f"{target}/app")
    assert done.code == 0, done.output
    assert "a cache that BuildKit wrote" in done.output
    assert f"from={foreign.repository.replace('/', '%2F')}" in registry.log


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("type=registry,ref=a/b,mode=maximum", "mode=maximum"),
        ("type=registry,ref=a/b,compression=estargz", "estargz is not supported"),
        ("type=registry,ref=a/b,compression=zstd,compression-level=40", "not between 1 and 22"),
        ("type=registry,ref=a/b,image-manifest=true,oci-mediatypes=false", "OCI media types"),
        ("type=inline,mode=max", "launch layers only"),
        ("type=gha", "has the type 'gha'"),
        ("type=registry", "lacks ref"),
    ],
)
def test_a_target_that_can_not_be_is_refused_before_anything_is_built(builds, value, words):
    done = builds.create("-cache-to", value)
    assert done.code != 0
    assert words in done.output
    assert "made" not in done.output


def test_without_a_cache_flag_no_step_is_looked_at_and_what_another_build_saw_is_gone(builds):
    path = builds.place.layers / "cache-steps.json"
    build(builds, "-cache-to", f"type=local,dest={builds.place.root / 'exported'}")
    assert path.exists()
    build(builds)
    assert not path.exists()


def test_two_targets_in_one_place_are_refused(builds):
    cache = f"type=registry,ref={builds.name('cache')}"
    done = builds.create("-cache-to", cache, "-cache-to", f"{cache}:latest,mode=max")
    assert done.code != 0
    assert "writes there too" in done.output
