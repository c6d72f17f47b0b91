"""Named caches as sources of layers: experiments E1 and E2 of spec/cache-experiments.md."""

import itertools
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.cache.volume import METADATA_NAME
from lifecycle.images.store import NewImage, ReusedLayer
from parts.fault_proxy import Delay, FlipByte, Status

HOLDS = {"cache": "ab", "app": "bc", "layout": "cd", "volume": "ade"}
"""The sources of E1 and the buildpacks that each remembers."""
HAS_LAUNCH_ONLY = {"app", "layout"}


@pytest.fixture
def sources(builds):
    """Make the four sources, each by a build of its own; return their specs."""
    builds.build("-cache-image", builds.name("cache"), name="of-cache", buildpacks=HOLDS["cache"])
    builds.build(name="source", buildpacks=HOLDS["app"])
    builds.build(name="of-layout", buildpacks=HOLDS["layout"])
    layout = builds.readable(builds.to_layout("of-layout", builds.place.root / "sources" / "layout"))
    builds.build(name="of-volume", buildpacks=HOLDS["volume"])
    volume = builds.keep_cache(builds.place.root / "sources" / "volume")
    builds.readable(builds.place.root / "sources")
    builds.order("abcde")
    return {"cache": builds.name("cache"), "app": builds.name("source"), "layout": str(layout), "volume": str(volume)}


def arguments(specs):
    return [word for spec in specs for word in ("-cache-from", spec)]


def oracle(order):
    """Say which source each layer comes from: the first one that remembers its buildpack, for all of its layers."""
    expected = {}
    for buildpack in "abcde":
        index, kind = next((n, kind) for n, kind in enumerate(order, start=1) if buildpack in HOLDS[kind])
        expected[f"{buildpack}:deps"] = ("restored", index)
        expected[f"{buildpack}:run"] = ("mounted", index) if kind in HAS_LAUNCH_ONLY else ("rebuilt", 0)
    return expected


def provenance(report):
    return {
        f"{row['buildpack']}:{row['layer']}": (row["action"], row.get("source", 0)) for row in report["cache"]["layer"]
    }


def test_E1_every_order_of_four_sources_gives_each_buildpack_the_first_that_knows_it(  # noqa: N802
    builds, sources, registry, made, check_blobs, record_property
):
    builds.build(name="cold")
    cold = builds.image("cold").manifest
    orders = list(itertools.permutations(sources))
    assert len(orders) == 24
    layers = blobs = 0
    for number, order in enumerate(orders):
        done = builds.build(*arguments(sources[kind] for kind in order), name=f"warm-{number}")
        assert builds.image(f"warm-{number}").manifest == cold, order
        expected = oracle(order)
        assert provenance(builds.report()) == expected, order
        assert made(done) == {layer for layer, (action, _) in expected.items() if action == "rebuilt"}
        layers += len(expected)
        blobs += check_blobs(registry, builds.image(f"warm-{number}"))
    record_property("orders", len(orders))
    record_property("layers with the provenance of the oracle", layers)
    record_property("blobs hashed again", blobs)


def damaged(builds, fault_proxy, kind, spec, fault):
    """Return the spec of a source that fails in that way."""
    if kind in {"cache", "app"}:
        return damaged_image(builds, fault_proxy, spec, fault)
    path = builds.place.root / "sources" / f"{kind}-{fault}"
    if fault != "missing":
        shutil.copytree(spec, path)
        damage(path, path / ("index.json" if kind == "layout" else f"committed/{METADATA_NAME}"), fault)
        builds.readable(path)
    if fault == "denied":
        path.chmod(0)
    return f"type=local,src={path}{',timeout=1' if fault == 'hanging' else ''}"


