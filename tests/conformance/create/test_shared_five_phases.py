"""`-cache-repo` with the phases as processes of their own: the builder, which has no registry, leaves digests, and the
exporter publishes or takes over one consistent cut of the steps.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO

import pytest

from parts.phases import home
from parts.signing_keys import SigningKeys

RUNTIME = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p tool ignored
head -c 300 /dev/urandom > tool/random
echo kept > ignored/file; printf '[types]\n' > ignored.toml
mkdir -p tool/env; printf value > tool/env/TOOL_KIND
printf '[types]\nlaunch = true\nbuild = true\ncache = true\n' > tool.toml
printf '{"serial": "%s"}' "$(od -An -N8 -tx8 /dev/urandom)" > tool.sbom.cdx.json
printf '[[labels]]\nkey = "serial"\nvalue = "%s"\n' "$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')" > launch.toml
"""
DEPS = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p inner
sha256sum < ../test_runtime/tool/random > inner/upstream
head -c 200 /dev/urandom > inner/random
printf '[types]\nlaunch = true\n' > inner.toml
printf '[[processes]]\ntype = "web"\ncommand = ["true"]\ndefault = true\n' > launch.toml
"""
LAUNCHED = RUNTIME.replace("build = true", "")


@pytest.fixture
def repository(request, builds):
    match request.param:
        case "directory":
            return builds.place.root / "shared"
        case "signed file":
            keys = SigningKeys(builds.place.root)
            keys.make("own")
            return f"{builds.repository}/shared,sync=file,path={builds.place.root / 'names'}{keys.options('own')}"
    return f"{builds.repository}/shared"


@pytest.fixture
def shared(builds):
    return f"{builds.repository}/shared"


def group(builds, *names, **scripts):
    """Write the buildpacks and an order of them."""
    for name in names:
        root = f"buildpacks/test_{name}/1"
        builds.place.write(
            f"{root}/buildpack.toml",
            f'api = "0.10"\n[buildpack]\nid = "test/{name}"\nversion = "1"\n'
            'sbom-formats = ["application/vnd.cyclonedx+json"]\n',
        )
        builds.place.write(f"{root}/bin/detect", "#!/bin/sh\n")
        builds.place.write(f"{root}/bin/build", f"#!/bin/sh\nset -e\n{scripts[name]}\n")
    rows = "".join(f'[[order.group]]\nid = "test/{name}"\nversion = "1"\n' for name in names)
    builds.place.write("layers/order.toml", f"[[order]]\n{rows}")


def build(builds, repository, *, api="0.15", **more):
    """Run all phases but the exporter."""
    output = ""
    for phase in ("analyzer", "detector", "restorer", "builder"):
        images = [builds.name("app")] if phase == "analyzer" else []
        done = builds.one(phase, *images, api=api, HOME=home(), CNB_CACHE_REPO=str(repository), **more)
        assert done.code == 0, done.output
        output += done.output
    return output


def export(builds, repository, name, *, api="0.15", code=0, **more):
    """Export; return the output, and what became of the steps."""
    builds.place.write("report.json", "{}")
    variables = {"CNB_CACHE_REPO": str(repository)} if repository else {}
    report = builds.place.root / "report.json"
    done = builds.one("exporter", "-cache-report", report, builds.name(name), api=api, **variables, **more)
    assert done.code == code, done.output
    rows = json.loads(report.read_text()).get("cache", {}).get("settled", [])
    return done.output, {row["buildpack"].removeprefix("test/"): row for row in rows}


def outcomes(rows):
    return {name: row["outcome"] for name, row in rows.items()}


def digest(builds, name):
    return builds.image(name).reference.rpartition("@")[2]


def files(builds, name):
    image, found = builds.image(name), {}
    for diff_id in image.config.diff_ids[1:]:
        with tarfile.open(fileobj=BytesIO(b"".join(image.layer(diff_id)))) as tar:
            found |= {
                each.name.rpartition("/layers/")[2]: tar.extractfile(each).read() for each in tar if each.isfile()
            }
    return found


def check_chain(builds, name):
    found = files(builds, name)
    upstream = hashlib.sha256(found["test_runtime/tool/random"]).hexdigest()
    assert found["test_deps/inner/upstream"].decode().split()[0] == upstream


def aside(builds, name):
    """Put the layers directory aside as that of another builder."""
    (builds.place.layers).rename(builds.place.root / f"layers-of-{name}")
    order = (builds.place.root / f"layers-of-{name}" / "order.toml").read_text()
    (builds.place.layers / "config").mkdir(parents=True)
    builds.place.write("layers/order.toml", order)


def back(builds, name):
    shutil.rmtree(builds.place.layers)
    (builds.place.root / f"layers-of-{name}").rename(builds.place.layers)


@pytest.mark.parametrize("api", ["0.7", "0.12", "0.15"])
@pytest.mark.parametrize("repository", ["directory", "registry"], indirect=True)
def test_two_builders_that_did_not_know_of_each_other_export_one_image(builds, repository, api):
    group(builds, "runtime", "deps", runtime=RUNTIME, deps=DEPS)
    build(builds, repository, api=api)
    aside(builds, "one")
    build(builds, repository, api=api)
    _, rows = export(builds, repository, "other", api=api)
    assert outcomes(rows) == {"runtime": "won", "deps": "won"}
    back(builds, "one")
    output, rows = export(builds, repository, "one", api=api)
    assert outcomes(rows) == {"runtime": "adopted", "deps": "adopted"}, output
    totals = json.loads((builds.place.root / "report.json").read_text())["cache"]["totals"]
    assert totals["bytes-uploaded"] == 0
    assert "tool/random" in rows["runtime"]["differing"]
    assert digest(builds, "one") == digest(builds, "other")
    check_chain(builds, "one")


def collect(repository, *more):
    """Collect without any time of grace; return the buildpacks of what is deleted."""
    command = [sys.executable, "-m", "lifecycle", "cache", "gc", str(repository), "--json", "--grace", "0", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (value,) = json.loads(done.stdout)["caches"]
    return sorted(row["buildpack"] for row in value["records"] if row["fate"] == "deleted")


@pytest.mark.parametrize("repository", ["directory", "registry", "signed file"], indirect=True)
def test_a_collection_after_builds_by_phases_keeps_what_the_kept_image_is_made_of(builds, repository):
    group(builds, "runtime", "deps", runtime=RUNTIME, deps=DEPS)
    made = {}
    for name, text in (("one", "main"), ("other", "changed")):
        builds.place.write("app/main.txt", text)
        build(builds, repository)
        assert outcomes(export(builds, repository, name)[1]) == {"runtime": "won", "deps": "won"}
        made[name] = digest(builds, name)
        builds.start_again(cache=False)
    nothing = builds.place.write("nothing.json", '{"keepPolicies": []}')
    arguments = ("--policy", nothing, "--keep-within", "0", "--keep-starts", "0", "--keep-image", made["other"])
    assert collect(repository, *arguments) == ["(image)", "test/deps", "test/runtime"]
    for name, outcome in (("other", "adopted"), ("one", "won")):
        builds.place.write("app/main.txt", "changed" if name == "other" else "main")
        build(builds, repository)
        assert outcomes(export(builds, repository, f"{name}-again")[1]) == {"runtime": outcome, "deps": outcome}
        assert (digest(builds, f"{name}-again") == made[name]) == (name == "other")
        builds.start_again(cache=False)


@pytest.mark.parametrize("first", ["creator", "phases"])
def test_creator_and_phases_have_the_same_keys_and_end_with_one_image(builds, shared, first):
    group(builds, "runtime", "deps", runtime=RUNTIME, deps=DEPS)
    for name, by in (("one", first), ("other", "creator" if first == "phases" else "phases")):
        if by == "phases":
            build(builds, shared)
            _, rows = export(builds, shared, name)
            found = outcomes(rows)
        else:
            report = builds.place.write("report.json", "")
            done = builds.create("-cache-repo", shared, "-cache-report", report, name=name)
            assert done.code == 0, done.output
            found = {row["buildpack"]: row["outcome"] for row in json.loads(report.read_text())["cache"]["settled"]}
        assert set(found.values()) == {"won" if name == "one" else "adopted"}
        builds.start_again(cache=False)
    assert digest(builds, "one") == digest(builds, "other")


def test_a_step_whose_chain_nobody_finished_stays_and_no_image_is_mixed(builds, shared):
    group(builds, "runtime", runtime=RUNTIME)
    build(builds, shared)
    assert outcomes(export(builds, shared, "one")[1]) == {"runtime": "won"}
    builds.start_again(cache=False)
    group(builds, "runtime", "deps", runtime=RUNTIME, deps=DEPS)
    build(builds, shared)
    output, rows = export(builds, shared, "other")
    assert outcomes(rows) == {"runtime": "unpublished", "deps": "unpublished"}
    assert "nobody has built test/deps@1 upon it yet" in rows["runtime"]["reason"]
    assert "NOT SHARED test/runtime" in output
    check_chain(builds, "other")
    builds.start_again(cache=False)
    group(builds, "runtime", "deps", runtime=RUNTIME, deps=DEPS)
    build(builds, shared)
    export(builds, f"{shared},ignore-error=false", "third", code=62)


def test_a_step_that_no_later_one_was_made_from_is_taken_over_alone(builds, shared):
    group(builds, "runtime", runtime=LAUNCHED)
    build(builds, shared)
    export(builds, shared, "one")
    builds.start_again(cache=False)
    group(builds, "runtime", "more", runtime=LAUNCHED, more="exit 0")
    build(builds, shared)
    _, rows = export(builds, shared, "other")
    assert outcomes(rows) == {"runtime": "adopted", "more": "won"}
    one, other = (builds.image(name) for name in ("one", "other"))
    assert one.config.labels["serial"] == other.config.labels["serial"]
    found = [files(builds, name) for name in ("one", "other")]
    assert found[0]["test_runtime/tool/random"] == found[1]["test_runtime/tool/random"]
    (sboms,) = ({path for path in each if "sbom/launch/test_runtime" in path} for each in found[1:])
    assert sboms
    assert all(found[0][path] == found[1][path] for path in sboms)


def test_an_untrusted_job_reads_and_writes_nothing(builds, shared, registry_client):
    from lifecycle.oci.reference import parse_reference

    group(builds, "runtime", "deps", runtime=RUNTIME, deps=DEPS)
    build(builds, shared)
    export(builds, shared, "one")
    before = set(registry_client.tags(parse_reference(shared)))
    builds.start_again(cache=False)
    source = ("-cache-from", f"type=distributed,ref={shared}")
    for phase in ("analyzer", "detector", "restorer", "builder", "exporter"):
        images = [builds.name("other")] if phase in {"analyzer", "exporter"} else []
        done = builds.one(phase, *(source if phase == "restorer" else ()), *images)
        assert done.code == 0, done.output
    assert set(registry_client.tags(parse_reference(shared))) == before


def test_the_builder_asks_no_registry_and_buildpacks_see_no_credentials(builds, registry, fault_proxy):
    proxy = fault_proxy(registry.host)
    group(builds, "runtime", runtime=f"env > '{builds.place.root}/app/seen'; {RUNTIME}")
    repository = f"{proxy.host}/{builds.repository.partition('/')[2]}/shared"
    auth = json.dumps({proxy.host: "Basic eDp5"})
    done = [builds.one("analyzer", builds.name("app")), builds.one("detector"), builds.one("restorer")]
    assert not any(each.code for each in done)
    done = builds.one("builder", CNB_CACHE_REPO=repository, CNB_REGISTRY_AUTH=auth)
    assert done.code == 0, done.output
    assert not proxy.requests(".*", "/")
    seen = (builds.place.root / "app" / "seen").read_text()
    assert "CNB_CACHE_REPO" not in seen
    assert "eDp5" not in seen


@pytest.mark.parametrize(
    ("builder", "told"),
    [
        ("", "give the builder the same -cache-repo"),
        (",cache-version=2", "had another cache-version"),
    ],
)
def test_a_builder_that_was_told_otherwise_is_told(builds, shared, builder, told):
    group(builds, "runtime", runtime=RUNTIME)
    for phase in ("analyzer", "detector", "restorer", "builder"):
        images = [builds.name("app")] if phase == "analyzer" else []
        variables = {"CNB_CACHE_REPO": shared + builder} if builder else {}
        assert builds.one(phase, *images, **variables).code == 0
    output, rows = export(builds, shared, "one")
    assert outcomes(rows) == {"runtime": "unpublished"}
    assert told in output


def test_layers_that_an_exporter_left_half_replaced_become_no_image_until_they_are_built_again(builds, shared):
    group(builds, "runtime", runtime=RUNTIME)
    build(builds, shared)
    builds.place.write("layers/cache-replacing", "")
    output, _ = export(builds, shared, "one", code=1)
    assert "run restorer, builder and exporter again" in output
    shutil.rmtree(builds.place.layers / "test_runtime")
    build(builds, shared)
    assert outcomes(export(builds, shared, "one")[1]) == {"runtime": "won"}
