"""The buildpack apt, with a repository of packages that the tests make."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnb_buildpack as bp
from debian_packages.archives import Archive, read_uris
from debian_packages.base import minimal_status
from debian_packages.install import relink

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="apt and dpkg are not installed"
)


@pytest.fixture(scope="module")
def new_package(tmp_path_factory):
    """Put a package with one program into a repository."""
    root = tmp_path_factory.mktemp("repository")

    def make(name, version="1.0", depends=""):
        tree = root / "trees" / f"{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        for directory in ("bin", "sbin", "lib", "include"):
            (tree / "usr" / directory).mkdir(parents=True)
        program = tree / "usr" / "bin" / name
        program.write_text(f"#!/bin/sh\necho {name} {version}\n")
        program.chmod(0o755)
        fields = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: me <me@example.com>\n"
        fields += f"Description: {name}\n" + (f"Depends: {depends}\n" if depends else "")
        (tree / "DEBIAN" / "control").write_text(fields)
        deb = root / f"{name}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, deb], check=True, capture_output=True)
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        stanza = f"{fields}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n"
        with (root / "Packages").open("a") as file:
            file.write(stanza)
        return root

    return make


@pytest.fixture(scope="module")
def repository(new_package):
    new_package("cnb-hello", depends="cnb-greeting")
    new_package("cnb-greeting")
    return new_package("cnb-other")


@pytest.fixture
def debian(workspace, repository, tmp_path):
    """A workspace whose apt knows the repository alone."""
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] copy:{repository} ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
    )
    workspace.env["APT_CONFIG"] = str(tmp_path / "apt.conf")
    (workspace.platform / "env").mkdir(exist_ok=True)
    return workspace


def restored(workspace):
    """Leave of a build what a lifecycle brings back: layers without types."""
    for path in workspace.layers.glob("*.toml"):
        table = tomllib.loads(path.read_text())
        if path.name == "launch.toml":
            path.unlink()
        else:
            bp.write_toml(path, {"metadata": table.get("metadata")})


def test_an_app_with_an_aptfile_passes_detection(workspace, ours):
    assert workspace.detect(ours / "apt").returncode == 100
    (workspace.app / "Aptfile").write_text("tree\n")
    assert workspace.detect(ours / "apt").returncode == 0


def test_packages_and_what_they_depend_on_come_into_the_layer(debian, ours):
    (debian.app / "Aptfile").write_text("# a comment\ncnb-hello  # and another\n")
    built = debian.build(ours / "apt")
    assert (built.returncode, built.stderr) == (0, "")
    layer = debian.layers / "packages"
    assert sorted(path.name for path in (layer / "usr" / "bin").iterdir()) == ["cnb-greeting", "cnb-hello"]
    usr = layer / "usr"
    assert (layer / "env" / "PATH.prepend").read_text() == f"{usr}/bin:{usr}/sbin"
    assert (layer / "env" / "LD_LIBRARY_PATH.prepend").read_text() == f"{usr}/lib"
    assert (layer / "env.build" / "CPATH.prepend").read_text() == f"{usr}/include"
    table = tomllib.loads((debian.layers / "packages.toml").read_text())
    assert table["types"] == {"launch": True, "build": True, "cache": True}
    assert [each.split()[:2] for each in table["metadata"]["archives"]] == [
        ["cnb-greeting", "1.0"],
        ["cnb-hello", "1.0"],
    ]
    assert "pkg:deb/" in (debian.layers / "packages.sbom.cdx.json").read_text()


def test_repositories_on_this_machine_are_read_in_place(debian, ours, repository, tmp_path):
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (debian.app / "Aptfile").write_text("cnb-other\n")
    built = debian.build(ours / "apt")
    assert built.returncode == 0, built.stderr
    assert (debian.layers / "packages" / "usr" / "bin" / "cnb-other").is_file()
    assert (repository / "cnb-other_1.0_all.deb").is_file()


def test_a_second_build_asks_apt_for_nothing(debian, ours, tmp_path):
    (debian.app / "Aptfile").write_text("cnb-hello\n")
    debian.build(ours / "apt")
    before = bp.tree_digest(debian.layers / "packages")
    restored(debian)
    (tmp_path / "sources.list").write_text("deb file:/nowhere ./\n")
    built = debian.build(ours / "apt")
    assert built.returncode == 0, built.stderr
    assert "Reusing layer packages" in built.stdout
    assert bp.tree_digest(debian.layers / "packages") == before


def test_other_packages_make_another_layer(debian, ours):
    (debian.app / "Aptfile").write_text("cnb-hello\n")
    debian.build(ours / "apt")
    restored(debian)
    (debian.app / "Aptfile").write_text("cnb-other\n")
    built = debian.build(ours / "apt")
    assert "Creating layer packages: packages changed" in built.stdout
    assert [path.name for path in (debian.layers / "packages" / "usr" / "bin").iterdir()] == ["cnb-other"]
    assert [path.name for path in (debian.layers / "packages-archives").glob("*.deb")] == ["cnb-other_1.0_all.deb"]


def test_new_versions_are_taken_when_they_are_asked_for(debian, ours, new_package, repository):
    new_package("cnb-news")
    (debian.app / "Aptfile").write_text("cnb-news\n")
    debian.build(ours / "apt")
    new_package("cnb-news", "2.0")
    program = debian.layers / "packages" / "usr" / "bin" / "cnb-news"
    for update, expected in (("", "cnb-news 1.0\n"), ("true", "cnb-news 2.0\n")):
        restored(debian)
        debian.env["BP_APT_UPDATE"] = update
        built = debian.build(ours / "apt")
        assert built.returncode == 0, built.stderr
        assert subprocess.check_output([program], text=True) == expected


def test_two_builds_make_the_same_layer(debian, new_workspace, ours):
    other = new_workspace("another place", umask=0o077)
    other.env |= debian.env
    digests = set()
    for each in (debian, other):
        (each.app / "Aptfile").write_text("cnb-hello\n")
        each.build(ours / "apt")
        digests.add(bp.tree_digest(each.layers / "packages" / "usr"))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("aptfile", "problem"),
    [
        ("", "Aptfile: no package in it"),
        ("one two\n", "Aptfile:1: 'one two' is no package"),
        ("--yes\n", "Aptfile:1: '--yes' is no package"),
        ("good\n../x.deb\n", "Aptfile:2:"),
        ("cnb-nowhere\n", "check the names in the Aptfile"),
    ],
)
def test_an_aptfile_that_can_not_be_used_is_told_in_one_line(debian, ours, aptfile, problem):
    (debian.app / "Aptfile").write_text(aptfile)
    built = debian.build(ours / "apt")
    assert built.returncode == 1
    assert problem in built.stderr
    assert built.stderr.count("\n") == 1
    assert not (debian.layers / "packages.toml").exists()


def test_links_to_absolute_paths_stay_in_the_layer(tmp_path):
    (tmp_path / "etc" / "java").mkdir(parents=True)
    (tmp_path / "etc" / "java" / "jvm.cfg").write_text("-server KNOWN\n")
    lib = tmp_path / "usr" / "lib"
    lib.mkdir(parents=True)
    links = {
        "jvm.cfg": "/etc/java/jvm.cfg",
        "again.cfg": "/usr/lib/jvm.cfg",
        "conf": "/etc/java",
        "relative": "../../etc/java",
        "made-by-a-script": "/etc/nowhere",
    }
    for name, target in links.items():
        (lib / name).symlink_to(target)
    relink(tmp_path)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert {path.name: str(path.readlink()) for path in (moved / "usr" / "lib").iterdir()} == {
        "jvm.cfg": "../../etc/java/jvm.cfg",
        "again.cfg": "jvm.cfg",
        "conf": "../../etc/java",
        "relative": "../../etc/java",
        "made-by-a-script": "/etc/nowhere",
    }
    assert (moved / "usr" / "lib" / "again.cfg").read_text() == "-server KNOWN\n"


def test_archives_without_a_sha256_are_refused():
    with pytest.raises(bp.BuildpackError, match=r"no SHA-256 for http://x/a\.deb;"):
        read_uris("'http://me:secret@x/a.deb' a_1_all.deb 5 MD5Sum:00\n")
    digest = "0" * 64
    assert read_uris(f"Reading\n'http://x/a.deb' a_1%3a2-1_all.deb 5 SHA256:{digest}\n") == (
        Archive("a", "1:2-1", "all", "a_1%3a2-1_all.deb", digest, "http://x/a.deb"),
    )


names = st.sampled_from(["a", "b", "c", "d", "e"])


@given(st.dictionaries(names, st.tuples(st.booleans(), st.lists(names, max_size=3))))
def test_a_minimal_status_is_closed_and_starts_with_what_is_essential(packages):
    def stanza(name, essential, depends):
        lines = [f"Package: {name}", "Status: install ok installed", *(["Essential: yes"] if essential else [])]
        return "\n".join([*lines, *([f"Depends: {', '.join(depends)}"] if depends else [])])

    text = "\n\n".join(stanza(name, *fields) for name, fields in packages.items()) + "\n"
    kept = {each.split("\n")[0].removeprefix("Package: ") for each in minimal_status(text).split("\n\n") if each}
    assert {name for name, (essential, _) in packages.items() if essential} <= kept
    for name in kept:
        assert {each for each in packages[name][1] if each in packages} <= kept
    if not any(essential for essential, _ in packages.values()):
        assert not kept


def test_packages_that_are_only_provided_or_removed_count_rightly():
    text = (
        "Package: sh\nStatus: install ok installed\nEssential: yes\nDepends: awk | busybox\n\n"
        "Package: mawk\nStatus: install ok installed\nProvides: awk (= 1), other\n\n"
        "Package: busybox\nStatus: deinstall ok config-files\n\n"
        "Package: git\nStatus: install ok installed\nPriority: optional\n"
    )
    found = minimal_status(text)
    assert "Package: mawk" in found
    assert "busybox\nStatus" not in found
    assert "git" not in found
