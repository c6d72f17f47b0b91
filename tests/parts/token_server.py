"""A token server for docker-registry: issues signed bearer tokens as the distribution token specification says."""

import base64
import json
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from parts.http_server import Exchange, LoopbackServer
from parts.registry import RegistryServer
from parts.tls import KeyPair, openssl, rsa_key_pair

SERVICE = "registry of the tests"
ISSUER = "token server of the tests"
LEEWAY = 60
"""Seconds for which docker-registry 2.8 still takes a token that has expired."""


@dataclass(frozen=True)
class TokenRequest:
    """What a client sent to the token server, and what it got."""

    method: str
    path: str
    headers: Message = field(repr=False)
    form: Mapping[str, str]
    """Query of a GET, form of a POST; `scope` has all scopes, separated by spaces."""
    user: str | None
    """Whom the credentials prove; "" for nobody, None for credentials that are wrong."""
    granted: tuple[str, ...] = ()
    """The scopes in the token, without actions that the user may not do."""


class TokenServer(LoopbackServer):
    """Issues tokens on `<url>/token`, to GET with Basic credentials or none, and to POST with an OAuth2 grant.

    users: name -> password; they may do all, those in `readers` only pull. Without credentials a client may pull
    below `public/`. identity_tokens: refresh token -> user.
    The registry takes a token for `valid_for` seconds; `expires_in` is what the client is told (None: nothing).
    `field_names` are the names under which GET gives the token. `status` other than 200 answers every request with it.
    """

    def __init__(self, directory: Path, users: Mapping[str, str], *, readers: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.users = dict(users)
        self.readers = readers
        self._signer: KeyPair = rsa_key_pair(directory, "token-signer")
        self.reset()

    def reset(self) -> None:
        """Forget logs and identity tokens, and take back what a test changed of the behaviour."""
        self.identity_tokens: dict[str, str] = {}
        self.valid_for = 300.0
        self.expires_in: int | None = 300
        self.field_names: tuple[str, ...] = ("token", "access_token")
        self.status = 200
        self.has_oauth = True
        """Whether POST is supported; many registries answer 404 or 405 to it."""
        self.token_requests: list[TokenRequest] = []
        self.issued: list[str] = []
        """All tokens given out, to look for where they must not be."""
        self.log.clear()

    @property
    def realm(self) -> str:
        return f"{self.url}/token"

    @property
    def registry_configuration(self) -> dict[str, object]:
        """The `auth` section that makes docker-registry trust this server."""
        return {
            "token": {
                "realm": self.realm,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self._signer.certificate),
            }
        }

    def answer(self, exchange: Exchange) -> None:
        sent = b"".join(exchange.body()).decode()
        address = urllib.parse.urlsplit(exchange.path)
        pairs = urllib.parse.parse_qsl(sent if exchange.method == "POST" else address.query)
        form = dict(pairs) | {"scope": " ".join(value for name, value in pairs if name == "scope")}
        user, refresh_token = self._who(exchange, form)
        granted = {} if user is None else self._granted(user, form["scope"].split())
        self.token_requests.append(
            TokenRequest(
                exchange.method,
                exchange.path,
                exchange.headers,
                form,
                user,
                tuple(f"{kind}:{name}:{','.join(actions)}" for (kind, name), actions in granted.items()),
            )
        )
        if self.status != 200:
            _answer(exchange, self.status, {"details": "the token server says so"})
        elif address.path != "/token":
            _answer(exchange, 404, {"details": "no such page"})
        elif exchange.method == "POST" and not self.has_oauth:
            _answer(exchange, 405, {"details": "only GET"})
        elif user is None:
            _answer(exchange, 401, {"details": "incorrect username or password"})
        else:
            token = self._token(user, granted)
            self.issued.append(token)
            names = ("access_token",) if exchange.method == "POST" else self.field_names
            told: dict[str, object] = dict.fromkeys(names, token)
            if self.expires_in is not None:
                told["expires_in"] = self.expires_in
                told["issued_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            if exchange.method == "POST":
                told["scope"] = form["scope"]
            if refresh_token:
                told["refresh_token"] = refresh_token
            _answer(exchange, 200, told)

    def _who(self, exchange: Exchange, form: Mapping[str, str]) -> tuple[str | None, str]:
        """User and refresh token for the answer."""
        if exchange.method == "POST":
            match form.get("grant_type"):
                case "refresh_token":
                    given = form.get("refresh_token", "")
                    return self.identity_tokens.get(given), given
                case "password":
                    user = self._checked(form.get("username", ""), form.get("password", ""))
                    return user, self._new_identity(user) if form.get("access_type") == "offline" else ""
                case _:
                    return None, ""
        scheme, _, encoded = (exchange.headers.get("Authorization") or "").partition(" ")
        if not scheme:
            return "", ""
        if scheme.lower() != "basic":
            return None, ""
        name, _, password = base64.b64decode(encoded).decode().partition(":")
        user = self._checked(name, password)
        return user, self._new_identity(user) if form.get("offline_token") == "true" else ""

    def _checked(self, name: str, password: str) -> str | None:
        return name if name and self.users.get(name) == password else None

    def _new_identity(self, user: str | None) -> str:
        if not user:
            return ""
        token = uuid.uuid4().hex
        self.identity_tokens[token] = user
        return token

    def _granted(self, user: str, scopes: list[str]) -> dict[tuple[str, str], list[str]]:
        granted: dict[tuple[str, str], list[str]] = {}
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            may = {"pull"} if not user or user in self.readers else {"pull", "push", "delete", "*"}
            if not user and not name.startswith("public/"):
                may = set()
            granted[kind, name] = [action for action in actions.split(",") if action in may]
        return granted

    def _token(self, user: str, granted: Mapping[tuple[str, str], list[str]]) -> str:
        now = time.time()
        certificate = "".join(
            line for line in self._signer.certificate.read_text(encoding="ascii").splitlines() if "-----" not in line
        )
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": int(now + self.valid_for - LEEWAY),
            "nbf": int(now) - 10,
            "iat": int(now),
            "jti": uuid.uuid4().hex,
            "access": [
                {"type": kind, "name": name, "actions": actions} for (kind, name), actions in granted.items() if actions
            ],
        }
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", self._signer.key, stdin=signed)
        return b".".join((signed, _base64url(signature))).decode()


@dataclass
class TokenRegistry(RegistryServer):
    """A docker-registry that takes tokens of `token_server` only; `username` and `password` may do all."""

    token_server: TokenServer = field(kw_only=True)


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _answer(exchange: Exchange, status: int, told: Mapping[str, object]) -> None:
    exchange.answer(status, json.dumps(told).encode(), [("Content-Type", "application/json")])
