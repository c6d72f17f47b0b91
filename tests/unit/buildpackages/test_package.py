import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.buildpackages.collect import collect
from lifecycle.buildpackages.package import package_image
from lifecycle.buildpackages.read import LayerOfPackage, open_package
from lifecycle.errors import CorruptImageError, ImageError, InvalidFileError, InvalidInputError
from lifecycle.images.archive import ArchiveStore
from lifecycle.images.image_platform import ImagePlatform


def nowhere(text):
    raise AssertionError(f"{text} was opened")


def image_at(text):
    return ArchiveStore(Path(text)).find("")


@pytest.fixture
def packaged(tmp_path):
    """Write a package and return it as it is read back."""

    def write(root, name="out.cnb", config=None, **options):
        work = tmp_path / f"work-{name}"
        work.mkdir()
        collection = collect(root, config, open_image=lambda text: ArchiveStore(tmp_path / text).find(""))
        image = package_image(collection, work, platform=ImagePlatform(), **{"labels": {}, **options})
        ArchiveStore(tmp_path / name).write(image, ["latest"])
        return open_package(ArchiveStore(tmp_path / name).find(""))

    return write


def test_a_package_has_a_layer_for_each_buildpack_and_says_which(packaged, buildpack, composite, tmp_path):
    buildpack("me/one")
    buildpack("me/two")
    buildpack("me/unrelated")
    package = packaged(composite("me/both", "me/one@1.0.0", "me/two@1.0.0"), labels={"team": "web"})
    modules = {str(module): diff_id for module, diff_id in package.contents.layers}
    assert sorted(modules) == ["me/both@1.0.0", "me/one@1.0.0", "me/two@1.0.0"]
    assert set(modules.values()) == set(package.image.config.diff_ids)
    assert package.image.config.labels["team"] == "web"
    assert [str(each) for each in package.main.refers_to] == ["me/one@1.0.0", "me/two@1.0.0"]
    target = tmp_path / "unpacked"
    target.mkdir()
    roots = package.unpack(target)
    assert (roots["me/two@1.0.0"] / "bin" / "build").read_text() == "#!/bin/sh\n:\n"
    assert sorted(path.name for path in target.iterdir()) == ["me_both", "me_one", "me_two"]


def test_the_same_files_give_the_same_package(packaged, buildpack):
    one = packaged(buildpack("me/one", under="a"), "a.cnb")
    other = packaged(buildpack("me/one", under="b"), "b.cnb")
    assert one.image.config.dumps() == other.image.config.dumps()
    assert one.image.manifest == other.image.manifest


def test_a_flat_package_has_one_layer_but_for_what_stays_apart(packaged, buildpack, composite, tmp_path):
    for name in ("me/one", "me/two", "me/three"):
        buildpack(name)
    root = composite("me/all", "me/one@1.0.0", "me/two@1.0.0", "me/three@1.0.0")
    flat = packaged(root, "flat.cnb", flatten=True)
    assert len(flat.image.config.diff_ids) == 1
    apart = packaged(root, "apart.cnb", flatten=True, apart=["me/two@1.0.0"])
    assert len(apart.image.config.diff_ids) == 2
    for number, package in enumerate((flat, apart)):
        target = tmp_path / str(number)
        target.mkdir()
        assert all((path / "buildpack.toml").is_file() for path in package.unpack(target).values())


def test_dependencies_come_from_directories_and_packages_whose_layers_stay(packaged, buildpack, composite, tmp_path):
    one = packaged(buildpack("me/one", under="elsewhere"), "one.cnb")
    buildpack("me/two", under="elsewhere")
    config = tmp_path / "package.toml"
    root = composite("me/both", "me/one@1.0.0", "me/two@1.0.0")
    config.write_text(
        '[buildpack]\nuri = "me_both"\n[[dependencies]]\nuri = "one.cnb"\n[[dependencies]]\nuri = "elsewhere/me_two"\n'
    )
    collection = collect(root, config, open_image=image_at)
    assert [isinstance(each.place, LayerOfPackage) for each in collection.others] == [True, False]
    both = packaged(root, "both.cnb", config)
    assert one.image.config.diff_ids[0] in both.image.config.diff_ids
    assert one.image.manifest.layers[0].digest in {layer.digest for layer in both.image.manifest.layers}


def test_composite_buildpacks_of_composite_ones_are_found(packaged, buildpack, composite):
    buildpack("me/one")
    composite("me/inner", "me/one@1.0.0")
    package = packaged(composite("me/outer", "me/inner@1.0.0"))
    assert {str(module) for module, _ in package.contents.layers} == {
        "me/one@1.0.0",
        "me/inner@1.0.0",
        "me/outer@1.0.0",
    }


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("me/gone@1.0.0", "which is not at hand"),
        ("me/one@2.0.0", "which is not at hand"),
        ("me/one", "without a version"),
    ],
)
def test_what_a_composite_buildpack_refers_to_has_to_be_at_hand(buildpack, composite, reference, problem):
    buildpack("me/one")
    with pytest.raises(InvalidInputError, match=problem):
        collect(composite("me/all", reference), None, open_image=nowhere)


