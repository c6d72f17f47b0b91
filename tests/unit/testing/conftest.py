"""What tests of the fixtures share."""

from __future__ import annotations

import pytest

TOML = 'api = "{api}"\n[buildpack]\nid = "{id}"\nversion = "1.2.3"\n[[targets]]\nos = "linux"\n'


@pytest.fixture
def made(tmp_path):
    """`made(id, detect=, build=)` writes a buildpack of scripts that begin with their own first line."""

    def make(buildpack_id="test/made", *, detect="#!/bin/sh\n", build="#!/bin/sh\n", api="0.10", more=""):
        root = tmp_path / buildpack_id.replace("/", "_")
        (root / "bin").mkdir(parents=True)
        (root / "buildpack.toml").write_text(TOML.format(api=api, id=buildpack_id) + more)
        for name, text in (("detect", detect), ("build", build)):
            (root / "bin" / name).write_text(text)
            (root / "bin" / name).chmod(0o755)
        return root

    return make
