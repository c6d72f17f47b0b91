"""Buildpacks in directories."""

import pytest

TOML = """api = "0.10"
[buildpack]
id = "{id}"
version = "1.0.0"
name = "A buildpack"
description = "Does a thing"
[[buildpack.licenses]]
type = "MIT"
[[targets]]
os = "linux"
"""


@pytest.fixture
def buildpack(tmp_path):
    """Make a directory of a buildpack: ``toml`` instead of its descriptor, ``files`` by name, programs in ``bin``."""

    def make(buildpack_id="me/one", *, toml=None, under="", **files):
        root = tmp_path / under / buildpack_id.replace("/", "_")
        (root / "bin").mkdir(parents=True)
        (root / "buildpack.toml").write_text(TOML.format(id=buildpack_id) if toml is None else toml)
        for name in ("detect", "build"):
            (root / "bin" / name).write_text("#!/bin/sh\n:\n")
            (root / "bin" / name).chmod(0o755)
        for name, text in files.items():
            (root / name).write_text(text)
        return root

    return make


@pytest.fixture
def composite(tmp_path):
    """Make a directory of a buildpack that is of others."""

    def make(buildpack_id, *names):
        root = tmp_path / buildpack_id.replace("/", "_")
        root.mkdir()
        rows = "".join(
            f'[[order.group]]\nid = "{name}"\nversion = "{version}"\n'
            for name, _, version in (name.partition("@") for name in names)
        )
        text = f'api = "0.10"\n[buildpack]\nid = "{buildpack_id}"\nversion = "1.0.0"\n[[order]]\n{rows}'
        (root / "buildpack.toml").write_text(text)
        return root

    return make
