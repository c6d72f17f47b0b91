"""Which authorities are trusted, shown by real TLS handshakes in memory."""

import ssl

import pytest

from lifecycle.errors import InvalidFileError
from lifecycle.images.registry.trust import tls_context, trusted_bundles
from parts.tls import CertificateAuthority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return CertificateAuthority.create(tmp_path_factory.mktemp("other"), "another authority")


def handshake(client, server, name="localhost"):
    """Connect both contexts in memory; raises what the client or the server raises."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname=name)
    theirs = server.wrap_bio(there, back, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return theirs.getpeercert()


def context(*bundles, verify=True, client_cert=None):
    return tls_context(bundles, verify=verify, client_cert=client_cert)


def test_a_server_of_a_trusted_authority_is_accepted(authority, other):
    server = authority.server().server_context()
    handshake(context(authority.ca_file), server)
    handshake(context(other.ca_file, authority.ca_file), server)


def test_other_authorities_and_names_are_not_accepted(authority, other):
    server = authority.server().server_context()
    for client in (context(other.ca_file), context()):
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            handshake(client, server)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(context(authority.ca_file), server, name="example.com")


def test_without_verification_every_server_is_accepted(authority):
    handshake(context(verify=False), authority.server().server_context(), name="example.com")


def test_every_certificate_of_a_directory_counts_whatever_its_name(authority, tmp_path):
    (tmp_path / "any name").write_bytes(authority.ca_file.read_bytes())
    (tmp_path / "no certificate").write_text("text")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "directory").mkdir()
    handshake(context(tmp_path), authority.server().server_context())


def test_a_client_certificate_is_shown(authority):
    server = authority.server().server_context(client_authority=authority.ca_file)
    shown = handshake(context(authority.ca_file, client_cert=authority.client().paths), server)
    assert "client of the tests" in str(shown["subject"])
    with pytest.raises(ssl.SSLError):
        handshake(context(authority.ca_file), server)


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_certificates_is_named(tmp_path, content):
    path = tmp_path / "bundle.pem"
    path.write_bytes(content)
    with pytest.raises(InvalidFileError, match="store the certificates as PEM") as caught:
        context(path)
    assert caught.value.where == str(path)


def test_a_key_that_does_not_fit_or_has_a_password_is_named(authority, other, tmp_path):
    certificate, _ = authority.client().paths
    _, foreign = other.client().paths
    locked = tmp_path / "locked.key"
    from parts.tls import openssl

    openssl("pkey", "-in", authority.client().key, "-aes128", "-passout", "pass:s3cret", "-out", locked)
    for key in (foreign, locked, tmp_path / "none.key"):
        with pytest.raises(InvalidFileError, match="is no usable client certificate") as caught:
            context(client_cert=(certificate, key))
        assert str(key) in str(caught.value)


@pytest.fixture
def paths(tmp_path):
    for name in ("file.pem", "bundle.pem", "curl.pem"):
        (tmp_path / name).touch()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path


SYSTEM = trusted_bundles({})


def test_the_systems_bundle_is_the_default():
    assert all(path.is_file() for path in SYSTEM)
    assert len(SYSTEM) <= 1


def test_ssl_cert_file_adds_to_the_system_and_ssl_cert_dir_replaces_it(paths):
    file, one, two = paths / "file.pem", paths / "one", paths / "two"
    assert trusted_bundles({"SSL_CERT_FILE": str(file)}) == (file, *SYSTEM)
    assert trusted_bundles({"SSL_CERT_DIR": f"{one}:{two}"}) == (one, two)
    assert trusted_bundles({"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(one)}) == (file, one)


def test_requests_ca_bundle_is_the_only_one(paths):
    environment = {
        "SSL_CERT_FILE": str(paths / "file.pem"),
        "SSL_CERT_DIR": str(paths / "one"),
        "CURL_CA_BUNDLE": str(paths / "curl.pem"),
    }
    assert trusted_bundles(environment) == (paths / "curl.pem",)
    assert trusted_bundles({**environment, "REQUESTS_CA_BUNDLE": str(paths / "two")}) == (paths / "two",)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_path_that_is_not_there_is_a_warning(variable, caplog):
    assert trusted_bundles({variable: "/not/there"}) == SYSTEM
    assert f"{variable} names /not/there, which can't be read" in caplog.text
