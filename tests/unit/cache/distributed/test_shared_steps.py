"""What one step leaves: published, taken over, or left as it was."""

import os
import signal
from dataclasses import replace

import pytest

from lifecycle.cache.distributed.file_repository import FileRepository
from lifecycle.cache.distributed.model import Fate, FinishedStep
from lifecycle.cache.distributed.own_step import LayerPlaces
from lifecycle.cache.distributed.shared_steps import ConvergingSteps
from lifecycle.cache.distributed.tags import Closed, Decided, Stored
from lifecycle.cache.distributed.usage import begin_lease
from lifecycle.cache.sources.distributed import open_distributed
from lifecycle.errors import CacheError
from lifecycle.images.store import ReusedLayer
from lifecycle.layers.blob import write_blob
from lifecycle.model.cached_step import StepFacts
from lifecycle.model.group import GroupElement
from lifecycle.model.step_record import FIELDS, step_key
from lifecycle.oci.digest import digest_of

INPUTS = {name: digest_of(name.encode()) for name in FIELDS}
KEY = step_key(INPUTS)


class Builder:
    """One builder's layers directory, which every builder calls the same in images."""

    def __init__(self, root, name, repository):
        self.layers = root / name / "layers"
        self.directory = self.layers / "a_b"
        self.directory.mkdir(parents=True)
        self.steps = ConvergingSteps(
            repository,
            LayerPlaces(
                layers_dir=self.layers,
                image_layers_dir=root / "layers",
                uid=1,
                gid=2,
                normalise_ancestors=True,
            ),
            root,
        )

    def write(self, path, text, mode=0o644):
        path = self.directory / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def layer(self, name, text, types="launch = true", metadata=""):
        self.write(f"{name}/file", text)
        self.write(f"{name}.toml", f"[types]\n{types}\n{metadata}")

    def tree(self):
        return {
            path.relative_to(self.directory).as_posix(): path.read_text()
            for path in sorted(self.directory.rglob("*"))
            if path.is_file()
        }

    def step(self, **changes):
        step = FinishedStep(
            buildpack=GroupElement(id="a/b", version="1", api="0.10"),
            directory=self.directory,
            key=KEY,
            inputs=INPUTS,
            environment={"PATH": "/bin"},
            app_after=digest_of(b"app"),
            facts=StepFacts(os="linux"),
        )
        return replace(step, **changes)

    def settle(self, **changes):
        return self.steps.settle(self.step(**changes))


@pytest.fixture
def repository(tmp_path):
    return FileRepository(tmp_path / "shared")


@pytest.fixture
def pair(tmp_path, repository):
    return Builder(tmp_path, "one", repository), Builder(tmp_path, "other", repository)


def test_everything_of_the_winner_is_taken_over_and_caches_stay(pair):
    one, other = pair
    for builder, text in ((one, "one"), (other, "other")):
        builder.layer("both", text, "build = true\nlaunch = true", f'[metadata]\nof = "{text}"\nat = 1979-05-27')
        builder.write("both/bin/run", "same", 0o755)
        builder.layer("own", f"cache of {text}", "cache = true")
        builder.write("own.sbom.cdx.json", f"sbom of cache of {text}")
        builder.write("both.sbom.cdx.json", f"sbom of {text}")
        builder.write("launch.sbom.cdx.json", f"launch sbom of {text}")
        builder.write("launch.toml", f'[[labels]]\nkey = "k"\nvalue = "{text}"\n')
        builder.write("store.toml", f'[metadata]\nof = "{text}"\n')
    other.layer("more", "only here")
    (one.directory / "both" / "link").symlink_to("file")
    assert one.settle().fate is Fate.WON
    settled = other.settle()
    assert settled.fate is Fate.ADOPTED
    assert settled.differing == (
        "both.sbom.cdx.json", "both.toml", "both/file", "both/link", "launch.sbom.cdx.json", "launch.toml", "more",
        "more.toml", "store.toml",
    )  # fmt: skip
    tree = other.tree()
    assert tree["both/file"] == "one"
    assert tree["own/file"] == "cache of other"
    assert tree["own.sbom.cdx.json"] == "sbom of cache of other"
    assert "more/file" not in tree
    assert 'value = "one"' in tree["launch.toml"]
    assert "1979-05-27" in tree["both.toml"]
    assert (other.directory / "both" / "link").is_symlink()
    assert os.access(other.directory / "both" / "bin" / "run", os.X_OK)
    assert not [path.name for path in other.layers.iterdir() if path.name != "a_b"]
    assert other.steps.read(other.step()).layers == one.steps.read(one.step()).layers


