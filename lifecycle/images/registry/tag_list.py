"""Pages of a list of tags.  Spec: OCI distribution-spec "Listing Tags"; RFC 8288 "Web Linking"."""

from __future__ import annotations

import re

from lifecycle.errors import RegistryError
from lifecycle.oci.manifest import read_object

LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes of one page; without pages that is half a million long tags."""

_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?', re.IGNORECASE)


def read_tags(data: bytes, *, where: str) -> list[str]:
    """Read one page; registries say ``null`` where there are none.  Raises ``CorruptImageError``, ``RegistryError``."""
    found = read_object(data, where=where).get("tags") or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise RegistryError("lists tags that are not names", where=where)
    return found


def next_page(link: str) -> str | None:
    """Return where the header ``Link`` says that the next page is."""
    found = _NEXT.search(link)
    return found[1] if found else None
