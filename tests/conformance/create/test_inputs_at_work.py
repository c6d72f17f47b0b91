"""What a platform gives is what a phase goes by: each phase as a process.  Spec: platform.md, "Inputs" of each phase."""

import io
import shutil
import socket
import tarfile
import tomllib

import pytest

from parts.fault_proxy import FaultProxy

ORDER = '[[order]]\n[[order.group]]\nid = "a/b"\nversion = "1"\n'
EXTENSION = 'api = "0.10"\n[extension]\nid = "x"\nversion = "1"\n'
WITH_EXTENSION = f'{ORDER}[[order-extensions]]\n[[order-extensions.group]]\nid = "x"\nversion = "1"\n'
TOLD = 'echo "told $FROM_USER $FROM_OPERATOR"'
THREE = ["detector", "builder", "creator"]


@pytest.mark.requirement(
    "PLAT-ANA-001", "PLAT-DET-001", "PLAT-DET-008", "PLAT-DET-012", "PLAT-RES-001", "PLAT-RES-007", "PLAT-BLD-001",
    "PLAT-BLD-006", "PLAT-BLD-009", "PLAT-EXP-001", "PLAT-EXP-008", "PLAT-EXP-022",
)  # fmt: skip
def test_files_that_phases_give_each_other_are_where_the_platform_says(builds):
    for name in ("group", "plan"):
        (builds.place.layers / f"{name}.toml").unlink()
    names = ("analyzed", "group", "plan", "report")
    files = {name: builds.place.root / "elsewhere" / f"the-{name}.toml" for name in names}
    for phase, given in {
        "analyzer": ("analyzed",),
        "detector": ("analyzed", "group", "plan"),
        "restorer": ("analyzed", "group"),
        "builder": ("analyzed", "group", "plan"),
        "exporter": ("analyzed", "group", "report"),
    }.items():
        flags = [part for name in given for part in (f"-{name}", files[name])]
        images = [builds.name("app")] if phase in {"analyzer", "exporter"} else []
        done = builds.one(phase, *flags, *images)
        assert done.code == 0, done.output
    assert all(path.is_file() for path in files.values())
    assert not [name for name in names if (builds.place.layers / f"{name}.toml").exists()]
    assert tomllib.loads(files["report"].read_text())["image"]["tags"] == [builds.name("app")]


@pytest.mark.requirement("PLAT-ANA-017")
def test_the_analyzer_makes_sure_that_tags_can_be_written(builds, registry):
    tags = [builds.name("second/app"), builds.name("third/app:1")]
    done = builds.one("analyzer", "-tag", tags[0], "-tag", tags[1], builds.name("app"))
    assert done.code == 0, done.output
    for tag in tags:
        repository = tag.removeprefix(f"{registry.host}/").partition(":")[0]
        assert f"/v2/{repository}/blobs/uploads/" in registry.log


@pytest.mark.requirement("PLAT-DET-013", "PLAT-BLD-010", "PLAT-CRE-002", "PLAT-DET-003", "PLAT-BLD-003")
@pytest.mark.parametrize("phase", THREE)
def test_buildpacks_have_the_variables_of_the_directories_that_are_named(builds, phase):
    builds.place.buildpack(detect=f"{TOLD}; exit 1" if phase == "detector" else "exit 0", build=f"{TOLD}; exit 1")
    builds.place.write("mine/env/FROM_USER", "user")
    builds.place.write("ours/env/FROM_OPERATOR", "operator")
    given = ("-platform", builds.place.root / "mine", "-build-config", builds.place.root / "ours")
    images = [builds.name("app")] if phase == "creator" else []
    done = builds.one(phase, *given, "-log-level", "debug", *images)
    assert "told user operator" in done.output.splitlines()


@pytest.mark.requirement("PLAT-DET-011")
@pytest.mark.parametrize("phase", ["detector", "creator"])
def test_the_order_is_the_one_that_is_named(builds, phase):
    builds.place.write("layers/order.toml", ORDER.replace("a/b", "nobody"))
    order = builds.place.write("my-order.toml", ORDER)
    images = [builds.name("app")] if phase == "creator" else []
    done = builds.one(phase, "-order", order, *images)
    assert done.code == 0, done.output
    assert tomllib.loads((builds.place.layers / "group.toml").read_text())["group"][0]["id"] == "a/b"


@pytest.mark.requirement("PLAT-DET-014", "PLAT-DET-007")
def test_what_extensions_generate_goes_where_the_platform_says_and_is_compared_with_the_run_toml_that_it_names(builds):
    builds.place.write("extensions/x/1/extension.toml", EXTENSION)
    builds.place.write(
        "extensions/x/1/bin/generate", '#!/bin/sh\necho "FROM reg.example/other" > "$CNB_OUTPUT_DIR/run.Dockerfile"\n'
    )
    builds.place.write("layers/order.toml", WITH_EXTENSION)
    listed = builds.place.write("my-run.toml", '[[images]]\nimage = "reg.example/other"\n')
    generated = builds.place.root / "made"
    given = ("-extensions", builds.place.root / "extensions", "-generated", generated)
    for run, warned in ((("-run", listed), False), ((), True)):
        assert builds.one("analyzer", builds.name("app")).code == 0
        done = builds.one("detector", *given, *run)
        assert done.code == 0, done.output
        assert ("'reg.example/other' not found in run metadata" in done.output) is warned
    assert (generated / "x" / "run.Dockerfile").is_file()
    assert not (builds.place.layers / "generated").exists()


