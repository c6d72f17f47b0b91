"""``lifecycle doctor`` as people run it, with real registries."""

import base64
import json
import re
import subprocess
import sys

import pytest


@pytest.fixture
def doctor(lifecycle, tmp_path):
    def run(*arguments, **variables):
        done = lifecycle("doctor", *arguments, check=False, **{"HOME": str(tmp_path), "COLUMNS": "400", **variables})
        assert done.stderr == ""
        return done

    return run


def section(done, title):
    """The checks of a section by name: mark, text and remedy, with wrapped lines joined."""
    found, name = {}, ""
    for line in done.stdout.partition(f"{title}\n")[2].split("\n\n")[0].splitlines():
        if not line.startswith(" " * 22):
            name = line[10:22].strip()
            found[name] = [line[2:8].strip(), ""]
        found[name][1] += f" {line[22:]}"
    return {name: (mark, *map(str.strip, text.partition("→")[::2])) for name, (mark, text) in found.items()}


def log_in(tmp_path, registry):
    path = tmp_path / ".docker" / "config.json"
    path.parent.mkdir()
    pair = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    path.write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))
    return path


def test_a_registry_without_tls_on_this_host_is_well(doctor, registry):
    done = doctor(f"{registry.host}/doctor/app")
    found = section(done, f"{registry.host}/doctor/app:latest")
    assert list(found) == ["name", "proxy", "TLS", "auth", "read", "write"]
    assert {mark for mark, *_ in found.values()} == {"ok"}
    assert found["name"][1] == f"{registry.host}: 127.0.0.1"
    assert "plain http" in found["TLS"][1]


def test_the_upload_that_was_tried_is_cancelled(doctor, registry):
    doctor(f"{registry.host}/doctor/traces")
    repository = registry.storage / "docker/registry/v2/repositories/doctor/traces"
    assert repository.is_dir()
    assert [path for path in repository.rglob("*") if path.name in {"data", "startedat", "link"}] == []


def test_an_unknown_authority_is_named_and_access_not_tried(doctor, tls_registry):
    done = doctor(f"{tls_registry.host}/doctor/app")
    assert done.returncode == 1
    found = section(done, f"{tls_registry.host}/doctor/app:latest")
    assert list(found) == ["name", "proxy", "TLS", "auth"]
    mark, text, remedy = found["TLS"]
    assert mark == "failed"
    assert "unable to get local issuer certificate" in text
    assert "CN=server of the tests by CN=authority of the tests until 20" in text
    assert f"certs.d/{tls_registry.host}/ca.crt" in remedy


def test_without_credentials_reading_and_writing_fail_with_a_remedy(doctor, tls_registry):
    done = doctor(f"{tls_registry.host}/doctor/app", SSL_CERT_FILE=str(tls_registry.ca_file))
    assert done.returncode == 1
    found = section(done, f"{tls_registry.host}/doctor/app:latest")
    assert found["auth"][1].startswith("anonymous")
    for name in ("read", "write"):
        assert found[name][0] == "failed"
        assert "docker login" in found[name][2]


def test_with_authority_and_credentials_all_is_well_and_no_secret_is_shown(doctor, tls_registry, tmp_path):
    path = log_in(tmp_path, tls_registry)
    directory = tmp_path / ".config/containers/certs.d" / tls_registry.host
    directory.mkdir(parents=True)
    (directory / "ca.crt").write_bytes(tls_registry.ca_file.read_bytes())
    done = doctor(f"{tls_registry.host}/doctor/app")
    found = section(done, f"{tls_registry.host}/doctor/app:latest")
    assert (found["read"][0], found["write"][0]) == ("ok", "ok")
    assert f"trusted by {directory / 'ca.crt'}" in found["TLS"][1]
    assert found["auth"][1] == f"auths of {path}"
    assert tls_registry.password not in done.stdout
    assert base64.b64encode(f"{tls_registry.username}:{tls_registry.password}".encode()).decode() not in done.stdout


def test_an_insecure_registry_is_used_without_its_certificate_being_verified(doctor, tls_registry, tmp_path):
    log_in(tmp_path, tls_registry)
    for arguments, variables in (
        (["--insecure-registry", tls_registry.host], {}),
        ([], {"CNB_INSECURE_REGISTRIES": f"other.com, {tls_registry.host}"}),
    ):
        done = doctor(*arguments, f"{tls_registry.host}/doctor/app", **variables)
        found = section(done, f"{tls_registry.host}/doctor/app:latest")
        assert found["TLS"][0] == "-"
        assert "not verified" in found["TLS"][1]
        assert (found["read"][0], found["write"][0]) == ("ok", "ok")


