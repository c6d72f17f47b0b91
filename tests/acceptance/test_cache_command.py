"""``lifecycle cache`` and ``lifecycle build --cache-from`` as a person uses them."""

import fcntl
import json
import os
import re
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
APP = FIXTURES / "apps" / "plain"
BUILDPACK = FIXTURES / "buildpacks" / "kept-layers"
WEEK = 7 * 86400


@pytest.fixture
def build(lifecycle, tmp_path):
    def run(*arguments, output="image", **keywords):
        return lifecycle("build", APP, "-b", BUILDPACK, "-t", "app", "-o", tmp_path / output, *arguments, **keywords)

    return run


def image_id(done):
    return done.stdout.split("image id  ")[1].strip()


def test_a_layout_of_another_build_saves_the_work(build, tmp_path):
    first = build()
    second = build("--cache-from", tmp_path / "image", "--cache-from", tmp_path / "none", output="two", home="empty")
    assert image_id(first) == image_id(second)
    assert re.search(
        rf"CACHED test/kept-layers:kept from #1 {tmp_path}/image@sha256:[0-9a-f]{{12}} \(hint, \d+ B: launch\+cache",
        second.stderr,
    )
    assert "KEPT test/kept-layers:launched from #1" in second.stderr
    assert "warning: Cache source #2" in second.stderr
    assert "kept: contents came back" in second.stderr
    assert "launched: metadata came back" in second.stderr


def test_sources_come_from_the_environment_too_and_json_has_their_fate(build, tmp_path):
    build()
    report = tmp_path / "report.json"
    given = {"CNB_CACHE_FROM": f"{tmp_path / 'none'}\n{tmp_path / 'image'}\n"}
    done = build("--json", "--cache-report", report, output="two", home="empty", **given)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    sources = [each["source"]["status"] for each in events if each["event"] == "cache-source"]
    assert sources[:2] == ["missing", "ok"]
    restored = {each["layer"]: each["cache"]["source"] for each in events if each["event"] == "restore"}
    assert restored == {"test/kept-layers:kept": 2, "test/kept-layers:launched": 2}
    rows = json.loads(report.read_text())["cache"]["layer"]
    assert {row["layer"]: row["action"] for row in rows} == {"kept": "restored", "launched": "mounted"}


def test_a_value_that_can_not_be_meant_is_said_plainly(build):
    done = build("--cache-from", "type=s3,bucket=b", check=False)
    assert done.returncode == 3
    assert "has the type 's3'" in done.stderr
    assert "Traceback" not in done.stderr


def test_inspect_shows_what_each_cache_is_and_holds(build, lifecycle, tmp_path):
    build("--cache-dir", tmp_path / "cache")
    done = lifecycle("cache", "inspect", tmp_path / "image", tmp_path / "cache", tmp_path / "none", check=False)
    assert done.returncode == 1
    assert re.search(r"#1 \S+image@sha256:[0-9a-f]{12}  app image, ", done.stdout)
    assert re.search(r"     kept +launch\+cache +\d+ B  sha256:[0-9a-f]{12}", done.stdout)
    assert re.search(r"#2 \S+cache  volume, ", done.stdout)
    assert re.search(r"     tools +build\+cache ", done.stdout)
    assert "#3 " in done.stdout
    assert "missing: is not there" in done.stdout
    value = json.loads(lifecycle("cache", "inspect", "--json", tmp_path / "cache").stdout)
    (source,) = value["sources"]
    assert (source["kind"], source["status"]) == ("volume", "ok")
    assert {layer["name"] for layer in source["steps"][0]["layers"]} == {"kept", "tools"}


def test_explain_says_what_would_come_from_where_and_why_not_the_rest(build, lifecycle, tmp_path):
    build()
    own = lifecycle("cache", "explain", "--app", APP).stdout
    assert "contents  tools: cache=true, launch=false" in own
    assert "metadata  launched: " in own
    named = lifecycle("cache", "explain", "--app", APP, tmp_path / "none", tmp_path / "image").stdout
    assert "#1 " in named
    assert re.search(r"test/kept-layers \S+  from #2 \S+image@sha256", named)
    assert "contents  kept: launch+cache" in named
    assert "nothing   tools: #2, from which the others come, does not know it" in named
    value = json.loads(lifecycle("cache", "explain", "--json", "--app", APP, tmp_path / "image").stdout)
    assert {row["layer"]: row["restored"] for row in value["buildpacks"][0]["layers"]} == {
        "kept": "contents", "launched": "metadata", "tools": "nothing",
    }  # fmt: skip
    unknown = lifecycle("cache", "explain", "--app", tmp_path, check=False)
    assert unknown.returncode == 1
    assert "was not built here yet" in unknown.stderr


