"""Certificates for tests, made by the `openssl` program, and htpasswd files."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONFIGURATION = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {alternatives}
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
LOOPBACK = ("IP:127.0.0.1", "DNS:localhost")


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: Path
    key: Path

    @property
    def paths(self) -> tuple[Path, Path]:
        return self.certificate, self.key

    def server_context(self, *, client_authority: Path | None = None) -> ssl.SSLContext:
        """For a server that shows this certificate, and demands a client's where an authority is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if client_authority is not None:
            context.load_verify_locations(client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclass(frozen=True)
class CertificateAuthority:
    """An authority of its own in `directory`, valid for two days; nothing but tests trusts it."""

    directory: Path
    own: KeyPair

    @classmethod
    def create(cls, directory: Path, name: str = "authority of the tests") -> "CertificateAuthority":
        return cls(directory, _certificate(directory, "authority", name, "authority", None))

    @property
    def ca_file(self) -> Path:
        return self.own.certificate

    def server(self, file_name: str = "server", *, alternatives: tuple[str, ...] = LOOPBACK) -> KeyPair:
        """A server's certificate; `alternatives` as openssl writes them ("IP:…", "DNS:…")."""
        return _certificate(self.directory, file_name, "server of the tests", "server", self.own, alternatives)

    def client(self, file_name: str = "client", *, name: str = "client of the tests") -> KeyPair:
        return _certificate(self.directory, file_name, name, "client", self.own)


def rsa_key_pair(directory: Path, name: str) -> KeyPair:
    """A self-signed RSA key, which signs tokens."""
    return _certificate(directory, name, name, "authority", None, key=("rsa:2048",))


def openssl(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """Run the program and return what it prints; skips the test where it isn't installed."""
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    done = subprocess.run([found, *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def write_htpasswd(path: Path, users: dict[str, str]) -> Path:
    """An htpasswd file with bcrypt hashes, the only ones that docker-registry accepts."""
    found = shutil.which("htpasswd")
    if found is None:
        pytest.skip("htpasswd is not installed: apt-get install apache2-utils")
    lines = [
        subprocess.run([found, "-niB", name], input=password.encode(), capture_output=True, check=True).stdout.strip()
        for name, password in users.items()
    ]
    path.write_bytes(b"\n".join([*lines, b""]))
    return path


def _certificate(
    directory: Path,
    file_name: str,
    name: str,
    section: str,
    issuer: KeyPair | None,
    alternatives: tuple[str, ...] = LOOPBACK,
    *,
    key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
) -> KeyPair:
    directory.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(directory / f"{file_name}.crt", directory / f"{file_name}.key")
    configuration = directory / f"{file_name}.cnf"
    configuration.write_text(_CONFIGURATION.format(name=name, alternatives=", ".join(alternatives)), encoding="utf-8")
    arguments: list[str | Path] = ["req", "-x509", "-config", configuration, "-extensions", section]
    arguments += ["-days", "2", "-sha256", "-newkey", *key, "-nodes", "-keyout", pair.key, "-out", pair.certificate]
    if issuer is not None:
        arguments += ["-CA", issuer.certificate, "-CAkey", issuer.key]
    openssl(*arguments)
    pair.key.chmod(0o600)
    return pair