def test_what_a_builder_that_was_killed_while_it_took_over_left_goes_with_the_next(pair):
    one, other = pair
    one.layer("a", "one")
    other.layer("a", "other")
    assert one.settle().fate is Fate.WON
    child = os.fork()
    if child == 0:
        try:
            replace(other.steps, on_replace=lambda: os.kill(os.getpid(), signal.SIGKILL)).settle(other.step())
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert list(other.layers.iterdir()) != [other.directory]
    assert other.settle().fate is Fate.ADOPTED
    assert list(other.layers.iterdir()) == [other.directory]


def test_equal_outputs_are_known_whatever_their_times(pair):
    one, other = pair
    for builder in pair:
        builder.layer("made", "same")
    os.utime(other.directory / "made" / "file", (1, 1))
    assert (one.settle().fate, other.settle().fate) == (Fate.WON, Fate.KNOWN)


def test_a_launch_layer_that_only_an_image_has_is_published_from_there(tmp_path, pair):
    one, other = pair
    one.layer("made", "same")
    blob = write_blob(one.steps.places.source(one.directory / "made"), tmp_path)

    class Image:
        name = "previous"

        def layer(self, diff_id):
            return blob.uncompressed()

    reused = {"made": ReusedLayer(Image(), blob.diff_id)}
    (one.directory / "made").rename(tmp_path / "away")
    assert one.settle(reused=reused).fate is Fate.WON
    other.layer("made", "different")
    assert other.settle().fate is Fate.ADOPTED
    assert other.tree()["made/file"] == "same"


def test_a_launch_layer_that_is_nowhere_is_told(pair):
    one, _ = pair
    one.write("made.toml", "[types]\nlaunch = true\n")
    with pytest.raises(CacheError, match="no image is known to have"):
        one.settle()


def test_a_record_of_another_key_is_broken_and_closed(pair, repository):
    one, other = pair
    one.layer("made", "one")
    wrong = INPUTS | {"app": digest_of(b"another app")}
    foreign = one.settle(key=step_key(wrong), inputs=wrong)
    repository.log.append(Decided(KEY, 0, foreign.digest).name)
    other.layer("made", "other")
    settled = other.settle()
    assert (settled.fate, settled.generation) == (Fate.WON, 1)
    assert Closed(KEY, 0).name in repository.log.names()
    assert other.tree()["made/file"] == "other"


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:-1] + b"\1", lambda data: b""])
def test_broken_bytes_leave_our_own_outputs_and_begin_a_generation(tmp_path, pair, damage):
    one, other = pair
    one.layer("made", "one")
    one.settle()
    for path in (tmp_path / "shared" / "blobs" / "sha256").iterdir():
        if (data := path.read_bytes()).startswith(b"\x1f\x8b"):
            path.write_bytes(damage(data))
    other.layer("made", "other")
    settled = other.settle()
    assert (settled.fate, settled.generation) == (Fate.WON, 1)
    assert other.tree()["made/file"] == "other"
    assert not [path.name for path in other.layers.iterdir() if path.name != "a_b"]


def test_a_builder_that_makes_other_layers_of_the_same_files_closes_nothing(pair, repository):
    one, other = pair
    one.layer("made", "one")
    one.settle()
    other.layer("made", "other")
    other.steps = replace(other.steps, places=replace(other.steps.places, uid=9))
    before = other.tree()
    with pytest.raises(CacheError, match="directories above it or file systems differ"):
        other.settle()
    assert other.tree() == before
    assert Closed(KEY, 0).name not in repository.log.names()


def test_another_app_directory_leaves_everything_as_it_was(pair):
    one, other = pair
    for builder in pair:
        builder.layer("made", str(builder.layers))
    one.settle()
    before = other.tree()
    with pytest.raises(CacheError, match="app directory"):
        other.settle(app_after=digest_of(b"changed app"))
    assert other.tree() == before


