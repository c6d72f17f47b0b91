"""What a build tells of where layers came from, and that it reads what it opened and nothing else."""

import base64
import json
import re
import tomllib

import pytest

from lifecycle.images.image_platform import ImagePlatform
from lifecycle.images.registry.store import RegistryStore
from lifecycle.images.store import NewImage, ReusedLayer
from parts.fault_proxy import Stall
from parts.registry import RegistryServer
from parts.registry_clients import client_of
from parts.tls import write_htpasswd


def layers(report):
    return {f"{row['buildpack']}:{row['layer']}": row for row in report["cache"]["layer"]}


def blob_of(image, created_by):
    """Return the descriptor of the layer whose history says so."""
    return next(
        descriptor
        for descriptor, entry in zip(image.manifest.layers, image.config.history, strict=True)
        if created_by in entry.created_by
    )


def copy(builds, name, target):
    """Copy an image to another name of the same or another registry."""
    image = builds.image(name)
    kept = tuple(ReusedLayer(image, each) for each in image.config.diff_ids)
    written = builds.store.write(NewImage(None, kept, image.config), [target])
    assert not written.failures


LOG = """\
===> RESTORING
Restoring data for SBOM from cache
Restoring metadata for "a/b:both" from app image
Restoring data for "a/b:both" from cache
Restoring metadata for "a/b:kept" from cache
Restoring data for "a/b:kept" from cache
Restoring metadata for "a/b:run" from app image
===> BUILDING
"""


def test_without_the_new_inputs_log_report_and_files_are_as_ever(builds):
    builds.create(name="app")
    builds.start_again()
    done = builds.create(name="app")
    digest = builds.image("app").reference.rpartition("@")[2]
    size = len(builds.image("app").stored.data)
    assert LOG in done.output
    assert "ache source" not in done.output
    assert (builds.place.layers / "report.toml").read_text() == (
        f'[image]\n  tags = ["{builds.name("app")}"]\n  digest = "{digest}"\n  manifest-size = {size}\n'
    )
    builds.start_again()
    builds.five(name="app")
    assert not list(builds.place.layers.glob("cache*"))


def test_report_and_json_say_the_same_and_name_sources_by_digest(builds):
    builds.build(name="source", buildpacks="ab")
    builds.order("abc")
    path = builds.place.root / "reports" / "cache.json"
    path.parent.mkdir()
    builds.build("-cache-from", builds.name("source"), "-cache-report", path, name="app")
    report = builds.report()
    assert json.loads(path.read_text())["cache"] == report["cache"]
    assert report["cache"]["source"][0] == {
        "index": 1,
        "spec": builds.name("source"),
        "kind": "app image",
        "name": builds.image("source").reference,
        "digest": builds.image("source").reference.rpartition("@")[2],
        "status": "ok",
    }
    found = layers(report)
    assert {layer: row["action"] for layer, row in found.items()} == {
        "a:deps": "restored", "a:run": "mounted", "b:deps": "restored", "b:run": "mounted",
        "c:deps": "rebuilt", "c:run": "rebuilt",
    }  # fmt: skip
    assert found["c:deps"]["reason"] == "no source has layers of this buildpack that could come back"
    assert report["cache"]["step"][2] == {
        "buildpack": "c",
        "passed-over": [{"source": 1, "reason": "does not know c"}],
    }
    assert report["cache"]["totals"]["restored"] == report["cache"]["totals"]["mounted"] == 2


def test_the_log_says_of_each_miss_why(builds):
    builds.build(name="one", buildpacks="a")
    builds.build("-cache-image", builds.name("two"), name="of-two", buildpacks="b")
    names = [word for name in ("one", "two") for word in ("-cache-from", builds.name(name))]
    done = builds.build(*names, name="app", buildpacks="abc")
    assert "Passing over cache source #1 for b: does not know b\n" in done.output
    assert "Passing over cache source #2 for c: does not know c\n" in done.output
    assert "Passing over cache source #2 for a" not in done.output


def test_a_layer_of_the_chosen_source_that_stays_away_is_in_the_log(own_builds, own_registry):
    builds = own_builds
    builds.build(name="one", buildpacks="a")
    for descriptor in (blob_of(builds.image("one"), "'deps'"), blob_of(builds.image("one"), "'run'")):
        own_registry.blob_path(descriptor.digest).unlink()
    own_registry.restart()
    done = builds.build("-cache-from", builds.name("one"), name="app", buildpacks="a")
    assert re.search(r"Warning: Skipping restore for layer a:deps: .* lacks the blob sha256:", done.output)
    assert "Warning: Skipping restore for layer a:run: no source has the layer sha256:" in done.output


