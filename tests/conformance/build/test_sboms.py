"""SBOM files of buildpacks are validated and collected."""

from __future__ import annotations

import pytest

from lifecycle.errors import BuildError
from lifecycle.model.api import PLATFORM_APIS, PlatformApi

LEGACY = ["build/sbom.legacy.json", "launch/sbom.legacy.json"]


def collected(builder) -> list[str]:
    return [name for name in builder.tree("sbom") if name not in LEGACY]


@pytest.mark.requirement("BP-SBOM-001", "BP-SBOM-002", "BP-SBOM-003", "BP-SBOM-004", "BP-BLD-008")
@pytest.mark.requirement("PLAT-EXP-040", "PLAT-EXP-041", "PLAT-EXP-066", "PLAT-EXP-067")
@pytest.mark.requirement("PLAT-EXP-042", "PLAT-EXP-068")  # differ in the one Platform API that they are of
@pytest.mark.parametrize("api", PLATFORM_APIS, ids=str)
@pytest.mark.parametrize("extension", ["cdx", "spdx", "syft"])
def test_files_go_to_launch_build_and_cache_from_platform_api_0_8(builder, api, extension, sbom_formats):
    script = "layer run launch; layer both 'launch cache'; layer tool build; layer kept cache; layer junk ''\n"
    names = ("launch", "build", "run", "both", "tool", "kept", "junk", "unknown")
    script += f'for n in {" ".join(names)}; do printf %s $n > "$L/$n.sbom.{extension}.json"; done'
    builder.buildpack("a/b", script, toml=sbom_formats)
    builder.build(api=PlatformApi(api))
    places = {
        "build/a_b": "build",
        "build/a_b/junk": "junk",
        "build/a_b/kept": "kept",
        "build/a_b/tool": "tool",
        "cache/a_b/both": "both",
        "cache/a_b/kept": "kept",
        "launch/a_b": "launch",
        "launch/a_b/both": "both",
        "launch/a_b/run": "run",
    }
    found = {file: (builder.layers_dir / "sbom" / file).read_text() for file in collected(builder)}
    expected = {f"{place}/sbom.{extension}.json": owner for place, owner in places.items()}
    assert found == (expected if api.minor >= 8 else {})


@pytest.mark.requirement("BP-SBOM-003", "BP-SBOM-004")
def test_what_counts_is_how_a_file_is_at_the_end_of_its_buildpack(builder, sbom_formats):
    builder.buildpack("a/1", 'echo first > "$L/launch.sbom.cdx.json"', toml=sbom_formats)
    builder.buildpack("b/2", 'echo changed > "$L/../a_1/launch.sbom.cdx.json"')
    builder.build()
    assert (builder.layers_dir / "sbom/launch/a_1/sbom.cdx.json").read_text() == "first\n"


@pytest.mark.requirement("BP-SBOM-005")
@pytest.mark.parametrize(
    ("formats", "accepted"),
    [
        ("['application/vnd.cyclonedx+json']", True),
        ("['application/vnd.cyclonedx+json;version=1.4']", True),
        ("['Application/Vnd.CycloneDX+JSON']", True),
        ("['application/spdx+json']", False),
        ("[]", False),
    ],
)
def test_only_declared_kinds_are_accepted(builder, formats, accepted):
    builder.buildpack("a/b", 'echo > "$L/launch.sbom.cdx.json"', toml=f"sbom-formats = {formats}")
    if accepted:
        builder.build()
        assert collected(builder) == ["launch/a_b/sbom.cdx.json"]
        return
    path = builder.layers_dir / "a_b" / "launch.sbom.cdx.json"
    with pytest.raises(BuildError) as failure:
        builder.build()
    assert str(failure.value).startswith(
        f"validating SBOM file '{path}' for buildpack: 'a/b@1': "
        "undeclared SBOM media type: 'application/vnd.cyclonedx+json'"
    )


@pytest.mark.parametrize("name", ["launch.sbom.xml.json", "build.sbom.cdx.x.json", "x.sbom.a.b.json"])
def test_files_of_other_kinds_are_refused(builder, name, sbom_formats):
    builder.buildpack("a/b", f'layer x launch; echo > "$L/{name}"', toml=sbom_formats)
    with pytest.raises(BuildError) as failure:
        builder.build()
    assert str(failure.value).startswith(f"unsupported SBOM file format: '{builder.layers_dir / 'a_b' / name}'")


