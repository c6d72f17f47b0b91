"""From directories that people name to the tree and order of a builder."""

import io
import subprocess
import tomllib

import pytest

from lifecycle.cli.commands.build.buildpack_tree import BuildpackTree, write_order
from lifecycle.cli.commands.buildpack.packages import PackageOptions, package
from lifecycle.cli.stores.opening import open_image
from lifecycle.cli.stores.remote import RemoteStores
from lifecycle.errors import ImageNotFoundError, InvalidFileError, InvalidInputError
from lifecycle.model.project_descriptor import ProjectBuildpacks


@pytest.fixture
def tree(tmp_path):
    return BuildpackTree(tmp_path / "cnb" / "buildpacks")


def _buildpack(root, buildpack_id, version="1.0.0", components=()):
    root.mkdir(parents=True)
    lines = ['api = "0.10"', "[buildpack]", f'id = "{buildpack_id}"', f'version = "{version}"']
    for each, its_version in components:
        lines += ["[[order]]", "[[order.group]]", f'id = "{each}"', f'version = "{its_version}"']
    (root / "buildpack.toml").write_text("\n".join(lines))
    if not components:
        (root / "bin").mkdir()
        (root / "bin" / "build").touch()
    return root


def _order(tree, tmp_path, *given, order=None, **project):
    path = tmp_path / "order.toml"
    write_order(
        tree,
        path,
        given=[str(each) for each in given],
        order=order,
        project=ProjectBuildpacks.model_validate(project),
        project_dir=tmp_path,
        open_image=lambda text: open_image(text, RemoteStores({})),
    )
    return [group["group"] for group in tomllib.loads(path.read_text())["order"]]


def _ids(groups):
    return [[each["id"] for each in group] for group in groups]


def _links(tree):
    return {path.relative_to(tree.path).as_posix() for path in tree.path.glob("*/*")}


def test_a_buildpack_is_linked_by_id_and_version(tree, tmp_path):
    root = _buildpack(tmp_path / "bp", "me/one", "1.2")
    assert _order(tree, tmp_path, root) == [[{"id": "me/one", "version": "1.2"}]]
    assert (tree.path / "me_one/1.2").readlink() == root


def test_given_buildpacks_are_one_group_in_the_given_order(tree, tmp_path):
    roots = [_buildpack(tmp_path / name, name) for name in ("b", "a")]
    assert _ids(_order(tree, tmp_path, *roots)) == [["b", "a"]]


def test_a_composite_buildpack_brings_the_neighbours_it_refers_to(tree, tmp_path):
    root = _buildpack(tmp_path / "all/web", "web", components=[("a", "1.0.0"), ("inner", "1.0.0")])
    _buildpack(tmp_path / "all/a", "a")
    _buildpack(tmp_path / "all/a2", "a", "2.0.0")
    _buildpack(tmp_path / "all/inner", "inner", components=[("b", "1.0.0")])
    _buildpack(tmp_path / "all/b", "b")
    (tmp_path / "all/broken").mkdir()
    (tmp_path / "all/broken/buildpack.toml").write_text("[")
    assert _ids(_order(tree, tmp_path, root)) == [["web"]]
    assert _links(tree) == {"web/1.0.0", "a/1.0.0", "inner/1.0.0", "b/1.0.0"}


def test_a_composite_buildpack_named_from_below_finds_its_neighbours(tree, tmp_path):
    root = _buildpack(tmp_path / "all/web", "web", components=[("a", "1.0.0")])
    _buildpack(tmp_path / "all/a", "a")
    (root / "bin").mkdir()
    tree.add(root / "bin" / "..")
    assert _links(tree) == {"web/1.0.0", "a/1.0.0"}
    assert (tree.path / "web/1.0.0").readlink() == root


