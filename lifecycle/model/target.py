"""Targets of buildpacks and target data of base images.  Spec: buildpack.md "Targets", platform.md "Target Data"."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from lifecycle.model.base import ListOf, SpecModel
from lifecycle.oci.gojson import Struct


class Distro(SpecModel):
    """A Linux distribution; an empty field matches any."""

    name: str = ""
    version: str = ""

    def struct(self) -> Struct:
        """Return the keys as they are written."""
        return Struct(name=self.name, version=self.version)


class _Platform(SpecModel):
    os: str = ""
    arch: str = ""
    arch_variant: str = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_the_key_of_the_specification(cls, data: Any) -> Any:
        """Read both the specification's ``variant`` and the reference's ``arch-variant``."""
        if isinstance(data, dict) and "variant" in data and "arch-variant" not in data:
            return {**data, "arch-variant": data["variant"]}
        return data


class Target(_Platform):
    """One ``[[targets]]`` row of a descriptor; an empty field matches any."""

    distros: ListOf[Distro] = ()


class TargetData(_Platform):
    """What is known of a base image: os, architecture, variant and distribution."""

    id: str = ""
    distro: Distro | None = None

    def struct(self) -> Struct:
        """Return the table ``[run-image.target]`` of analyzed.toml, empty optional values as ``None``."""
        return Struct(
            {
                "id": self.id or None,
                "os": self.os,
                "arch": self.arch,
                "arch-variant": self.arch_variant or None,
                "distro": None if self.distro is None else self.distro.struct(),
            }
        )