def damaged_image(builds, fault_proxy, spec, fault):
    if fault == "missing":
        return f"{spec}-none"
    host, _, rest = spec.partition("/")
    proxy = fault_proxy(host)
    match fault:
        case "denied":
            proxy.fault(Status(401), times=None)
        case "hanging":
            proxy.fault(Delay(60), times=None)
        case "corrupt":
            layers = "|".join(each.digest for each in builds.store.find(spec).manifest.layers)
            proxy.fault(FlipByte(40), method="GET", path=f"/blobs/({layers})", times=None)
    return f"type=registry,ref={proxy.host}/{rest}{',timeout=1' if fault == 'hanging' else ''}"


def damage(path, document, fault):
    if fault == "hanging":
        document.unlink()
        os.mkfifo(document)
    elif fault == "corrupt":
        for each in filter(Path.is_file, path.rglob("*")):
            data = bytearray(each.read_bytes())
            if not data.startswith(b"{"):
                data[::100] = bytes(byte ^ 1 for byte in data[::100])
                each.write_bytes(data)


STATUS = {"missing": {"missing"}, "denied": {"denied", "error"}, "hanging": {"error"}, "corrupt": {"ok"}}


@pytest.mark.parametrize("fault", STATUS)
def test_E1_a_source_that_fails_costs_layers_and_changes_no_image(  # noqa: N802
    builds, sources, registry, fault_proxy, fault, check_blobs, record_property
):
    builds.build(name="cold")
    cold = builds.image("cold").manifest
    restored = 0
    for broken in sources:
        specs = {**sources, broken: damaged(builds, fault_proxy, broken, sources[broken], fault)}
        order = [broken, *(kind for kind in sources if kind != broken)]
        done = builds.build(*arguments(specs[kind] for kind in order), name=f"without-{broken}")
        assert builds.image(f"without-{broken}").manifest == cold, (broken, done.output)
        report = builds.report()["cache"]
        assert report["source"][0]["status"] in STATUS[fault], (broken, done.output)
        assert (report["source"][0]["status"] == "ok") or "Warning: Cache source #1" in done.output
        left = {kind: held for kind, held in HOLDS.items() if kind != broken}
        for row in report["layer"]:
            if row["action"] == "restored":
                origin = order[row["origin"] - 1]
                assert origin != broken, row
                assert row["buildpack"] in left[origin]
                restored += 1
        check_blobs(registry, builds.image(f"without-{broken}"))
    record_property("builds with one source that fails", len(sources))
    record_property("layers restored from the others", restored)


KINDS = {
    "buildkit": ["-cache-to", "{}/buildkit"],
    "buildkit index": ["-cache-to", "type=registry,ref={}/buildkit,image-manifest=false,oci-mediatypes=false"],
    "inline": ["-cache-to", "type=inline"],
    "distributed": ["-cache-repo", "{}/shared"],
}
"""How the caches that only this lifecycle writes are made."""


@pytest.mark.parametrize("kind", KINDS)
def test_E1_caches_that_this_lifecycle_writes_are_sources_too(builds, made, kind, record_property):  # noqa: N802
    builds.build(name="cold", buildpacks="abc")
    cold = builds.image("cold").manifest
    words = [word.format(builds.repository) for word in KINDS[kind]]
    builds.build(*words, name="source")
    source = {
        "inline": builds.name("source"),
        "distributed": f"type=distributed,ref={builds.name('shared')}",
    }.get(kind, builds.name("buildkit"))
    done = builds.build("-cache-from", source, name="warm")
    assert builds.image("warm").manifest == cold
    assert made(done) == set(), builds.report()
    assert {action for action, _ in provenance(builds.report()).values()} == {"restored", "mounted"}
    record_property("layers made anew", len(made(done)))


TYPES = ["", "cache", "launch", "launch cache", "build", "build cache", "build launch", "build launch cache"]
NAMES = ["for-" + (types.replace(" ", "-") or "nobody") for types in TYPES]