def test_a_dependency_that_nothing_refers_to_is_refused(buildpack, tmp_path):
    buildpack("me/other")
    config = tmp_path / "package.toml"
    config.write_text('[buildpack]\nuri = "me_one"\n[[dependencies]]\nuri = "me_other"\n')
    with pytest.raises(InvalidInputError, match=r"refers to me/other@1\.0\.0 nowhere"):
        collect(buildpack("me/one"), config, open_image=nowhere)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[dependencies]]\nuri = "a"\nimage = "b"\n', "either a uri or an image"),
        ("[buildpack]\n[extension]\n", "not of both"),
        ('[[dependencies]]\nuri = "https://example.com/b.tgz"\n', "can't be fetched"),
    ],
)
def test_a_package_toml_that_can_not_be_used_says_why(buildpack, tmp_path, text, problem):
    root = buildpack()
    (root / "package.toml").write_text(text)
    with pytest.raises((InvalidFileError, InvalidInputError), match=problem):
        collect(root, None, open_image=nowhere)


def test_an_extension_is_packaged_with_labels_of_its_own(packaged, tmp_path):
    root = tmp_path / "extension"
    (root / "generate").mkdir(parents=True)
    (root / "extension.toml").write_text('api = "0.10"\n[extension]\nid = "me/tree"\nversion = "1.0.0"\n')
    (root / "generate" / "run.Dockerfile").write_text("RUN true\n")
    package = packaged(root)
    labels = package.image.config.labels
    assert set(labels) == {"io.buildpacks.extension.layers", "io.buildpacks.buildpackage.metadata"}
    target = tmp_path / "unpacked"
    target.mkdir()
    assert (package.unpack(target)["me/tree@1.0.0"] / "generate" / "run.Dockerfile").is_file()


def test_an_image_that_is_no_package_is_refused(packaged, buildpack, tmp_path):
    image = packaged(buildpack()).image
    with pytest.raises(CorruptImageError, match="not a buildpackage"):
        open_package(replace(image, config=replace(image.config, run={})))
    labels = dict(image.config.labels)
    rows = json.loads(labels["io.buildpacks.buildpack.layers"])
    rows["me/one"]["1.0.0"]["layerDiffID"] = "sha256:" + "0" * 64
    labels["io.buildpacks.buildpack.layers"] = json.dumps(rows)
    with pytest.raises(CorruptImageError, match="in a layer that it does not have"):
        open_package(replace(image, config=replace(image.config, run={"Labels": labels})))


def test_a_package_whose_layer_lacks_its_buildpack_is_refused(packaged, buildpack, tmp_path):
    package = packaged(buildpack())
    labels = {key: text.replace("me/one", "me/other") for key, text in package.image.config.labels.items()}
    other = open_package(replace(package.image, config=replace(package.image.config, run={"Labels": labels})))
    (tmp_path / "unpacked").mkdir()
    with pytest.raises(InvalidFileError, match="in its layer"):
        other.unpack(tmp_path / "unpacked")


def test_packages_with_names_as_pack_writes_them_can_be_read(packaged, buildpack, tmp_path):
    packaged(buildpack())
    layout = tmp_path / "layout"
    layout.mkdir()
    subprocess.run(["tar", "-xf", "out.cnb", "-C", "layout"], cwd=tmp_path, check=True)
    subprocess.run(
        [
            "tar",
            "-cf",
            "absolute.cnb",
            "--transform",
            "s,^,/,",
            "-P",
            "-C",
            "layout",
            "blobs",
            "index.json",
            "oci-layout",
        ],
        cwd=tmp_path,
        check=True,
    )
    assert str(open_package(ArchiveStore(tmp_path / "absolute.cnb").find("")).main) == "me/one@1.0.0"


def test_skopeo_takes_a_package_for_an_image(packaged, buildpack, tmp_path):
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    package = packaged(buildpack())
    done = subprocess.run(
        ["skopeo", "inspect", "--config", f"oci-archive:{tmp_path / 'out.cnb'}"], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["rootfs"]["diff_ids"] == list(package.image.config.diff_ids)


def test_an_archive_that_can_not_be_written_is_said(buildpack, tmp_path):
    (tmp_path / "out.cnb").mkdir()
    with pytest.raises(ImageError, match="is a directory"):
        ArchiveStore(tmp_path / "out.cnb").check_write(["x"])