def test_each_mirror_is_tried_by_itself(doctor, registry, tmp_path):
    (tmp_path / "registries.conf").write_text(
        f'[[registry]]\nprefix = "not.there.invalid"\n[[registry.mirror]]\nlocation = "{registry.host}/mirror"\n'
    )
    done = doctor("not.there.invalid/team/app:1", CNB_REGISTRIES_CONF=str(tmp_path / "registries.conf"))
    mirror = section(done, f"not.there.invalid/team/app:1, mirror {registry.host}/mirror/team/app")
    assert mirror["read"][0] == "ok"
    assert "write" not in mirror
    own = section(done, "\nnot.there.invalid/team/app:1")
    assert own["name"][0] == "failed"
    assert done.returncode == 1


def test_with_read_only_nothing_is_written(doctor, registry):
    done = doctor("--read-only", f"{registry.host}/doctor/app")
    assert "write" not in section(done, f"{registry.host}/doctor/app:latest")


def test_a_proxy_is_shown_without_its_password(doctor):
    done = doctor("example.invalid/team/app", HTTPS_PROXY="http://me:s3cret@127.0.0.1:1")
    found = section(done, "example.invalid/team/app:latest")
    assert found["proxy"][:2] == ("ok", "127.0.0.1:1")
    assert found["name"][0] == "-"
    assert "through the proxy" in found["TLS"][1]
    assert "s3cret" not in done.stdout


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:port", "http://[::1", "socks5://127.0.0.1:1", "://"])
def test_a_proxy_that_can_not_be_used_is_a_problem(doctor, proxy):
    done = doctor("example.invalid/team/app", HTTPS_PROXY=proxy)
    assert done.returncode == 1


def test_no_proxy_is_respected_as_registries_respect_it(doctor):
    done = doctor("10.255.255.1/team/app:1", "--read-only", HTTPS_PROXY="http://127.0.0.1:1", NO_PROXY="10.0.0.0/8")
    assert section(done, "10.255.255.1/team/app:1")["proxy"][1] == "none"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"CNB_REGISTRY_AUTH": '{"a": 5, "b": "s3cret"}'}, "CNB_REGISTRY_AUTH: is not an object"),
        ({"CNB_REGISTRIES_CONF": "/not/there"}, "CNB_REGISTRIES_CONF: /not/there is not a file"),
    ],
)
def test_configuration_that_can_not_be_used_is_a_problem_and_the_host_is_still_looked_at(doctor, variables, problem):
    done = doctor("example.invalid/team/app", **variables)
    assert done.returncode == 1
    assert section(done, "configuration of registries")["files"][1].startswith(problem)
    assert section(done, "directories of a build")["state"][0] == "ok"
    assert "s3cret" not in done.stdout


def test_what_is_ignored_is_mentioned(doctor, registry, tmp_path):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    done = doctor(f"{registry.host}/doctor/app", SSL_CERT_FILE="/not/there")
    warnings = " ".join(done.stdout.partition("configuration of registries\n")[2].split("\n\n")[0].split())
    assert "SSL_CERT_FILE names /not/there" in warnings
    assert "config.json is not valid JSON" in warnings


def test_a_name_that_is_no_reference_is_a_problem(doctor):
    done = doctor("Not A Name")
    assert done.returncode == 1
    assert "is not a valid image reference" in section(done, "Not A Name")["reference"][1]


def test_without_names_this_host_and_its_directories_are_looked_at(doctor, tmp_path):
    done = doctor()
    assert re.findall(r"^\S.*", done.stdout, re.MULTILINE)[:-1] == ["this host", "directories of a build"]
    assert set(section(done, "this host")) == {"namespaces", "daemon"}
    assert section(done, "directories of a build")["cache"][1].startswith(str(tmp_path / ".cache/cnb-lifecycle"))
    assert done.returncode == ("failed" in done.stdout)


def test_a_directory_that_can_not_be_written_is_a_problem_with_a_remedy(doctor, tmp_path):
    (tmp_path / "file").touch()
    done = doctor("--cache-dir", tmp_path / "file" / "cache")
    assert done.returncode == 1
    mark, text, remedy = section(done, "directories of a build")["cache"]
    assert mark == "failed"
    assert text.startswith(f"{tmp_path / 'file' / 'cache'} can't be written")
    assert remedy == "choose another --cache-dir"


def test_lines_fit_a_narrow_terminal(doctor, registry):
    done = doctor(f"{registry.host}/doctor/app", COLUMNS="80")
    wide = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert all(len(line.split()[-1]) > 30 for line in wide)


def test_the_help_names_the_command():
    done = subprocess.run([sys.executable, "-m", "lifecycle", "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout
