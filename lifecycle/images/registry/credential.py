"""What a registry is told about who we are."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credential:
    """What is known for one registry; all empty means anonymous.

    A client uses the first of these that is not empty: ``registry_token``, a bearer token sent as it is;
    ``identity_token``, an OAuth2 refresh token that the registry's token service exchanges; ``username`` and
    ``password``.  ``source`` says in words where it was found.  Only ``source`` appears in the representation:
    user names, too, are tokens at some registries.
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = ""

    @property
    def anonymous(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.username or self.password or self.identity_token or self.registry_token)


ANONYMOUS = Credential(source="anonymous")