def test_the_same_buildpack_may_be_given_twice_but_not_from_two_places(tree, tmp_path):
    root = _buildpack(tmp_path / "one", "a")
    tree.add(root)
    tree.add(root)
    with pytest.raises(InvalidInputError, match=r"a@1\.0\.0 is given twice: .*one and .*two"):
        tree.add(_buildpack(tmp_path / "two", "a"))


def test_a_directory_without_buildpack_toml_is_no_buildpack(tree, tmp_path):
    with pytest.raises(InvalidInputError, match=r"it has no buildpack\.toml"):
        tree.add(tmp_path)


def test_a_malformed_buildpack_toml_is_an_error_of_that_file(tree, tmp_path):
    (tmp_path / "buildpack.toml").write_text("[")
    with pytest.raises(InvalidFileError, match=r"buildpack\.toml"):
        tree.add(tmp_path)


def test_the_order_of_a_builder_is_kept_as_it_is(tree, tmp_path):
    builder = tmp_path / "builder.toml"
    builder.write_text(
        '[[order]]\n[[order.group]]\nid="a"\nversion="1"\noptional=true\n'
        '[[order]]\n[[order.group]]\nid="b"\nversion="2"\nexec-env=["test"]\n'
    )
    assert _order(tree, tmp_path, order=builder) == [
        [{"id": "a", "version": "1", "optional": True}],
        [{"id": "b", "version": "2", "exec-env": ["test"]}],
    ]


def test_without_any_buildpack_there_is_nothing_to_build_with(tree, tmp_path):
    with pytest.raises(InvalidInputError, match="no buildpack to build with"):
        _order(tree, tmp_path)


def test_given_buildpacks_win_over_those_of_the_project_and_those_over_the_builder(tree, tmp_path):
    builder = tmp_path / "builder.toml"
    builder.write_text('[[order]]\n[[order.group]]\nid="builder"\nversion="1"\n')
    given = _buildpack(tmp_path / "given", "given")
    _buildpack(tmp_path / "mine", "mine")
    group = [{"uri": "mine"}]
    assert _ids(_order(tree, tmp_path, given, order=builder, group=group)) == [["given"]]
    assert _ids(_order(tree, tmp_path, order=builder, group=group)) == [["mine"]]
    assert _ids(_order(tree, tmp_path, order=builder)) == [["builder"]]


def test_pre_and_post_surround_every_group(tree, tmp_path):
    builder = tmp_path / "builder.toml"
    builder.write_text('[[order]]\n[[order.group]]\nid="a"\n[[order]]\n[[order.group]]\nid="b"\n')
    for name in ("first", "last"):
        _buildpack(tmp_path / name, name)
    pre, post = {"group": [{"uri": "first"}]}, {"group": [{"uri": f"file://{tmp_path}/last"}]}
    assert _ids(_order(tree, tmp_path, order=builder, pre=pre, post=post)) == [
        ["first", "a", "last"],
        ["first", "b", "last"],
    ]


def test_an_inline_script_becomes_a_buildpack_that_runs(tree, tmp_path):
    script = {"api": "0.10", "inline": "echo hello > out", "shell": "/bin/sh"}
    group = [{"id": "me/inline", "script": script}, {"script": script}]
    groups = _order(tree, tmp_path, group=group)
    assert _ids(groups) == [["me/inline", "inline/1"]]
    root = tree.path / "me_inline" / groups[0][0]["version"]
    assert tomllib.loads((root / "buildpack.toml").read_text())["api"] == "0.10"
    subprocess.run([root / "bin/detect"], check=True)
    subprocess.run([root / "bin/build"], check=True, cwd=tmp_path)
    assert (tmp_path / "out").read_text() == "hello\n"