def test_a_report_can_be_had_without_named_sources(builds):
    path = builds.place.root / "reports" / "cache.json"
    path.parent.mkdir()
    builds.create(name="app")
    builds.start_again()
    assert builds.create("-cache-report", path, name="app").code == 0
    report = json.loads(path.read_text())["cache"]
    assert [(row["index"], row["kind"]) for row in report["source"]] == [(1, "volume"), (2, "app image")]
    found = {row["layer"]: (row["action"], row.get("source"), row.get("match")) for row in report["layer"]}
    assert found == {
        "both": ("restored", 1, "previous"),
        "kept": ("restored", 1, "previous"),
        "run": ("rebuilt", 2, None),
    }


def test_phases_one_by_one_take_layers_from_what_the_restorer_opened(builds, made):
    builds.build(name="source", buildpacks="ab")
    builds.build(name="other", buildpacks="c")
    builds.order("ab")
    builds.start_again(cache=False)
    opened = builds.image("source").reference
    wanted = builds.image("source").manifest.layers
    for phase, words in (("analyzer", [builds.name("app")]), ("detector", [])):
        assert builds.one(phase, *words).code == 0
    done = builds.one("restorer", CNB_CACHE_FROM=f"\n  {builds.name('source')}\n")
    assert f'Restoring data for "a:deps" from #1 {opened}' in done.output
    copy(builds, "other", builds.name("source"))
    assert made(builds.one("builder")) == set()
    done = builds.one("exporter", builds.name("app"))
    assert done.code == 0, done.output
    assert builds.image("app").manifest.layers[:5] == wanted[:5]
    report = builds.report()
    assert {row["action"] for row in report["cache"]["layer"]} == {"restored", "mounted"}
    assert report["cache"]["source"][0]["name"] == opened
    builds.start_again(cache=False)
    builds.five(name="again")
    assert "cache" not in builds.report()


def test_the_next_restorer_takes_away_what_the_last_one_left_for_the_exporter(builds):
    builds.build(name="source", buildpacks="a")
    builds.start_again(cache=False)
    builds.five(name="app", CNB_CACHE_FROM=builds.name("source"))
    assert (builds.place.layers / "cache-snapshot.toml").exists()
    assert builds.one("restorer").code == 0
    assert not (builds.place.layers / "cache-snapshot.toml").exists()


def test_a_blob_that_one_source_lost_comes_from_another(own_builds, own_registry, registry, made):
    builds = own_builds
    builds.build(name="source", buildpacks="a")
    copied = f"{registry.host}/provenance/copied"
    copy(builds, "source", copied)
    own_registry.blob_path(blob_of(builds.image("source"), "'deps'").digest).unlink()
    own_registry.blob_path(blob_of(builds.image("source"), "'run'").digest).unlink()
    own_registry.restart()
    done = builds.build("-cache-from", builds.name("source"), "-cache-from", copied, name="app")
    assert made(done) == set()
    found = layers(builds.report())
    assert {layer: (row["action"], row["source"], row["origin"]) for layer, row in found.items()} == {
        "a:deps": ("restored", 1, 2),
        "a:run": ("mounted", 1, 2),
    }


def test_a_blob_that_no_source_has_costs_its_layer_and_says_so(own_builds, own_registry, made):
    builds = own_builds
    builds.build(name="source", buildpacks="ab")
    cold = builds.image("source").manifest
    own_registry.blob_path(blob_of(builds.image("source"), "'deps', Created by buildpack: a@1").digest).unlink()
    own_registry.restart()
    done = builds.build("-cache-from", builds.name("source"), name="app")
    assert made(done) == {"a:deps"}
    assert builds.image("app").manifest == cold
    row = layers(builds.report())["a:deps"]
    assert (row["action"], row["source"]) == ("rebuilt", 1)
    assert "lacks the blob" in row["reason"]


def test_a_blob_that_stops_coming_is_given_up_and_had_elsewhere(builds, fault_proxy, registry, made):
    builds.build(name="source", buildpacks="a")
    blob = blob_of(builds.image("source"), "'deps'")
    proxy = fault_proxy(registry.host)
    proxy.fault(Stall(10, 300), method="GET", path=f"blobs/{blob.digest}", times=None)
    slow = f"type=registry,ref={builds.name('source').replace(registry.host, proxy.host)},timeout=2"
    done = builds.build("-cache-from", slow, "-cache-from", builds.name("source"), name="app")
    assert made(done) == set()
    row = layers(builds.report())["a:deps"]
    assert (row["source"], row["origin"]) == (1, 2)


def corrupt(registry, digest):
    path = registry.blob_path(digest)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["verify=full", "another registry"])
def test_a_layer_for_the_image_is_read_before_its_metadata_comes_back(own_builds, own_registry, registry, made, how):
    builds = own_builds
    builds.build(name="source", buildpacks="a")
    source = builds.name("source")
    corrupt(own_registry, blob_of(builds.image("source"), "'run'").digest)
    own_registry.restart()
    if how == "another registry":
        move(builds, f"{registry.host}/provenance/elsewhere")
        assert made(builds.build("-cache-from", source, name="app")) == {"a:run"}
        return
    builds.start_again(cache=False)
    for phase, words in (
        ("analyzer", [builds.name("app")]),
        ("detector", []),
        ("restorer", ["-cache-from", f"type=registry,ref={source},verify=full"]),
    ):
        assert builds.one(phase, *words).code == 0
    assert (builds.place.layers / "a" / "deps.toml").exists()
    assert not (builds.place.layers / "a" / "run.toml").exists()


