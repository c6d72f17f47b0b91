"""The buildpack ca-certificates, with certificates that OpenSSL makes."""

from __future__ import annotations

import os
import ssl
import subprocess
import tomllib
from pathlib import Path

import pytest

import system_certificates


@pytest.fixture
def buildpack(ours):
    return ours / "ca-certificates"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=my own", "-days", "2", "-keyout", os.devnull, "-out", path]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return path.read_text()


def bind(root, content, *, name="mine", kind="ca-certificates"):
    (root / name).mkdir(parents=True)
    (root / name / "type").write_text(kind)
    (root / name / "company.pem").write_text(content)
    return root


def subjects(path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return [dict(part[0] for part in each["subject"]).get("commonName") for each in context.get_ca_certs()]


def run_exec_d(program, tmp_path, **env):
    """Return what an exec.d program writes on descriptor 3."""
    out = tmp_path / "descriptor-3"
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" 3>"$1"', program, out],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return tomllib.loads(out.read_text())


def test_it_passes_unless_it_is_turned_off(workspace, buildpack):
    assert workspace.detect(buildpack).returncode == 0
    workspace.env["BP_CA_CERTIFICATES"] = "false"
    assert workspace.detect(buildpack).returncode == 100


def test_later_buildpacks_trust_system_and_binding(workspace, buildpack, certificate):
    bind(workspace.platform / "bindings", certificate)
    built = workspace.build(buildpack)
    assert (built.returncode, built.stdout) == (0, "1 certificate added for the build\n"), built.stderr
    environment = workspace.layers / "bundle" / "env.build"
    bundle = (environment / "SSL_CERT_FILE.override").read_text()
    assert (environment / "REQUESTS_CA_BUNDLE.override").read_text() == bundle
    assert "my own" in subjects(bundle)
    assert tomllib.loads((workspace.layers / "bundle.toml").read_text())["types"] == {"build": True}


def test_later_buildpacks_trust_what_the_build_image_is_set_to_trust(workspace, buildpack, certificate, tmp_path):
    (tmp_path / "own.pem").write_text(f"# of this image\n{certificate}")
    workspace.env["SSL_CERT_FILE"] = str(tmp_path / "own.pem")
    bind(workspace.platform / "bindings", certificate)
    built = workspace.build(buildpack)
    assert built.returncode == 0, built.stderr
    bundle = Path((workspace.layers / "bundle" / "env.build" / "SSL_CERT_FILE.override").read_text())
    assert bundle.read_text().startswith("# of this image\n")


def test_without_bindings_the_build_gets_none_and_the_app_its_program(workspace, buildpack):
    built = workspace.build(buildpack)
    assert built.returncode == 0, built.stderr
    assert not (workspace.layers / "bundle").exists()
    assert tomllib.loads((workspace.layers / "helper.toml").read_text())["types"] == {"launch": True}


def test_an_entry_without_a_certificate_is_told_and_not_shown(workspace, buildpack):
    bind(workspace.platform / "bindings", "secret words")
    built = workspace.build(buildpack)
    assert built.returncode == 1
    assert (
        built.stderr == "ca-certificates: binding mine: company.pem has no certificate; put certificates there as PEM\n"
    )


def test_an_app_that_starts_trusts_the_bindings_it_has_then(workspace, buildpack, certificate, tmp_path):
    workspace.build(buildpack)
    program = workspace.layers / "helper" / "exec.d" / "add-certificates"
    root = bind(tmp_path / "with space" / "bindings", certificate, kind="CA-Certificates\n")
    bind(root, "irrelevant", name="database", kind="postgresql")
    found = run_exec_d(program, tmp_path, SERVICE_BINDING_ROOT=str(root))
    assert set(found) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
    assert "my own" in subjects(found["SSL_CERT_FILE"])
    system = next((each for each in system_certificates.BUNDLES if each.is_file()), None)
    if system is not None:
        assert Path(found["SSL_CERT_FILE"]).read_bytes().startswith(system.read_bytes())


def test_a_bundle_that_the_app_has_already_is_kept(workspace, buildpack, certificate, tmp_path):
    workspace.build(buildpack)
    (tmp_path / "own.pem").write_text(certificate)
    root = bind(tmp_path / "bindings", certificate)
    environment = {"SERVICE_BINDING_ROOT": str(root), "SSL_CERT_FILE": str(tmp_path / "own.pem")}
    found = run_exec_d(workspace.layers / "helper" / "exec.d" / "add-certificates", tmp_path, **environment)
    assert (tmp_path / "own.pem").read_text() in Path(found["SSL_CERT_FILE"]).read_text()


def test_without_bindings_nothing_changes_at_start(workspace, buildpack, tmp_path):
    workspace.build(buildpack)
    program = workspace.layers / "helper" / "exec.d" / "add-certificates"
    assert run_exec_d(program, tmp_path, SERVICE_BINDING_ROOT=str(tmp_path / "none")) == {}