def test_a_record_that_was_deleted_while_a_build_relied_on_it_costs_time_and_no_more(pair, repository):
    one, other = pair
    one.layer("made", "one")
    first = one.settle()
    other.steps = replace(other.steps, lease=begin_lease(repository.log))
    repository.log.remove(Stored(first.digest).name)
    (repository._blobs / first.digest.removeprefix("sha256:")).unlink()
    other.layer("made", "other")
    settled = other.settle()
    assert (settled.fate, settled.generation) == (Fate.WON, 1)
    assert other.tree()["made/file"] == "other"


def test_a_record_that_another_user_blew_up_is_replaced_by_our_own(pair, repository, caplog):
    one, other = pair
    one.layer("made", "one")
    with (repository._blobs / one.settle().digest.removeprefix("sha256:")).open("r+b") as file:
        file.truncate(1 << 40)
    other.layer("made", "other")
    settled = other.settle()
    assert (settled.fate, settled.generation) == (Fate.WON, 1)
    assert "has a manifest of more than" in caplog.text


def test_builds_of_one_time_use_one_record_although_it_was_closed_meanwhile(pair, repository):
    one, other = pair
    one.layer("made", "one")
    first = one.settle()
    other.steps = replace(other.steps, lease=begin_lease(repository.log))
    repository.log.append(Closed(KEY, 0).name)
    other.layer("made", "other")
    settled = other.settle()
    assert (settled.fate, settled.digest, settled.generation) == (Fate.ADOPTED, first.digest, 0)


def test_a_source_sees_what_was_there_when_it_was_opened(pair, repository):
    one, _ = pair
    one.layer("made", "one", "launch = true\ncache = true")
    early = open_distributed(repository)
    settled = one.settle()
    late = open_distributed(repository)
    assert not early.steps()
    assert early.records().get(KEY) is None
    (step,) = late.steps()
    assert (step.key, step.record) == (KEY, settled.digest)
    assert late.records()[KEY] == settled.record
    (layer,) = step.layers
    assert late.has(layer.diff_id)
    assert b"one" in b"".join(late.layer(layer.diff_id))
    assert early.digest != late.digest


def test_a_buildpack_that_is_known_here_is_offered_by_exact_keys_only(pair, repository):
    one, _ = pair
    one.layer("made", "one", "launch = true\ncache = true")
    one.settle()
    source = open_distributed(repository)
    source.known_here = frozenset({"a/b"})
    assert not source.steps()
    assert source.records().get(KEY) is not None
    assert len(source.steps()) == 1


def test_who_lists_the_records_of_a_source_does_not_ask_for_their_steps(pair, repository):
    """Keys of steps are explained by the records of other commits, which stay hints: own layers come before them."""
    one, _ = pair
    one.layer("made", "one", "launch = true\ncache = true")
    one.layer("with-sbom", "one")
    one.write("with-sbom.sbom.cdx.json", "{}")
    settled = one.settle()
    source = open_distributed(repository)
    assert list(source.records().items()) == [(KEY, settled.record)]
    (hint,) = source.steps()
    assert [layer.name for layer in hint.layers] == ["made"]
    source.known_here = frozenset({"a/b"})
    assert not source.steps()


def test_layers_that_buildpacks_do_not_expect_are_not_offered_to_be_unpacked(pair, repository):
    one, _ = pair
    one.layer("built", "one", "build = true")
    one.layer("launched", "one")
    one.write("launched.sbom.cdx.json", "{}")
    one.settle()
    (step,) = open_distributed(repository).steps()
    assert {layer.name: layer.has_contents for layer in step.layers} == {"built": False}


def test_a_source_lists_the_same_records_that_it_gives_whatever_fails_meanwhile(pair, repository, monkeypatch):
    """What could not be read once, or is the newest of its buildpack and closed by now, is not there."""
    one, _ = pair
    one.layer("made", "one", "launch = true\ncache = true")
    settled = one.settle()
    record, failures = repository.record, [CacheError("is out of reach")]

    def failing(digest):
        if failures:
            raise failures.pop()
        return record(digest)

    monkeypatch.setattr(repository, "record", failing)
    source = open_distributed(repository)
    assert KEY not in source.records()
    assert dict(source.records()) == {}
    assert source.steps() == ()
    found = open_distributed(repository)
    assert dict(found.records()) == {KEY: settled.record}
    repository.log.append(Closed(KEY, 0).name)
    closed = open_distributed(repository)
    assert dict(closed.records()) == {}
    diff_id = settled.record.layers[0].diff_id
    assert not closed.has(diff_id)
    closed.remember(settled.digest, KEY)
    assert closed.has(diff_id)
