"""The file between builder and exporter: whatever is in its place, a build only loses keys."""

import os

import pytest

from lifecycle.files.observed_steps import FILE_NAME, load_observed, remove_observed, save_observed
from lifecycle.model.observed_step import ObservedStep, dumps
from lifecycle.oci.digest import digest_of

DIGEST = digest_of(b"")
STEP = ObservedStep(
    buildpack_id="a/b", version="1", fields={}, environment=DIGEST, environment_after=DIGEST, app_after=None
)


def test_what_was_saved_is_loaded_and_gone_when_it_is_removed(tmp_path, caplog):
    save_observed(tmp_path, (STEP,))
    assert load_observed(tmp_path) == (STEP,)
    remove_observed(tmp_path)
    remove_observed(tmp_path)
    assert load_observed(tmp_path) == ()
    assert not caplog.records


def _pipe(path):
    os.mkfifo(path)


def _huge(path):
    with path.open("wb") as file:
        file.truncate(17 * 1024 * 1024)


@pytest.mark.parametrize(
    "put",
    [
        _pipe,
        _huge,
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.write_text("{"),
        lambda path: path.write_bytes(dumps((STEP,)).replace(b'"fields":{}', b'"fields":[]')),
    ],
    ids=["pipe", "huge", "directory", "link", "nonsense", "list"],
)
def test_anything_else_in_its_place_is_a_warning(tmp_path, caplog, put):
    put(tmp_path / FILE_NAME)
    assert load_observed(tmp_path) == ()
    assert "Not using what the build saw of its steps" in caplog.text


def test_a_file_that_can_not_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / FILE_NAME / "in the way").mkdir(parents=True)
    save_observed(tmp_path, (STEP,))
    assert "have no keys" in caplog.text