def test_a_known_buildpack_is_found_by_id_and_the_newest_is_chosen(tree, tmp_path):
    for version in ("1.9.0", "1.10.0", "1.10.0-rc1", "1.2.0"):
        _buildpack(tmp_path / "builder/a" / version, "a", version)
    tree.add_all(tmp_path / "builder")
    assert _order(tree, tmp_path, group=[{"id": "a"}])[0][0]["version"] == "1.10.0"
    assert _order(tree, tmp_path, group=[{"id": "a", "version": "1.2.0"}])[0][0]["version"] == "1.2.0"
    assert _order(tree, tmp_path, group=[{"uri": "urn:buildpack:a"}])[0][0]["version"] == "1.10.0"


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"id": "a"}, "asks for buildpack a, which is not at hand"),
        ({"id": "a", "version": "1"}, "asks for buildpack a@1, which is not at hand"),
        ({"uri": "https://example.com/a.tgz"}, "https://example.com/a.tgz can't be fetched"),
        ({"uri": "nowhere"}, "nowhere: is not a directory"),
        ({"uri": "file:///nowhere"}, "/nowhere: is not a directory"),
    ],
)
def test_a_buildpack_that_is_not_at_hand_is_an_error(tree, tmp_path, wanted, problem):
    with pytest.raises(InvalidInputError, match=problem):
        _order(tree, tmp_path, group=[wanted])


def test_extensions_of_a_builder_are_linked_and_stay_in_its_order(tree, tmp_path):
    root = tmp_path / "extensions" / "my_ext" / "1"
    root.mkdir(parents=True)
    (root / "extension.toml").write_text('api = "0.10"\n[extension]\nid = "my/ext"\nversion = "1"\n')
    builder = tmp_path / "builder.toml"
    builder.write_text(
        '[[order]]\n[[order.group]]\nid="a"\nversion="1"\n'
        '[[order-extensions]]\n[[order-extensions.group]]\nid="my/ext"\nversion="1"\noptional=true\n'
    )
    tree.add_extensions(tmp_path / "extensions")
    _order(tree, tmp_path, order=builder)
    assert (tree.path.parent / "extensions/my_ext/1").readlink() == root
    written = tomllib.loads((tmp_path / "order.toml").read_text())
    assert written["order-extensions"] == [{"group": [{"id": "my/ext", "version": "1", "optional": True}]}]


def _packaged(root, path):
    package(root, PackageOptions(output=str(path)), remote=RemoteStores({}), out=io.StringIO())
    return path


def test_a_package_brings_its_buildpack_and_what_it_refers_to(tree, tmp_path):
    _buildpack(tmp_path / "all/a", "a")
    root = _buildpack(tmp_path / "all/web", "me/web", components=[("a", "1.0.0")])
    assert _ids(_order(tree, tmp_path, _packaged(root, tmp_path / "web.cnb"))) == [["me/web"]]
    assert _links(tree) == {"a/1.0.0", "me_web/1.0.0"}
    assert (tree.path / "me_web/1.0.0/buildpack.toml").read_bytes() == (root / "buildpack.toml").read_bytes()


def test_a_project_may_name_a_package_beside_it(tree, tmp_path):
    _packaged(_buildpack(tmp_path / "all/a", "a"), tmp_path / "a.cnb")
    assert _ids(_order(tree, tmp_path, group=[{"uri": "a.cnb"}])) == [["a"]]


def test_the_package_of_an_extension_is_no_buildpack(tree, tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "extension.toml").write_text('api = "0.10"\n[extension]\nid = "tree"\nversion = "1.0.0"\n')
    with pytest.raises(InvalidInputError, match="image extension"):
        _order(tree, tmp_path, _packaged(root, tmp_path / "tree.cnb"))


def test_a_package_that_is_not_there_is_refused(tree, tmp_path):
    with pytest.raises(ImageNotFoundError, match="is not there"):
        _order(tree, tmp_path, tmp_path / "gone.cnb")


def test_a_buildpack_that_would_have_to_be_fetched_is_no_name_of_an_image(tree):
    with pytest.raises(InvalidInputError, match=r"https://example.com/a\.tgz can't be fetched from there; fetch it"):
        tree.add_named("https://example.com/a.tgz", open_image=None)