@pytest.mark.parametrize("name", ["launch.sbom.json", "sbom.cdx.json", "unknown.sbom.xml.json", "launch.cdx.json"])
def test_other_names_are_no_business_of_ours(builder, name):
    builder.buildpack("a/b", f'echo > "$L/{name}"')
    builder.build()
    assert collected(builder) == []


def test_a_link_within_the_layers_counts_as_the_file(builder, sbom_formats):
    builder.buildpack(
        "a/b", 'layer x launch; echo inside > "$L/x/bom"; ln -s x/bom "$L/x.sbom.cdx.json"', toml=sbom_formats
    )
    builder.build()
    copy = builder.layers_dir / "sbom/launch/a_b/x/sbom.cdx.json"
    assert copy.read_text() == "inside\n"
    assert not copy.is_symlink()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('ln -s /etc/passwd "$L/launch.sbom.cdx.json"', "is a link to /etc/passwd, which is outside"),
        ('mkdir "$L/launch.sbom.cdx.json"', "launch.sbom.cdx.json: is not a file"),
        ('mkfifo "$L/launch.sbom.cdx.json"', "launch.sbom.cdx.json: is not a file"),
        ('ln -s none "$L/launch.sbom.cdx.json"', "launch.sbom.cdx.json: can't be read: No such file"),
        ('ln -s launch.sbom.cdx.json "$L/launch.sbom.cdx.json"', "launch.sbom.cdx.json: "),
    ],
)
def test_what_is_no_file_of_the_buildpack_is_refused(builder, script, problem, sbom_formats):
    builder.buildpack("a/b", script, toml=sbom_formats)
    with pytest.raises(BuildError) as failure:
        builder.build()
    assert problem in str(failure.value)
    assert collected(builder) == []


@pytest.mark.parametrize("link", ["sbom", "sbom/launch", "sbom/launch/a_b", "sbom/launch/a_b/x"])
def test_nothing_is_written_through_links_of_buildpacks(builder, link, sbom_formats):
    outside = builder.root / "outside"
    outside.mkdir()
    builder.buildpack(
        "a/b",
        f"""mkdir -p "$L/../$(dirname {link})"; ln -s '{outside}' "$L/../{link}"
        layer x launch; echo > "$L/x.sbom.cdx.json"
        """,
        toml=sbom_formats,
    )
    with pytest.raises(BuildError, match=f"{link}: is not a directory"):
        builder.build()
    assert list(outside.iterdir()) == []


def test_a_file_in_the_way_is_replaced_and_never_written_through(builder, sbom_formats):
    outside = builder.root / "outside"
    outside.write_text("precious")
    builder.buildpack(
        "a/b",
        f"""for d in launch/a_b build; do mkdir -p "$L/../sbom/$d"; done
        ln -s '{outside}' "$L/../sbom/launch/a_b/sbom.cdx.json"
        ln -s '{outside}' "$L/../sbom/build/sbom.legacy.json"
        echo new > "$L/launch.sbom.cdx.json"
        """,
        toml=sbom_formats,
    )
    builder.build()
    assert outside.read_text() == "precious"
    assert (builder.layers_dir / "sbom/launch/a_b/sbom.cdx.json").read_text() == "new\n"


def test_a_linked_layers_directory_of_a_later_buildpack_is_refused(builder):
    outside = builder.root / "outside"
    outside.mkdir()
    builder.buildpack("a/1", f'ln -s "{outside}" "$L/../b_2"')
    builder.buildpack("b/2", 'touch "$L/written"')
    with pytest.raises(BuildError, match="b_2: is not a directory"):
        builder.build()
    assert list(outside.iterdir()) == []


def test_a_linked_sbom_directory_of_an_earlier_build_is_only_unlinked(builder):
    outside = builder.root / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    builder.layers_dir.mkdir()
    (builder.layers_dir / "sbom").symlink_to(outside)
    builder.buildpack("a/b")
    builder.build()
    assert [path.name for path in outside.iterdir()] == ["precious"]
