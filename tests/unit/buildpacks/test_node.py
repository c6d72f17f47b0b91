"""The buildpack node, without a registry; tests/acceptance has builds with npm's."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnb_buildpack as bp
import system_certificates
from parts.http_server import LoopbackServer

VERSIONS = ["0.2.3", "0.2.9", "0.3.0", "1.0.0", "18.19.1", "20.0.0", "20.11.1", "20.12.0", "22.1.0", "23.0.0-rc.1"]
LOCK = {
    "lockfileVersion": 3,
    "packages": {"": {}, "node_modules/a": {"version": "1.0.0"}, "node_modules/b": {"version": "2.0.0", "dev": True}},
}


@pytest.fixture
def node(ours):
    return ours / "node"


@pytest.fixture
def module(load, node, monkeypatch):
    monkeypatch.syspath_prepend(node / "lib")

    def get(name):
        return load(node / "lib" / f"{name}.py")

    return get


@pytest.fixture
def app(tmp_path, module):
    """Write an app and read it as the buildpack does."""

    def make(package=None, lock=LOCK, **files):
        (tmp_path / "package.json").write_text(json.dumps(package or {}))
        if lock is not None:
            (tmp_path / "package-lock.json").write_text(json.dumps(lock))
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return module("app").read(tmp_path)

    return make


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20.11.1", "20.11.1"),
        ("v20.11.1", "20.11.1"),
        ("=20.11.1", "20.11.1"),
        ("20", "20.12.0"),
        ("20.x", "20.12.0"),
        ("20.11.x", "20.11.1"),
        ("^20.0.0", "20.12.0"),
        ("^0.2.3", "0.2.9"),
        ("^0.0.3", None),
        ("~20.11", "20.11.1"),
        ("~20", "20.12.0"),
        (">=18 <20", "18.19.1"),
        (">= 18 < 20", "18.19.1"),
        (">20", "22.1.0"),
        (">22", None),
        ("<=20", "20.12.0"),
        ("<1.0.0", "0.3.0"),
        ("18 || 20", "20.12.0"),
        ("18 - 20.11", "20.11.1"),
        ("*", "22.1.0"),
        ("", "22.1.0"),
        ("x", "22.1.0"),
        ("24", None),
    ],
)
def test_ranges_are_read_as_npm_does(module, text, expected):
    assert module("version_ranges").best(text, VERSIONS) == expected


@pytest.mark.parametrize("text", ["latest", "lts/iron", ">=", "20.x.y.z", "^^1"])
def test_what_is_no_range_is_refused(module, text):
    ranges = module("version_ranges")
    with pytest.raises(ranges.RangeError):
        ranges.best(text, VERSIONS)


numbers = st.integers(0, 4)
versions = st.tuples(numbers, numbers, numbers).map(lambda each: ".".join(map(str, each)))


@given(versions, st.lists(versions, min_size=1))
def test_a_caret_range_is_one_of_compatible_releases(load, ours, base, offered):
    ranges = load(ours / "node" / "lib" / "version_ranges.py")
    found = ranges.best(f"^{base}", offered)
    fits = [each for each in map(ranges.parse_version, offered) if each >= ranges.parse_version(base)]
    major, minor, patch = ranges.parse_version(base)
    same = 1 if major else 2 if minor else 3
    fits = [each for each in fits if each[:same] == (major, minor, patch)[:same]]
    assert found == (".".join(map(str, max(fits))) if fits else None)


def test_detection_wants_a_package_json(workspace, node):
    assert workspace.detect(node).returncode == 100
    (workspace.app / "package.json").write_text("{}")
    assert workspace.detect(node).returncode == 0


def test_the_version_of_node_has_an_order_of_sources(app):
    found = app({"engines": {"node": "20.x"}}, **{".nvmrc": "18\n"})
    assert found.node_range({"BP_NODE_VERSION": "22"}, "16") == ("22", "BP_NODE_VERSION")
    assert found.node_range({}, "16")[0] == "18"
    assert app({}, **{".nvmrc": ""}).node_range({}, "16") == ("16", "the buildpack")


def test_an_empty_file_hides_no_other(app):
    assert app({}, **{".node-version": "\n", ".nvmrc": "18\n"}).node_range({}, "16") == ("18", ".nvmrc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lts/argon", "4.x"),
        ("lts/Iron\n", "20.x"),
        ("lts/krypton", "24.x"),
        ("lts/*", "16"),
        ("node", "*"),
        ("stable", "*"),
        ("# ours\n\n20.11.1 # pinned\n", "20.11.1"),
        ("\ufeffv20", "v20"),
        ("lts/none-of-them", "lts/none-of-them"),
    ],
)
def test_names_of_releases_are_read_as_nvm_does(app, text, expected):
    assert app({}, **{".nvmrc": text}).node_range({}, "16")[0] == expected


@pytest.mark.parametrize(
    ("package", "packages", "expected"),
    [
        ({"scripts": {"build": "tsc", "start": "node x"}}, {"node_modules/a": {"version": "1.0.0"}}, False),
        ({"scripts": {"postinstall": "patch-package"}}, {}, True),
        ({"scripts": {"prepare": "husky"}}, {}, True),
        ({}, {"packages/a": {}, "node_modules/a": {"resolved": "packages/a", "link": True}}, True),
        ({}, {"node_modules/a": {"resolved": "file:vendor/a.tgz", "integrity": "sha512-x"}}, True),
    ],
)
def test_npm_works_in_the_app_where_it_may_need_more_of_it_than_the_lock(app, package, packages, expected):
    found = app(package, {"packages": packages})
    found.check()
    assert found.needs_its_files is expected


def test_links_to_packages_of_the_app_still_lead_there_from_the_layer(module, tmp_path):
    (tmp_path / "app" / "packages" / "a").mkdir(parents=True)
    original, moved = tmp_path / "app" / "node_modules", tmp_path / "layer" / "node_modules"
    (original / "@x").mkdir(parents=True)
    (original / ".bin").mkdir()
    (original / "@x" / "a").symlink_to("../../packages/a")
    (original / ".bin" / "b").symlink_to("../b/cli.js")
    moved.parent.mkdir()
    original.rename(moved)
    module("buildpack").lead_to_app(moved, original)
    assert (moved / "@x" / "a").readlink() == tmp_path / "app" / "packages" / "a"
    assert str((moved / ".bin" / "b").readlink()) == "../b/cli.js"


def test_only_what_npm_installs_by_decides_over_the_layer(app):
    digest = app({"dependencies": {"a": "1"}, "scripts": {"start": "node x"}}).digest
    assert app({"dependencies": {"a": "1"}, "scripts": {"start": "node y"}, "version": "2"}).digest == digest
    assert app({"dependencies": {"a": "2"}}).digest != digest
    assert app({"dependencies": {"a": "1"}}, lock={**LOCK, "packages": {}}).digest != digest
    assert app({"dependencies": {"a": "1"}}, **{".npmrc": "ignore-scripts=true\n"}).digest != digest


def test_the_bill_of_materials_has_what_npm_installed(app, tmp_path):
    packages = {name: {"version": "1.0.0"} for name in ("", "node_modules/@a/b", "node_modules/@a/b/node_modules/c")}
    other_platform = {"node_modules/d-darwin": {"version": "1.0.0", "optional": True, "os": ["darwin"]}}
    found = app(lock={**LOCK, "packages": packages | other_platform})
    (tmp_path / "layer" / "node_modules" / "@a" / "b" / "node_modules" / "c").mkdir(parents=True)
    components = found.sbom(tmp_path / "layer")["components"]
    assert [each["purl"] for each in components] == ["pkg:npm/%40a/b@1.0.0", "pkg:npm/c@1.0.0"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"package.json": "{}"}, "there is no package-lock.json"),
        ({"package.json": "{", "package-lock.json": "{}"}, "package.json is no JSON"),
        ({"package.json": "[]", "package-lock.json": "{}"}, "package.json is no JSON object"),
        ({"package.json": '{"dependencies": {"a": "1"}}', "package-lock.json": "{}"}, "npm 6 or older"),
        (
            {
                "package.json": "{}",
                "package-lock.json": '{"packages": {"node_modules/a": {"resolved": "../a", "link": true}}}',
            },
            "from outside of the app's directory: node_modules/a",
        ),
        (
            {
                "package.json": "{}",
                "package-lock.json": '{"packages": {"node_modules/a": {"resolved": "file:../a.tgz"}}}',
            },
            "from outside of the app's directory: node_modules/a",
        ),
    ],
)
def test_an_app_that_can_not_be_built_is_told_in_one_line_before_anything_is_fetched(workspace, node, files, problem):
    for name, text in files.items():
        (workspace.app / name).write_text(text)
    built = workspace.build(node)
    assert built.returncode == 1
    assert problem in built.stderr
    assert built.stderr.count("\n") == 1
    assert not list(workspace.layers.iterdir())


@pytest.fixture
def archive(tmp_path):
    """An npm package as the registry has it, and its integrity."""

    def make(*names):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.mode = 0o777 if name.endswith("/bin/node") else 0o666
                info.size = 4
                tar.addfile(info, io.BytesIO(b"text"))
        path = tmp_path / "package.tgz"
        path.write_bytes(buffer.getvalue())
        digest = base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
        return path, f"sha512-{digest}"

    return make


def test_a_release_is_unpacked_without_its_first_directory(module, archive, tmp_path):
    path, integrity = archive("package/bin/node", "package/LICENSE")
    registry = module("registry")
    target = tmp_path / "target"
    target.mkdir()
    registry.unpack(registry.Release("node", "1.0.0", integrity, path.as_uri()), target)
    assert (target / "bin" / "node").stat().st_mode & 0o777 == 0o755
    assert (target / "LICENSE").stat().st_mode & 0o777 == 0o644


class Registry(LoopbackServer):
    """Wants credentials, and has one release at its own address, without them."""

    release: bytes = b""
    integrity: str = ""

    def answer(self, exchange):
        if exchange.headers["Authorization"] != f"Basic {base64.b64encode(b'me:secret').decode()}":
            exchange.answer(401)
        elif exchange.path.endswith(".tgz"):
            exchange.answer(200, self.release)
        else:
            dist = {"tarball": f"{self.url}/npm{exchange.path}-1.0.0.tgz", "integrity": self.integrity}
            exchange.answer(200, json.dumps({"versions": {"1.0.0": {"dist": dist}}}).encode())


def test_a_registry_with_credentials_in_its_address_is_asked_with_them(module, archive, tmp_path):
    path, integrity = archive("package/bin/node")
    with Registry() as server:
        server.release, server.integrity = path.read_bytes(), integrity
        registry = module("registry")
        address = registry.address({"NPM_CONFIG_REGISTRY": f"http://me:secret@{server.host}/npm/"})
        target = tmp_path / "target"
        target.mkdir()
        registry.unpack(registry.releases("node", address)["1.0.0"], target)
    assert (target / "bin" / "node").is_file()


def test_node_itself_has_a_bill_of_materials_that_scanners_understand(module, node, archive, app, tmp_path):
    path, integrity = archive("package/bin/node")
    with Registry() as server:
        server.release, server.integrity = path.read_bytes(), integrity
        context = bp.BuildContext.at(
            root=node,
            app_dir=tmp_path,
            layers_dir=tmp_path / "layers",
            env={"NPM_CONFIG_REGISTRY": f"http://me:secret@{server.host}/npm"},
        )
        module("buildpack").install_node(context, app({"engines": {"node": "1.x"}}))
    document = json.loads((tmp_path / "layers" / "node.sbom.cdx.json").read_text())
    [component] = document["components"]
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert component["cpe"] == "cpe:2.3:a:nodejs:node.js:1.0.0:*:*:*:*:*:*:*"


def test_an_error_shows_no_credentials_of_the_registry(module):
    with Registry() as server:
        registry = module("registry")
        with pytest.raises(bp.BuildpackError, match=f"^http://{server.host}/npm tells no releases") as caught:
            registry.releases("node", f"http://me:wrong@{server.host}/npm")
    assert "wrong" not in f"{caught.value} {caught.value.fix}"


def test_a_release_with_other_bytes_is_not_unpacked(module, archive, tmp_path):
    path, _ = archive("package/bin/node")
    registry = module("registry")
    integrity = "sha512-" + base64.b64encode(bytes(64)).decode()
    with pytest.raises(bp.BuildpackError, match="has SHA-512"):
        registry.unpack(registry.Release("node", "1.0.0", integrity, path.as_uri()), tmp_path / "target")
    with pytest.raises(bp.BuildpackError, match="no SHA-512"):
        registry.unpack(registry.Release("node", "1.0.0", "sha1-x", path.as_uri()), tmp_path / "target")


def test_a_release_can_not_write_outside(module, archive, tmp_path):
    path, integrity = archive("package/a", "package/../../../outside")
    registry = module("registry")
    (tmp_path / "target").mkdir()
    with pytest.raises(bp.BuildpackError, match="is outside of the directory"):
        registry.unpack(registry.Release("node", "1.0.0", integrity, path.as_uri()), tmp_path / "target")
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize(
    ("script", "command"),
    [("node server.js", "exec node server.js"), ("A=b node x", "A=b node x"), ("node a & node b", "node a & node b")],
)
def test_the_start_script_is_the_process_itself_where_it_can_be(module, node, tmp_path, app, script, command):
    buildpack = module("buildpack")
    found = app({"scripts": {"start": script}})
    context = bp.BuildContext.at(root=node, app_dir=tmp_path, layers_dir=tmp_path / "layers")
    buildpack.add_process(context, found)
    [process] = context.launch.table()["processes"]
    assert process["command"] == ["sh", "-c", command]
    assert process["default"] is True


@pytest.mark.parametrize(
    ("scripts", "command"),
    [
        ({"prestart": "node migrate.js"}, "node migrate.js && exec node server.js"),
        ({"prestart": "cd db; node x", "start": "A=b node x"}, "(cd db; node x\n) && (A=b node x\n)"),
        ({"poststart": "node bye.js"}, "node server.js && exec node bye.js"),
    ],
)
def test_what_npm_start_runs_around_the_start_script_is_run(module, node, tmp_path, app, scripts, command):
    found = app({"scripts": scripts}, **{"server.js": ""})
    context = bp.BuildContext.at(root=node, app_dir=tmp_path, layers_dir=tmp_path / "layers")
    module("buildpack").add_process(context, found)
    [process] = context.launch.table()["processes"]
    assert process["command"] == ["sh", "-c", command]


def test_an_app_without_scripts_needs_no_shell(module, node, tmp_path, app):
    context = bp.BuildContext.at(root=node, app_dir=tmp_path, layers_dir=tmp_path / "layers")
    module("buildpack").add_process(context, app({}, **{"server.js": ""}))
    assert context.launch.table()["processes"][0]["command"] == ["node", "server.js"]


def test_modules_of_the_app_itself_give_way_to_the_layer(module, tmp_path, capsys):
    buildpack = module("buildpack")
    (tmp_path / "node_modules" / "x").mkdir(parents=True)
    for _ in range(2):
        buildpack.link_modules(tmp_path, tmp_path / "layer")
        assert (tmp_path / "node_modules").readlink() == tmp_path / "layer" / "node_modules"
    said = capsys.readouterr()
    assert "not used" in said.out + said.err


def test_a_binding_has_the_settings_of_npm(module, node, tmp_path):
    def environment():
        context = bp.BuildContext.at(
            root=node, app_dir=tmp_path, layers_dir=tmp_path / "layers", platform_dir=tmp_path / "platform"
        )
        return module("buildpack").npm_environment(context)

    assert "npm_config_globalconfig" not in environment()
    binding = tmp_path / "platform" / "bindings" / "registry"
    binding.mkdir(parents=True)
    (binding / "type").write_text("npmrc")
    with pytest.raises(bp.BuildpackError, match=r"binding registry of type npmrc has no '\.npmrc'"):
        environment()
    (binding / ".npmrc").write_text("//registry.example/:_authToken=secret")
    assert environment()["npm_config_globalconfig"] == str(binding / ".npmrc")


def test_npm_trusts_what_the_system_trusts(module, monkeypatch, tmp_path):
    buildpack = module("buildpack")
    (own := tmp_path / "own.pem").touch()
    env = {"SSL_CERT_FILE": str(own)}
    monkeypatch.setattr(system_certificates, "BUNDLES", [tmp_path / "none"])
    assert buildpack._trusting_the_system({}) == {}
    assert buildpack._trusting_the_system(env)["NODE_EXTRA_CA_CERTS"] == str(own)
    assert buildpack._trusting_the_system({**env, "NODE_EXTRA_CA_CERTS": "/y"})["NODE_EXTRA_CA_CERTS"] == "/y"
