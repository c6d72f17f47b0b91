"""Keys that are a letter off."""

import logging
import tomllib

import pytest

from lifecycle.errors import InvalidFileError
from lifecycle.files.codec import load
from lifecycle.files.misspelled import misspelled
from lifecycle.model.analyzed import Analyzed
from lifecycle.model.descriptor import Order
from lifecycle.model.launch import Launch
from lifecycle.model.layer import LayerMetadata
from lifecycle.model.project_descriptor import ProjectDescriptor


@pytest.mark.parametrize(
    ("model", "text", "found"),
    [
        (LayerMetadata, "[types]\nlanuch = true\nBuild = true", [("types.lanuch", "launch")]),
        (LayerMetadata, "[metadata]\ntype = 1\n[typos]", [("typos", "types")]),
        (LayerMetadata, "[types]\nlaunch = true\nlaunches = 1", []),
        (Launch, '[[process]]\ntype = "web"', [("process", "processes")]),
        (Launch, '[[processes]]\ntype = "web"\n[[processes]]\ntyp = "web"', [("processes[1].typ", "type")]),
        (Order, '[[order]]\n[[order.group]]\nid = "a"\noptionl = true', [("order[0].group[0].optionl", "optional")]),
        (Analyzed, "[metadata.run-image]\ntop-layer = 1\n[metadata.run-imgae]", []),
        (Analyzed, '[[metadata.buildpacks]]\nkey = "a"\n[metadata.buildpacks.layers.lunch]\nsha = "x"', []),
        (Analyzed, "[metadata.launchr]", [("metadata.launchr", "launcher")]),
        (ProjectDescriptor, "[io.buildpacks.buidl]", [("io.buildpacks.buidl", "build")]),
        (ProjectDescriptor, '[_]\nschema-version = "0.2"\nsource-url = "x"\n[[_.licenses]]\ntype = "a"', []),
        (ProjectDescriptor, "[io.buildpacks]\ngroup = 1\n[com.example]\nany = 1", []),
    ],
)
def test_a_key_that_resembles_one_that_is_not_there_is_told(model, text, found):
    assert list(misspelled(model, tomllib.loads(text))) == found


def test_hints_are_warnings_and_the_file_is_read(tmp_path, caplog):
    path = tmp_path / "layer.toml"
    path.write_text("[types]\nlaunch = true\ncahce = true\n")
    with caplog.at_level(logging.WARNING, "lifecycle"):
        assert load(LayerMetadata, path, hints=True).types.launch
        assert load(LayerMetadata, path).types.launch
    assert caplog.messages == [f"{path}: types.cahce is no key of this file; did you mean cache?"]


def test_what_is_missing_may_be_there_under_another_name(tmp_path):
    path = tmp_path / "order.toml"
    path.write_text('[[order]]\n[[order.group]]\nidd = "a"\n')
    with pytest.raises(InvalidFileError) as caught:
        load(Order, path)
    assert str(caught.value) == (f"{path}: order[0].group[0].id is required; write id instead of order[0].group[0].idd")
