"""The machines for which there is a distribution."""

from __future__ import annotations

from enum import Enum

from lifecycle.errors import InvalidInputError


class Target(Enum):
    """An operating system and architecture, in Go's words, with what tools call it."""

    LINUX_AMD64 = "linux/amd64"
    LINUX_ARM64 = "linux/arm64"

    @property
    def arch(self) -> str:
        """The architecture in the words of Go and of Debian."""
        return self.value.partition("/")[2]

    @property
    def machine(self) -> str:
        """The architecture in the words of compilers and of wheels."""
        return {Target.LINUX_AMD64: "x86_64", Target.LINUX_ARM64: "aarch64"}[self]

    @property
    def c_library_loader(self) -> str:
        """The file name of glibc's program loader."""
        return {Target.LINUX_AMD64: "ld-linux-x86-64.so.2", Target.LINUX_ARM64: "ld-linux-aarch64.so.1"}[self]


def parse_targets(text: str) -> tuple[Target, ...]:
    """Read ``linux/amd64,linux/arm64``; raises ``InvalidInputError``."""
    known = {each.value: each for each in Target}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise InvalidInputError(f"there is no distribution for {name!r}", remedy=f"use {' or '.join(known)}")
    if not names:
        raise InvalidInputError("no target is given", remedy=f"use {' or '.join(known)}")
    return tuple(dict.fromkeys(known[name] for name in names))