# Spec: buildpack.md "Layer Types".
BY_THE_SPECIFICATION = {
    "for-cache": "contents",
    "for-launch": "metadata",
    "for-launch-cache": "contents",
    "for-build-cache": "contents",
    "for-build-launch-cache": "contents",
}
FROM_APP = {"for-launch": "metadata", "for-launch-cache": "contents", "for-build-launch-cache": "contents"}
FROM_CACHE = {name: each for name, each in BY_THE_SPECIFICATION.items() if name.endswith("-cache")}
ALL_TYPES = 'cd "$CNB_LAYERS_DIR"\n' + "".join(
    f"mkdir -p {name}; echo {name} > {name}/data\n"
    f"{{ echo '[types]'; {''.join(f'echo {each}=true; ' for each in types.split())} "
    f"echo '[metadata]'; echo 'of = \"{name}\"'; }} > {name}.toml\n"
    for name, types in zip(NAMES, TYPES, strict=True)
)


def restored(builds, *inputs, name):
    """Run the phases up to the restorer on an empty disk; return what came back of each layer."""
    builds.start_again(cache=False)
    done = [builds.one(phase, *words) for phase, words in (
        ("analyzer", [builds.name(name)]), ("detector", []), ("restorer", inputs),
    )]  # fmt: skip
    assert [each.code for each in done] == [0, 0, 0], done[-1].output
    directory = builds.place.layers / "a_b"
    found = {}
    for layer in NAMES:
        toml, data = directory / f"{layer}.toml", directory / layer / "data"
        assert not (directory / layer).exists() or (toml.exists() and data.read_text() == f"{layer}\n")
        if toml.exists():
            assert f'of = "{layer}"' in toml.read_text()
            found[layer] = "contents" if data.exists() else "metadata"
    return found


def lose_blobs(builds, registry, names):
    """Remove from the registry the layers of images that buildpacks made, as a garbage collection may."""
    for name in names:
        image = builds.image(name)
        for descriptor, entry in zip(image.manifest.layers, image.config.history, strict=True):
            if name == "cache" or "Created by buildpack" in entry.created_by:
                registry.blob_path(descriptor.digest).unlink(missing_ok=True)


def lose_metadata(builds, name):
    """Give an image the configuration of one that no lifecycle made."""
    image = builds.image(name)
    layers = tuple(ReusedLayer(image, each) for each in image.config.diff_ids)
    config = replace(image.config, run={**image.config.run, "Labels": {}})
    builds.store.write(NewImage(None, layers, config), [builds.name(name)])


@pytest.mark.parametrize("state", ["cold", "warm", "blob lost", "metadata lost"])
def test_E2_what_comes_back_of_each_combination_of_types(own_builds, own_registry, state, record_property):  # noqa: N802
    builds = own_builds
    builds.place.buildpack(build=ALL_TYPES, toml=(builds.place.root / "buildpacks/a_b/1/buildpack.toml").read_text())
    builds.build("-cache-image", builds.name("cache"), name="app")
    match state:
        case "blob lost":
            lose_blobs(builds, own_registry, ["app", "cache"])
            own_registry.restart()
        case "metadata lost":
            lose_metadata(builds, "app")
            lose_metadata(builds, "cache")
    names = ("none", "no-cache") if state == "cold" else ("app", "cache")
    app, cache = map(builds.name, names)
    seen = {
        "previous image and cache image": restored(builds, "-cache-image", cache, name=names[0]),
        "named app image": restored(builds, "-cache-from", app, name="none"),
        "named cache image": restored(builds, "-cache-from", cache, name="none"),
        "both, the app image first": restored(builds, "-cache-from", app, "-cache-from", cache, name="none"),
        "both, the cache image first": restored(builds, "-cache-from", cache, "-cache-from", app, name="none"),
    }
    expected = {way: {} for way in seen}
    if state == "warm":
        expected |= {
            "previous image and cache image": BY_THE_SPECIFICATION,
            "named app image": FROM_APP,
            "named cache image": FROM_CACHE,
            "both, the app image first": FROM_APP,
            "both, the cache image first": FROM_CACHE,
        }
    elif state == "blob lost":
        # The previous image is not asked for blobs before the export.
        expected["previous image and cache image"] = {"for-launch": "metadata"}
    assert seen == expected
    record_property("combinations of types and sources", len(TYPES) * len(seen))