def test_diff_names_what_only_one_cache_has(build, lifecycle, tmp_path):
    build("--cache-dir", tmp_path / "cache")
    same = lifecycle("cache", "diff", tmp_path / "cache", tmp_path / "cache")
    assert (same.returncode, same.stdout.strip()) == (0, "")
    other = lifecycle("cache", "diff", tmp_path / "cache", tmp_path / "image", check=False)
    assert other.returncode == 1
    assert other.stdout.splitlines() == [
        "only in the second test/kept-layers:launched",
        "only in the first  test/kept-layers:tools",
    ]
    none = lifecycle("cache", "diff", tmp_path / "cache", tmp_path / "none", check=False)
    assert "none: missing: is not there" in none.stderr


def keep(lifecycle):
    return json.loads(lifecycle("cache", "du", "--json").stdout)["kept"]


@pytest.fixture
def kept(lifecycle):
    """Let two apps be built, and everything of the first be a week old; return what is kept."""
    lifecycle("build", APP, "-b", BUILDPACK, "-t", "old")
    for row in keep(lifecycle):
        for path in (Path(row["path"]), *Path(row["path"]).rglob("*")):
            then = path.lstat().st_mtime - WEEK
            os.utime(path, (then, then), follow_symlinks=False)
    lifecycle("build", FIXTURES / "apps" / "bash-script", "-b", BUILDPACK, "-t", "new")
    return keep(lifecycle)


def kinds(rows):
    return sorted((row["kind"], row["age"] >= WEEK) for row in rows)


ALL = [(kind, old) for kind in ("build", "cache", "image") for old in (False, True)]


def test_du_lists_caches_images_and_builds_with_size_and_age(lifecycle, kept):
    assert kinds(kept) == ALL
    assert all(row["size"] > 0 and Path(row["path"]).is_dir() for row in kept)
    text = lifecycle("cache", "du").stdout
    assert re.search(r"cache  plain-\w+ +\S+ kB  7 d", text)
    assert text.endswith(" in all\n")


def test_a_cache_that_no_build_has_written_yet_is_as_old_as_its_directory(lifecycle, kept):
    (cache,) = (Path(row["path"]) for row in kept if row["kind"] == "cache" and row["age"] < WEEK)
    (cache.parent / "begun").mkdir()
    (begun,) = (row for row in keep(lifecycle) if row["path"] == str(cache.parent / "begun"))
    assert begun["age"] < WEEK
    lifecycle("cache", "prune", "--older-than", "3d")
    assert (cache.parent / "begun").is_dir()


def test_prune_removes_what_it_said_it_would(lifecycle, kept):
    dry = json.loads(lifecycle("cache", "prune", "--older-than", "3d", "--dry-run", "--json").stdout)
    assert keep(lifecycle) != []
    assert kinds(keep(lifecycle)) == ALL
    done = json.loads(lifecycle("cache", "prune", "--older-than", "3d", "--json").stdout)
    assert {row["path"] for row in done["deleted"]} == {row["path"] for row in dry["deleted"]}
    assert kinds(done["deleted"]) == [("build", True), ("cache", True), ("image", True)]
    assert kinds(keep(lifecycle)) == kinds(done["kept"]) == [("build", False), ("cache", False), ("image", False)]
    assert not any(Path(row["path"]).exists() for row in done["deleted"])


def test_prune_keeps_no_more_than_a_size_and_the_latest_first(lifecycle, kept):
    limit = sum(row["size"] for row in kept if row["age"] < WEEK) + 10
    assert lifecycle("cache", "prune", "--max-size", str(limit), "-n").stdout.count("would remove") == 3
    assert "freed" in lifecycle("cache", "prune", "--max-size", str(limit)).stdout
    assert kinds(keep(lifecycle)) == [("build", False), ("cache", False), ("image", False)]
    lifecycle("cache", "prune", "--all")
    assert keep(lifecycle) == []


def test_prune_leaves_what_a_process_holds(lifecycle, kept):
    build = next(row for row in kept if row["kind"] == "build" and row["age"] >= WEEK)
    with (Path(build["path"]) / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        done = lifecycle("cache", "prune", "--all", check=False)
        assert done.returncode == 1
        assert "in use, kept  build" in done.stdout
        assert [row["path"] for row in keep(lifecycle)] == [build["path"]]
    assert lifecycle("cache", "prune", "--all").returncode == 0


@pytest.mark.parametrize("arguments", [[], ["--older-than", "soon"], ["--max-size", "much"]])
def test_prune_asks_for_a_limit_that_can_be_understood(lifecycle, arguments):
    done = lifecycle("cache", "prune", *arguments, check=False)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
