"""Image references: ``[registry/]repository[:tag][@digest]``, with the defaults that users know from Docker."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lifecycle.errors import InvalidInputError

DEFAULT_REGISTRY = "index.docker.io"
DEFAULT_TAG = "latest"

_HUB_ALIASES = frozenset({"docker.io", "registry-1.docker.io", DEFAULT_REGISTRY})
_REGISTRY = re.compile(r"[A-Za-z0-9.\-_]+(:[0-9]+)?\Z|\[[0-9a-fA-F:]+\](:[0-9]+)?\Z")
_REPOSITORY = re.compile(r"[a-z0-9_\-./]{2,255}\Z")
_TAG = re.compile(r"[A-Za-z0-9_\-.]{1,128}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry, every default filled in.

    ``digest`` wins over ``tag`` where both are given; ``text`` is what the user wrote.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None
    text: str

    @property
    def context(self) -> str:
        """``registry/repository``."""
        return f"{self.registry}/{self.repository}"

    @property
    def name(self) -> str:
        """The whole reference with its defaults: ``registry/repository:tag`` or ``…@digest``."""
        return f"{self.context}@{self.digest}" if self.digest else f"{self.context}:{self.tag}"

    @property
    def identifier(self) -> str:
        """The tag or the digest, whichever locates the image."""
        return self.digest or self.tag or DEFAULT_TAG

    def without_digest(self) -> str:
        """Return ``registry/repository:tag``, by which names of run images are compared."""
        return f"{self.context}:{self.tag or DEFAULT_TAG}"


def parse_reference(text: str) -> Reference:
    """Read a reference; raise ``InvalidInputError`` that says what is allowed."""

    def refuse(problem: str) -> InvalidInputError:
        return InvalidInputError(
            f"{text!r} is not a valid image reference: {problem}",
            remedy="write it as registry/repository:tag or registry/repository@sha256:…",
        )

    rest, _, digest = text.partition("@")
    if "@" in text and _DIGEST.match(digest) is None:
        raise refuse("what follows '@' has to be sha256: and 64 hex digits")
    head, slash, tail = rest.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, path = head, tail
    else:
        registry, path = DEFAULT_REGISTRY, rest
    if registry in _HUB_ALIASES:
        registry = DEFAULT_REGISTRY
    if _REGISTRY.match(registry) is None:
        raise refuse(f"{registry!r} is not a host with an optional port")
    repository, colon, tag = path.partition(":")
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    if _REPOSITORY.match(repository) is None or any(part in {"", ".", ".."} for part in repository.split("/")):
        raise refuse("a repository has 2 to 255 lower-case letters, digits and '_', '-', '.', '/'")
    if colon and _TAG.match(tag) is None:
        raise refuse("a tag has 1 to 128 letters, digits and '_', '-', '.'")
    if not colon:
        tag = DEFAULT_TAG
    return Reference(registry, repository, tag if colon or not digest else None, digest or None, text)


def parse_tag(text: str) -> Reference:
    """Read a reference that names a tag to write; a digest can't be written to."""
    reference = parse_reference(text)
    if reference.digest is not None:
        raise InvalidInputError(
            f"{text!r} is a digest reference, and an image is written to a tag", remedy="leave out '@sha256:…'"
        )
    return reference


def same_image_name(one: str, other: str) -> bool:
    """Say whether two names locate the same repository and tag, digests and defaults aside."""
    try:
        return parse_reference(one).without_digest() == parse_reference(other).without_digest()
    except InvalidInputError:
        return one == other