@pytest.mark.requirement("PLAT-EXP-004", "PLAT-RES-004", "PLAT-CRE-002")
@pytest.mark.parametrize("how", ["five", "creator"])
def test_a_cache_image_is_written_and_read(builds, found, how):
    given = ("-cache-image", builds.name("cache"))

    def build():
        if how == "creator":
            return builds.create(*given)
        builds.one("analyzer", builds.name("app"))
        builds.one("detector")
        builds.one("restorer", *given)
        built = builds.one("builder")
        assert builds.one("exporter", *given, builds.name("app")).code == 0
        return built

    assert "kept/data" not in found(build())
    assert builds.image("cache") is not None
    assert list((builds.place.root / "cache").iterdir()) == []
    builds.start_again()
    assert "kept/data" in found(build())


@pytest.mark.requirement("PLAT-EXP-007", "PLAT-CRE-002")
@pytest.mark.parametrize("phase", ["exporter", "creator"])
def test_files_in_layers_belong_to_the_group_that_is_named(builds, phase):
    builds.five(name="before")
    done = builds.one(phase, "-gid", 8765, builds.name("app"))
    assert done.code == 0, done.output
    image = builds.image()
    owners = set()
    for diff_id in image.config.diff_ids[1:]:  # the run image has a layer that is no tar
        with tarfile.open(fileobj=io.BytesIO(b"".join(image.layer(diff_id)))) as layer:
            owners |= {(each.uid, each.gid) for each in layer if "app/main.txt" in each.name or "run/data" in each.name}
    assert owners == {(builds.ids[0], 8765)}


@pytest.mark.requirement("PLAT-EXP-020", "PLAT-CRE-002")
@pytest.mark.parametrize("phase", ["exporter", "creator"])
def test_the_default_process_type_is_the_one_that_is_named(builds, phase):
    second = 'printf \'[[processes]]\\ntype = "task"\\ncommand = ["true"]\\n\' >> launch.toml'
    script = builds.place.root / "buildpacks/a_b/1/bin/build"
    script.write_text(f"{script.read_text()}{second}\n")
    builds.five(name="before")
    assert builds.image("before").config.run["Entrypoint"] == ["/cnb/process/web"]
    done = builds.one(phase, "-process-type", "task", builds.name("app"))
    assert done.code == 0, done.output
    assert builds.image().config.run["Entrypoint"] == ["/cnb/process/task"]


@pytest.mark.requirement("PLAT-ANA-012", "PLAT-CRE-007")
@pytest.mark.parametrize("phase", ["analyzer", "creator"])
def test_layers_of_the_previous_image_that_is_named_are_known(builds, phase):
    builds.five(name="before")
    builds.start_again()
    previous = ("-previous-image", builds.name("before"))
    done = builds.one(phase, *previous, builds.name("app"))
    assert done.code == 0, done.output
    analyzed = tomllib.loads((builds.place.layers / "analyzed.toml").read_text())
    assert analyzed["image"] == {"reference": builds.image("before").reference}


@pytest.mark.requirement("PLAT-ANA-015", "PLAT-RES-012")
def test_no_layer_and_no_sbom_comes_back_where_layers_are_to_be_skipped(builds, found):
    builds.five()
    builds.start_again()
    assert builds.one("analyzer", "-skip-layers", builds.name("app")).code == 0
    assert not (builds.place.layers / "sbom").exists()
    for phase in ("detector", "restorer"):
        assert builds.one(phase, *(["-skip-layers"] if phase == "restorer" else [])).code == 0
    saw = found(builds.one("builder"))
    assert not {"kept.toml", "kept/data", "both/data", "run.toml"} & saw
    shutil.rmtree(builds.place.layers / "a_b")
    assert builds.one("analyzer", builds.name("app")).code == 0
    assert (builds.place.layers / "sbom").exists()
    assert builds.one("restorer").code == 0
    assert "kept/data" in found(builds.one("builder"))


@pytest.fixture
def elsewhere(builds, registry):
    """The name of the app image by an address of this host that is not loopback's, where TLS is expected."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this host has no address but loopback's")
        address = probe.getsockname()[0]
    proxy = FaultProxy(registry.host)
    proxy.address = address
    with proxy:
        yield f"{proxy.host}/{builds.name('app').partition('/')[2]}"


@pytest.mark.requirement("PLAT-ANA-005", "PLAT-RES-008", "PLAT-EXP-010", "PLAT-REB-005", "PLAT-CRE-006")
@pytest.mark.parametrize("phase", ["analyzer", "restorer", "exporter", "rebaser", "creator"])
def test_a_registry_without_tls_has_to_be_named(builds, elsewhere, phase):
    builds.five()
    named = ("-insecure-registry", elsewhere.partition("/")[0])
    given = {"restorer": ("-cache-image", elsewhere), "rebaser": ("-run-image", builds.name("run"), elsewhere)}
    refused = builds.one(phase, *given.get(phase, (elsewhere,)))
    assert "name it in --insecure-registry" in refused.output
    assert (refused.code == 0) is (phase == "restorer")  # it goes on without the cache
    done = builds.one(phase, *named, *given.get(phase, (elsewhere,)))
    assert (done.code, "Skipping restore" in done.output) == (0, False), done.output
