"""Certificates as people want to know them."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.images.registry.certificate import read_certificate
from parts.tls import CertificateAuthority, openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority.create(tmp_path_factory.mktemp("authority"))


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_subject_issuer_and_expiry(authority):
    found = read_certificate(der(authority.server().certificate))
    assert (found.subject, found.issuer) == ("CN=server of the tests", "CN=authority of the tests")
    assert timedelta(days=1) < found.expires - datetime.now(UTC) <= timedelta(days=2)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("/C=DE/O=Größe/OU=x/CN=a", "CN=a, O=Größe, OU=x"),
        ("/C=DE", "no name"),
        ("/CN=one\x1b[31m", "CN=one�[31m"),
    ],
)
@pytest.mark.parametrize("days", [("10", 2049), ("20000", 2050)])
def test_names_and_times_of_all_kinds(tmp_path, subject, expected, days):
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", "-subj", subject),
        *("-days", days[0], "-keyout", tmp_path / "key", "-out", tmp_path / "crt"),
    )
    found = read_certificate(der(tmp_path / "crt"))
    assert found.subject == found.issuer == expected
    assert (found.expires.year >= 2050) is (days[1] == 2050)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_refused(data):
    with pytest.raises(ValueError):
        read_certificate(data)


def test_every_certificate_cut_short_is_refused(authority):
    whole = der(authority.ca_file)
    for length in range(len(whole)):
        with pytest.raises(ValueError):
            read_certificate(whole[:length])


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(authority, data):
    whole = bytearray(der(authority.ca_file))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_certificate(bytes(whole))
    except ValueError:
        return
    assert found.subject.isprintable()