def move(builds, repository):
    """Let builds write to another registry, which has the run image too."""
    copy(builds, "run", f"{repository}/run")
    builds.repository = repository
    builds.place.write("run.toml", f'[[images]]\nimage = "{builds.name("run")}"\n')


def test_credentials_are_nowhere(builds, tls_registry, made):
    secret = base64.b64encode(b"someone:the-secret").decode()
    auth = json.dumps({tls_registry.host: f"Basic {secret}"})
    report = builds.place.root / "report.json"
    done = builds.build(
        "-cache-from",
        f"{tls_registry.host}/some/app",
        "-cache-report",
        report,
        name="app",
        buildpacks="a",
        CNB_REGISTRY_AUTH=auth,
    )
    assert made(done) == {"a:deps", "a:run"}
    said = [done.output, *(path.read_text() for path in builds.place.layers.rglob("*.toml")), report.read_text()]
    assert not [text for text in said if "the-secret" in text or secret in text]
    refused = builds.create("-cache-from", "someone:the-secret@registry.example/app", name="app")
    assert refused.code == 3
    assert "the-secret" not in refused.output
    assert "***@registry.example" in refused.output


@pytest.fixture(scope="module")
def locked_registry(tmp_path_factory):
    """Plain HTTP with Basic authentication."""
    directory = tmp_path_factory.mktemp("locked-registry")
    htpasswd = write_htpasswd(directory / "htpasswd", {"reader": "the-secret"})
    auth = {"htpasswd": {"realm": "basic-realm", "path": str(htpasswd)}}
    with RegistryServer(directory, auth=auth, username="reader", password="the-secret") as started:
        yield started


@pytest.mark.parametrize("one_by_one", [False, True], ids=["creator", "phases"])
def test_credentials_that_only_root_may_read_open_sources_for_the_user_of_the_build(
    builds, locked_registry, tmp_path, made, one_by_one
):
    builds.build(name="source", buildpacks="a")
    locked = f"{locked_registry.host}/provenance/locked"
    store, builds.store = builds.store, RegistryStore(client_of(locked_registry), platform=ImagePlatform())
    copy(builds, "source", locked)
    builds.store = store
    tmp_path.chmod(0o700)
    secret = base64.b64encode(b"reader:the-secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {locked_registry.host: {"auth": secret}}}))
    given = {"DOCKER_CONFIG": str(tmp_path)}
    builds.start_again(cache=False)
    if one_by_one:
        for phase, words in (("analyzer", [builds.name("app")]), ("detector", [])):
            assert builds.one(phase, *words).code == 0
        assert builds.one("restorer", "-cache-from", locked, as_root=True, **given).code == 0
        assert made(builds.one("builder")) == set()
        done = builds.one("exporter", builds.name("app"), as_root=True, **given)
    else:
        done = builds.create("-cache-from", locked, name="app", as_root=True, **given)
        assert made(done) == set()
    assert done.code == 0, done.output
    assert {row["action"] for row in builds.report()["cache"]["layer"]} == {"restored", "mounted"}


def test_a_value_that_nobody_understands_is_a_usage_error_before_anything_is_done(builds):
    done = builds.create("-cache-from", "type=registry,ref=a/b,colour=red", name="app")
    assert done.code == 3
    assert "has no key 'colour'" in done.errors[0]
    assert "ANALYZING" not in done.output


def test_skipping_layers_opens_no_source(builds):
    builds.build(name="source", buildpacks="a")
    done = builds.build("-skip-restore", "-cache-from", builds.name("none"), name="app")
    assert "ache source" not in done.output


def test_cache_and_previous_image_come_after_named_sources(builds, made):
    builds.build(name="app", buildpacks="ab")
    builds.keep_cache(builds.place.root / "kept")
    builds.build(name="source", buildpacks="bc")
    builds.order("abc")
    builds.start_again(cache=False)
    kept = builds.place.root / "kept"
    done = builds.create("-cache-from", builds.name("source"), "-cache-dir", kept, name="app")
    assert made(done) == set()
    report = tomllib.loads((builds.place.layers / "report.toml").read_text())
    found = {layer: (row["source"], row["match"]) for layer, row in layers(report).items()}
    assert found == {
        "a:deps": (2, "previous"), "a:run": (3, "previous"),
        "b:deps": (1, "hint"), "b:run": (1, "hint"), "c:deps": (1, "hint"), "c:run": (1, "hint"),
    }  # fmt: skip
    assert [row["kind"] for row in report["cache"]["source"]] == ["app image", "volume", "app image"]
