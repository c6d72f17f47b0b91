"""``sync=lock,url=…``: locks of etcd, by its JSON gateway.

A lock spares builders that finish the same step at once each other's ballots.  It decides nothing: a builder that lost
its lease, or never got one, votes as others do, and the revision at which it got the lock is the lowest ballot that it
opens, so that those of later holders are above it.  Where etcd can't be reached builders go on without.
Spec: etcd v3 API, "gRPC gateway", "Lease", "Txn".
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import logging
import secrets
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lifecycle.cache.distributed.tags import short_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.cache.distributed.tag_log import KeptLog
    from lifecycle.oci.digest import Digest

_LOG = logging.getLogger(__name__)

LEASE: Final = 10
"""Seconds after which the lock of a holder that died is free."""
_LONGEST_WAIT: Final = 30.0
_TIMEOUT: Final = 5.0
_LARGEST: Final = 1 << 20
_UNREACHED: Final = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError)
"""What a server raises that is away, or that is another one."""


class EtcdLockedLog:
    """The names of ``log``; locks are keys below ``prefix`` of the etcd at ``url``."""

    def __init__(self, log: KeptLog, url: str, prefix: str) -> None:
        self._log = log
        self._url = url.rstrip("/")
        self._prefix = prefix
        self._place = urlsplit(url).netloc.rpartition("@")[2]

    def append(self, name: str) -> None:
        """Write a name."""
        self._log.append(name)

    def names(self) -> frozenset[str]:
        """Return all names."""
        return self._log.names()

    def now(self) -> int:
        """Return the time of the log."""
        return self._log.now()

    def remove(self, name: str) -> None:
        """Take a name away."""
        self._log.remove(name)

    @contextlib.contextmanager
    def holding(self, key: Digest) -> Iterator[int]:
        """Hold the lock of a key, and yield the revision at which it was got; 1 without a lock, which is a warning."""
        lease = ""
        revision = 1
        try:
            lease = str(self._ask("lease/grant", TTL=LEASE)["ID"])
            revision = self._acquire(f"cnb-lifecycle/{self._prefix}/{short_digest(key)}", lease)
        except _UNREACHED as error:
            _LOG.warning("Going on without the locks of %s: %s", self._place, _told(error))
        try:
            yield revision
        finally:
            if lease:
                with contextlib.suppress(*_UNREACHED):
                    self._ask("lease/revoke", ID=lease)

    def _acquire(self, name: str, lease: str) -> int:
        """Return the revision at which this process became the holder, 1 if others held the lock for too long."""
        key = base64.b64encode(name.encode()).decode()
        until = time.monotonic() + _LONGEST_WAIT
        while time.monotonic() < until:
            answer = self._ask(
                "kv/txn",
                compare=[{"key": key, "target": "CREATE", "create_revision": "0"}],
                success=[{"request_put": {"key": key, "value": "", "lease": lease}}],
            )
            if answer.get("succeeded"):
                return int(answer["header"]["revision"])
            # Who waits for several holders waits longer than a lease lasts.
            self._ask("lease/keepalive", ID=lease)
            time.sleep(0.05 + secrets.randbelow(100) / 1000)
        _LOG.debug("the lock %s was held for %s s", name, _LONGEST_WAIT)
        return 1

    def _ask(self, path: str, **question: Any) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  # http or https, as the user's url was checked to be
            f"{self._url}/v3/{path}", data=json.dumps(question).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            found = json.loads(answer.read(_LARGEST))
        if not isinstance(found, dict):
            raise ValueError("it does not answer as etcd does")  # noqa: TRY004  # of the server, not of a caller
        return found


def _told(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return f"it answers {error.code}"
        case urllib.error.URLError():
            return str(error.reason)
        case OSError() | ValueError():
            return str(error)
        case _:
            return "it does not answer as etcd does"
