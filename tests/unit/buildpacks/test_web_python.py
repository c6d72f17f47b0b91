"""The composite buildpack of the sample app."""

from __future__ import annotations

import tomllib

from lifecycle.model.descriptor import BuildpackDescriptor


def test_the_composite_buildpack_names_our_buildpacks_as_they_are(ours):
    descriptors = {
        path.name: BuildpackDescriptor.model_validate(tomllib.loads((path / "buildpack.toml").read_text()))
        for path in ours.iterdir()
        if (path / "buildpack.toml").exists()
    }
    assert set(descriptors) >= {"procfile", "python-pip", "web-python"}
    [group] = descriptors["web-python"].order
    assert [(element.id, element.version, element.optional) for element in group.group] == [
        (descriptors[name].buildpack.id, descriptors[name].buildpack.version, optional)
        for name, optional in (("python-pip", True), ("procfile", False))
    ]
