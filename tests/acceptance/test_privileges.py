"""What only root may read and open, used by phases that have become another user: credentials, certificates, sockets."""

import base64
import json
import os
import stat
import tarfile

import pytest

from parts.phases import temporary_place
from parts.skopeo import push_image

BUILD = (1234, 1235)
GIVEN = ("-uid", BUILD[0], "-gid", BUILD[1])

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has what others may not use")


@pytest.fixture
def place():
    with temporary_place() as made:
        made.buildpack(build='mkdir -p "$CNB_LAYERS_DIR/x"; echo data > "$CNB_LAYERS_DIR/x/file"\n'
                       'printf "[types]\\nlaunch = true\\ncache = true\\n" > "$CNB_LAYERS_DIR/x.toml"')  # fmt: skip
        made.write("launcher", "#!/bin/sh\n")
        made.write("home/x", "").unlink()
        (made.root / "home").chmod(0o700)
        (made.root / "cache").mkdir()
        (made.root / "launch-cache").mkdir()
        yield made


def launcher(place):
    return ("-launcher", place.root / "launcher")


@pytest.fixture
def private(tls_registry, authority, place):
    """A registry for whose credentials, certificate and mirrors one has to look into root's home."""
    home = place.root / "home"
    auth = base64.b64encode(f"{tls_registry.username}:{tls_registry.password}".encode()).decode()
    place.write("home/.docker/config.json", json.dumps({"auths": {tls_registry.host: {"auth": auth}}}))
    place.write(f"home/.config/containers/certs.d/{tls_registry.host}/ca.crt", authority.ca_file.read_text())
    place.write(
        "home/.config/containers/registries.conf",
        '[[registry]]\nprefix = "runs.example"\nlocation = "127.0.0.1:1"\n'
        f'[[registry.mirror]]\nlocation = "{tls_registry.host}/{place.root.name}"\n',
    )
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    place.write("run.toml", '[[images]]\nimage = "runs.example/run"\n')
    push_image(tls_registry, f"{place.root.name}/run")
    return f"{tls_registry.host}/{place.root.name}"


def done(finished):
    assert finished.code == 0, finished.output
    return finished


def test_credentials_certificates_and_mirrors_of_root_serve_a_whole_build(place, private):
    variables = {"HOME": str(place.root / "home")}
    app, run = f"{private}/app", ("-run-image", "runs.example/run")
    cache = ("-cache-image", f"{private}/cache")
    for _ in range(2):
        creator = place.run_as_it_is("creator", *launcher(place), *GIVEN, *run, *cache, app, as_root=True, **variables)
        assert app in done(creator).output
    assert "Reusing cache layer 'a/b:x'" in creator.output
    done(place.run_as_it_is("analyzer", *GIVEN, *run, *cache, app, as_root=True, **variables))
    done(place.run_as_it_is("restorer", *GIVEN, *cache, as_root=True, **variables))
    assert (place.layers / "a_b/x/file").read_text() == "data\n"
    done(place.run_as_it_is("exporter", *launcher(place), *GIVEN, *cache, app, as_root=True, **variables))
    done(place.run_as_it_is("rebaser", *GIVEN, "-report", place.layers / "report.toml", app, as_root=True, **variables))
    for name in ("analyzed.toml", "report.toml"):
        status = (place.layers / name).stat()
        assert (status.st_uid, status.st_gid) == BUILD


def test_who_may_not_look_into_the_home_of_root_can_not_use_that_registry(place, private):
    place.give(12345, 12345)
    os.chown(place.root / "home", 0, 0)
    variables = {"HOME": str(place.root / "home")}
    finished = place.run_as_it_is("analyzer", "-run-image", f"{private}/run", f"{private}/app", **variables)
    assert finished.code == 32
    assert "is not trusted" in finished.errors[0]


def test_an_authority_in_a_file_of_root_is_trusted_afterwards(place, tls_registry, authority, private):
    (place.root / "home/.config/containers").rename(place.root / "home/elsewhere")
    bundle = place.write("home/authorities.pem", authority.ca_file.read_text())
    bundle.chmod(0o600)
    variables = {"HOME": str(place.root / "home"), "SSL_CERT_FILE": str(bundle)}
    arguments = ("-run-image", f"{private}/run", f"{private}/app")
    done(place.run_as_it_is("analyzer", *GIVEN, *arguments, as_root=True, **variables))
    assert tls_registry.host in (place.layers / "analyzed.toml").read_text()


def test_registries_that_run_toml_alone_names_are_known_too(place, private):
    place.write("run.toml", f'[[images]]\nimage = "none.invalid/run"\nmirrors = ["{private}/run"]\n')
    variables = {"HOME": str(place.root / "home")}
    done(place.run_as_it_is("analyzer", *GIVEN, f"{private}/app", as_root=True, **variables))
    assert f"{private}/run@sha256" in (place.layers / "analyzed.toml").read_text()


@pytest.fixture(params=["dockerd", "podman"])
def daemon(request):
    """A daemon behind a socket that is root's alone."""
    found = request.getfixturevalue(request.param)
    found.socket.chmod(0o600)
    return found


@pytest.fixture
def run_image(daemon, place):
    path = place.root / "run.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(place.root / "launcher", "etc/base")
    name = f"privileges/{place.root.name}-run:1"
    place.write("run.toml", f'[[images]]\nimage = "{name}"\n')
    daemon.docker("import", str(path), name)
    return name


def test_the_socket_of_root_serves_a_whole_build(place, daemon, run_image):
    app, new_app = (f"privileges/{place.root.name}-{name}:1" for name in ("app", "new"))
    common = {"as_root": True, **daemon.environment}
    stores = ("-launch-cache", place.root / "launch-cache", "-cache-dir", place.root / "cache")
    for _ in range(2):
        arguments = (*launcher(place), *GIVEN, *stores, "-daemon", "-run-image", run_image, app)
        done(place.run_as_it_is("creator", *arguments, **common))
    inspected = daemon.client.inspect(app)
    assert inspected["RootFS"]["Layers"][0] in json.dumps(daemon.client.inspect(run_image))
    done(place.run_as_it_is("analyzer", "-daemon", *GIVEN, "-run-image", run_image, app, **common))
    done(place.run_as_it_is("restorer", "-daemon", *GIVEN, "-cache-dir", place.root / "cache", **common))
    done(place.run_as_it_is("exporter", "-daemon", *launcher(place), *GIVEN, *stores, app, new_app, **common))
    assert daemon.client.inspect(new_app)["Id"] == daemon.client.inspect(app)["Id"]
    report = ("-report", place.layers / "report.toml")
    done(place.run_as_it_is("rebaser", "-daemon", *GIVEN, *report, "-run-image", run_image, app, **common))


def test_layers_of_the_run_image_are_read_while_the_app_image_is_loaded(place, containerd):
    """Containerd's store takes an image as a whole, so two connections are in use at once."""
    containerd.socket.chmod(0o600)
    path = place.root / "run.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(place.root / "launcher", "etc/base")
    name = f"privileges/{place.root.name}"
    containerd.docker("import", str(path), f"{name}-run:1")
    arguments = (*launcher(place), *GIVEN, "-daemon", "-run-image", f"{name}-run:1", f"{name}-app:1")
    done(place.run_as_it_is("creator", *arguments, as_root=True, **containerd.environment))
    assert containerd.client.inspect(f"{name}-app:1") is not None
