"""Requests by what they are for: the path below ``/v2/``, and what a token has to allow.

Spec: OCI distribution-spec "Endpoints"; Docker Registry v2 "Token Scope Documentation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.images.registry.challenge import repository_scope
from lifecycle.images.registry.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.images.registry.hosts import Endpoint
    from lifecycle.images.registry.transport import Body


def read_request(
    endpoint: Endpoint, method: str, path: str, *, where: str, headers: Mapping[str, str] | None = None
) -> Request:
    """Return a request that reads ``path`` (``manifests/…``, ``blobs/…``) of an endpoint's repository."""
    return Request(
        method,
        f"/v2/{endpoint.repository}/{path}",
        (repository_scope(endpoint.repository, "pull"),),
        where,
        headers=headers or {},
    )


def write_request(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    where: str,
    headers: Mapping[str, str] | None = None,
    body: Callable[[], bytes | Body] | None = None,
    storing: bool = False,
) -> Request:
    """Return a request that changes an endpoint's repository: by ``path``, or by a URL that the registry gave out."""
    actions = ("delete", "pull", "push") if method == "DELETE" else ("pull", "push")
    return Request(
        method,
        path if "://" in path else f"/v2/{endpoint.repository}/{path}",
        (repository_scope(endpoint.repository, *actions),),
        where,
        purpose="write to",
        headers=headers or {},
        body=body,
        storing=storing,
    )
