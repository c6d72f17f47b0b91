"""The buildpack java, with a Maven that the tests make; tests/acceptance has a build with Central's and Debian's Java."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ET
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnb_buildpack as bp
import system_certificates

LAUNCHER = "org.springframework.boot.loader.launch.JarLauncher"


@pytest.fixture
def java(ours):
    return ours / "java"


@pytest.fixture
def module(load, java, monkeypatch):
    monkeypatch.syspath_prepend(java / "lib")
    # Modules that are imported late would leave compiled files in the buildpack.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def get(name):
        return load(java / "lib" / f"{name}.py")

    return get


@pytest.fixture
def app(tmp_path):
    directory = tmp_path / "app"
    directory.mkdir()
    return directory


@pytest.fixture
def jar(app):
    """Write a jar with these files, and with these lines in its manifest."""

    def make(name, *files, **manifest):
        path = app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in manifest.items())
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{lines}\r\n")
            for each in files:
                file, _, text = each.partition("=")
                archive.writestr(file, text)
        return path

    return make


def properties(group, name, version):
    text = f"#made\ngroupId={group}\nartifactId={name}\nversion={version}\n"
    return f"META-INF/maven/{group}/{name}/pom.properties={text}"


def made(module, app, pattern=""):
    """Return the directory that a build would leave, and the jar it is made of."""
    artifact = module("artifact")
    target = app.parent / "made"
    target.mkdir()
    artifact.assemble(artifact.choose(app, pattern), target)
    return target


def test_an_app_with_a_pom_passes_detection(workspace, java):
    assert workspace.detect(java).returncode == 100
    (workspace.app / "pom.xml").touch()
    assert workspace.detect(java).returncode == 0


def test_a_manifest_is_read_with_lines_that_go_on(module):
    text = b"Manifest-Version: 1.0\r\nClass-Path: a.jar b\r\n .jar\r\nMain-Class: M\xc3\r\n \xa9\r\n\r\nName: x\r\nMain-Class: No\r\n"
    assert module("jars").parse_manifest(text) == {
        "Manifest-Version": "1.0",
        "Class-Path": "a.jar b.jar",
        "Main-Class": "M\u00e9",
    }


keys = st.text("abcXYZ-", min_size=1, max_size=20)
values_of_keys = st.text("".join(map(chr, range(33, 127))), min_size=1, max_size=200)


@given(st.dictionaries(keys, values_of_keys, max_size=4))
def test_a_manifest_is_read_wherever_its_lines_are_folded(load, java_jars, values):
    folded = b""
    for key, value in values.items():
        line = f"{key}: {value}".encode()
        folded += line[:72] + b"".join(b"\r\n " + line[at : at + 71] for at in range(72, len(line), 71)) + b"\r\n"
    assert java_jars.parse_manifest(folded + b"\r\n") == values


@pytest.fixture(scope="module")
def java_jars(load, ours):
    return load(ours / "java" / "lib" / "jars.py")


def test_the_one_jar_with_a_main_class_runs(module, app, jar):
    jar("target/app-1.0.jar", Main_Class="demo.Main")
    jar("target/original-app-1.0.jar", Main_Class="demo.Main")
    jar("target/app-1.0-sources.jar", Main_Class="demo.Main")
    jar("library/target/library-1.0.jar")
    assert module("artifact").choose(app, "").path == app / "target" / "app-1.0.jar"


def test_several_jars_are_named_and_one_can_be_chosen(module, app, jar):
    jar("a/target/a-1.0.jar", Main_Class="A")
    jar("b/target/b-1.0.jar", Main_Class="B")
    artifact = module("artifact")
    with pytest.raises(bp.BuildpackError, match=r"a/target/a-1\.0\.jar, b/target/b-1\.0\.jar.*BP_MAVEN_BUILT_ARTIFACT"):
        artifact.choose(app, "")
    assert artifact.choose(app, "b/target/*.jar").main_class == "B"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "no jar has a Main-Class: target/a.jar"),
        ("x/*.jar", "Maven made no jar that matches BP_MAVEN_BUILT_ARTIFACT=x/"),
        ("../*.jar", "BP_MAVEN_BUILT_ARTIFACT has"),
        ("/etc/*", "BP_MAVEN_BUILT_ARTIFACT has"),
        ("target/broken.bin", "broken.bin is no jar"),
    ],
)
def test_an_app_without_a_jar_to_run_is_told_so(module, app, jar, pattern, problem):
    jar("target/a.jar")
    (app / "target" / "broken.bin").write_text("no zip")
    with pytest.raises(bp.BuildpackError, match=problem) as caught:
        module("artifact").choose(app, pattern)
    assert caught.value.fix


def test_a_spring_boot_jar_is_unpacked_with_slices_for_what_changes_seldom(module, app, jar):
    jar(
        "target/app.jar",
        "BOOT-INF/classes/demo/Main.class",
        "BOOT-INF/lib/released-1.0.jar",
        "BOOT-INF/lib/odd[name]-1.0.jar",
        "BOOT-INF/lib/ours-1.1-SNAPSHOT.jar",
        "BOOT-INF/lib/theirs-1.1-20240102.030405-7.jar",
        "org/springframework/boot/loader/launch/JarLauncher.class",
        Main_Class=LAUNCHER,
        Start_Class="demo.Main",
    )
    artifact = module("artifact")
    assert not artifact.needs_libraries(artifact.choose(app, ""))
    target = made(module, app)
    assert artifact.command(target) == ["java", "-cp", ".", LAUNCHER]
    assert (target / "BOOT-INF/classes/demo/Main.class").is_file()
    assert artifact.slices(target) == [
        ["BOOT-INF/lib/odd\\[name]-1.0.jar", "BOOT-INF/lib/released-1.0.jar"],
        ["BOOT-INF/lib/ours-1.1-SNAPSHOT.jar", "BOOT-INF/lib/theirs-1.1-20240102.030405-7.jar"],
        ["org/springframework/boot/loader"],
    ]


def test_a_thin_jar_runs_with_the_libraries_that_maven_copied(module, app, jar):
    jar("target/app.jar", "demo/Main.class", Main_Class="demo.Main", Class_Path="gson-2.10.1.jar")
    jar("target/dependency/gson-2.10.1.jar", "com/google/gson/Gson.class")
    artifact = module("artifact")
    assert artifact.needs_libraries(artifact.choose(app, ""))
    target = made(module, app)
    assert sorted(path.name for path in target.rglob("*")) == ["app.jar", "gson-2.10.1.jar", "lib"]
    assert artifact.command(target) == ["java", "-cp", "app.jar:lib/*", "demo.Main"]
    assert artifact.slices(target) == [["lib/gson-2.10.1.jar"]]


def test_a_thin_jar_brings_what_its_class_path_names(module, app, jar):
    jar("target/app.jar", Main_Class="demo.Main", Class_Path="lib/a.jar conf/")
    jar("target/lib/a.jar")
    (app / "target" / "conf").mkdir()
    (app / "target" / "conf" / "app.properties").touch()
    artifact = module("artifact")
    assert not artifact.needs_libraries(artifact.choose(app, ""))
    target = made(module, app)
    assert (target / "conf" / "app.properties").is_file()
    assert artifact.command(target) == ["java", "-jar", "app.jar"]
    assert artifact.slices(target) == [["lib/a.jar"]]


def test_a_class_path_that_leads_elsewhere_is_refused(module, app, jar):
    jar("target/app.jar", Main_Class="demo.Main", Class_Path="../secret.jar")
    jar("secret.jar")
    with pytest.raises(bp.BuildpackError, match=r"\.\./secret\.jar.*classpathPrefix"):
        made(module, app)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("app.jar", [properties("demo", "app", "1"), properties("com.google", "gson", "2")]),
        ("app-jar-with-dependencies.jar", []),
        ("app.war", ["WEB-INF/lib/a.jar"]),
    ],
)
def test_a_fat_jar_runs_alone(module, app, jar, name, files):
    jar(f"target/{name}", *files, Main_Class="demo.Main")
    artifact = module("artifact")
    assert not artifact.needs_libraries(artifact.choose(app, ""))
    target = made(module, app)
    assert [path.name for path in target.iterdir()] == ["app.jar"]
    assert artifact.command(target) == ["java", "-jar", "app.jar"]


def test_libraries_that_are_in_the_jar_already_are_left_out(module, app, jar):
    jar("target/app.jar", "demo/Main.class", "a/A.class", Main_Class="demo.Main")
    jar("target/dependency/a.jar", "a/A.class", "module-info.class", "META-INF/versions/21/a/A.class")
    jar("target/dependency/b.jar", "b/B.class")
    jar("target/dependency/resources.jar", "b.txt")
    target = made(module, app)
    assert sorted(path.name for path in (target / "lib").iterdir()) == ["b.jar", "resources.jar"]


def test_sources_leave_the_app_and_what_later_buildpacks_read_stays(module, app, tmp_path):
    for name in ("pom.xml", "src/main/java/Main.java", "Procfile", "config/prod/app.yml", "config/dev/app.yml"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).touch()
    (app / "link").symlink_to("src")
    (tmp_path / "made" / "lib").mkdir(parents=True)
    (tmp_path / "made" / "lib" / "a.jar").touch()
    module("artifact").replace_app(app, tmp_path / "made", ["Procfile", "config/prod"])
    left = sorted(str(path.relative_to(app)) for path in app.rglob("*"))
    assert left == ["Procfile", "config", "config/prod", "config/prod/app.yml", "lib", "lib/a.jar"]


@pytest.mark.parametrize("pattern", ["/etc/*", "../*"])
def test_sources_that_stay_are_below_the_app(module, app, tmp_path, pattern):
    with pytest.raises(bp.BuildpackError, match="BP_INCLUDE_FILES has"):
        module("artifact").replace_app(app, tmp_path / "made", [pattern])


def test_the_bill_of_materials_has_each_artifact(module, jar):
    one = jar("gson.jar", properties("com.google.code.gson", "gson", "2.10.1"))
    paths = [
        one,
        jar("fat.jar", properties("demo", "x", "1"), properties("demo", "y", "2")),
        jar("odd-lib-3.1.jar"),
        jar("none.jar"),
    ]
    rows = module("jars").sbom(paths)["components"]
    assert [(row["name"], row.get("version")) for row in rows] == [
        ("gson", "2.10.1"),
        ("none", None),
        ("odd-lib", "3.1"),
        ("x", "1"),
        ("y", "2"),
    ]
    assert rows[0]["purl"] == "pkg:maven/com.google.code.gson/gson@2.10.1"
    assert rows[0]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(one.read_bytes()).hexdigest()}]


def pem(der):
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_each_certificate_of_a_bundle_is_taken_once(module, tmp_path):
    truststore = module("truststore")
    (tmp_path / "bundle.pem").write_bytes(
        "# Führer\n".encode("latin-1") + pem(b"one" * 40) + pem(b"two") + pem(b"one" * 40)
    )
    found = truststore.certificates(truststore.bundle({"SSL_CERT_FILE": str(tmp_path / "bundle.pem")}))
    assert found == [b"one" * 40, b"two"]
    store = truststore.truststore(found)
    assert store[:12] == bytes.fromhex("feedfeed 00000002 00000002")
    assert store == truststore.truststore(found)


def test_missing_and_broken_certificates_are_told(module, tmp_path):
    truststore = module("truststore")
    with pytest.raises(bp.BuildpackError, match="no certificates in /nowhere"):
        truststore.bundle({"SSL_CERT_FILE": "/nowhere"})
    with pytest.raises(bp.BuildpackError, match="is no PEM"):
        truststore.certificates(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")


def test_keytool_reads_the_truststore(module, tmp_path):
    truststore = module("truststore")
    keytool = shutil.which("keytool")
    if keytool is None or not system_certificates.BUNDLES[0].is_file():
        pytest.skip("there is no keytool, or no certificates of the system")
    found = truststore.certificates(truststore.bundle({}))
    (tmp_path / "cacerts").write_bytes(truststore.truststore(found))
    listed = subprocess.check_output(
        [keytool, "-list", "-keystore", tmp_path / "cacerts", "-storepass", truststore.PASSWORD, "-storetype", "JKS"],
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        stderr=subprocess.DEVNULL,
    )
    assert listed.count("trustedCertEntry") == len(found) > 0


@pytest.fixture
def jdk_home(tmp_path):
    home = tmp_path / "jvm"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "javac").write_text("#!/bin/sh\n")
    (home / "bin" / "javac").chmod(0o755)
    (home / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.15"\n')
    return home


def test_the_jdk_of_the_build_image_is_taken_if_its_version_is_right(module, jdk_home, tmp_path):
    jdk = module("jdk")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "javac").symlink_to(jdk_home / "bin" / "javac")
    for env in ({"PATH": str(tmp_path / "bin")}, {"PATH": "", "JAVA_HOME": str(jdk_home)}):
        assert jdk.in_build_image(env, "17") == jdk.Jdk(jdk_home, "17.0.15")
        assert jdk.in_build_image(env, "1") is None
        assert jdk.in_build_image(env, "21") is None
    (jdk_home / "release").unlink()
    assert jdk.in_build_image({"PATH": str(tmp_path / "bin")}, "17") is None


def test_java_in_a_layer_trusts_what_the_layer_beside_it_has(module, tmp_path):
    security = tmp_path / "layers" / "jre" / "usr" / "lib" / "jvm" / "java-17" / "lib" / "security"
    security.mkdir(parents=True)
    (security / "cacerts").symlink_to("/etc/ssl/certs/java/cacerts")
    (tmp_path / "layers" / "truststore").mkdir()
    (tmp_path / "layers" / "truststore" / "cacerts").write_bytes(b"trusted")
    module("jdk").link_truststore(tmp_path / "layers", security.parent.parent)
    (tmp_path / "layers").rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / security.relative_to(tmp_path / "layers") / "cacerts").read_bytes() == b"trusted"


@pytest.mark.parametrize("text", ["17.0", "x", "-1", "017", "17 curl"])
def test_versions_are_numbers(module, text):
    jdk = module("jdk")
    assert jdk.wanted({}, "17") == "17"
    assert jdk.wanted({"BP_JVM_VERSION": "21"}, "17") == "21"
    with pytest.raises(bp.BuildpackError, match="BP_JVM_VERSION"):
        jdk.wanted({"BP_JVM_VERSION": text}, "17")


def test_credentials_of_a_mirror_are_those_of_a_server(module):
    root = ET.fromstring(module("maven").mirror_settings("https://me%40x:a%26b@mirror.example/maven?x=1&y=2"))
    assert root.findtext("mirrors/mirror/url") == "https://mirror.example/maven?x=1&y=2"
    assert [each.text for each in root.find("servers/server")] == ["central-mirror", "me@x", "a&b"]
    assert ET.fromstring(module("maven").mirror_settings("https://mirror.example")).find("servers/server") is None


MVN = """\
#!/bin/sh
set -eu
echo "mvn $*"
echo "$JAVA_HOME|$JDK_JAVA_OPTIONS|${BP_MAVEN_CENTRAL-unset}" >"$PROBE"
[ -z "${FAIL-}" ] || exit 1
mkdir -p target/dependency
cp src/app.jar target/app.jar
case $* in *copy-dependencies*) cp src/library.jar target/dependency ;; esac
"""


@pytest.fixture
def building(module, java, app, jar, jdk_home, tmp_path):
    """Build with a Maven that copies jars, from a mirror on this machine."""
    root = tmp_path / "buildpack"
    root.mkdir()
    place = tmp_path / "mirror" / "org/apache/maven/apache-maven/1.0/apache-maven-1.0-bin.tar.gz"
    place.parent.mkdir(parents=True)
    with tarfile.open(place, "w:gz") as tar:
        info = tarfile.TarInfo("apache-maven-1.0/bin/mvn")
        info.mode, info.size = 0o755, len(MVN)
        tar.addfile(info, io.BytesIO(MVN.encode()))
    table = tomllib.loads((java / "buildpack.toml").read_text())
    table["metadata"]["maven"] = {"version": "1.0", "sha512": hashlib.sha512(place.read_bytes()).hexdigest()}
    bp.write_toml(root / "buildpack.toml", table)
    env = {
        "PATH": os.environ["PATH"],
        "BP_MAVEN_CENTRAL": (tmp_path / "mirror").as_uri(),
        "PROBE": str(tmp_path / "probe"),
    }

    jar("src/app.jar", "demo/Main.class", Main_Class="demo.Main")
    jar("src/library.jar", "a/A.class")
    (app / "pom.xml").write_text("<project/>")

    def build(**variables):
        context = bp.BuildContext.at(
            root=root,
            app_dir=app,
            layers_dir=tmp_path / "layers",
            env={**env, **variables},
            platform_dir=tmp_path / "platform",
        )
        jdk = module("jdk")
        made_dir = module("buildpack").make(context, jdk.Jdk(jdk_home, "17.0.15"), tmp_path / "a b" / "cacerts")
        context.finish()
        for path in (tmp_path / "layers").glob("*.toml"):
            bp.write_toml(path, {"metadata": tomllib.loads(path.read_text()).get("metadata")})
        return made_dir

    return build


def test_maven_is_called_with_what_the_system_trusts_and_without_the_mirror_s_credentials(
    building, jdk_home, tmp_path, capfd
):
    made_dir = building()
    assert sorted(path.name for path in made_dir.rglob("*.jar")) == ["app.jar", "library.jar"]
    home, options, mirror = (tmp_path / "probe").read_text().strip().split("|")
    assert home == str(jdk_home)
    assert f'"-Djavax.net.ssl.trustStore={tmp_path}/a b/cacerts"' in options
    assert mirror == "unset"
    said = capfd.readouterr().out
    assert f"-Dmaven.repo.local={tmp_path}/layers/m2 --global-settings" in said
    assert "maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime" in said


def test_libraries_are_copied_where_maven_knows_of_them_all(building, app, capfd):
    building()
    assert "package org.apache.maven.plugins" not in capfd.readouterr().out
    (app / "pom.xml").write_text("<project><modules><module>a</module></modules></project>")
    building()
    assert "package org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dep" in capfd.readouterr().out


def test_maven_is_not_started_when_nothing_changed(building, app, tmp_path, capfd):
    first = bp.tree_digest(building())
    shutil.rmtree(tmp_path / "mirror")
    (app / "target" / "left-by-someone.jar").touch()
    capfd.readouterr()
    assert bp.tree_digest(building()) == first
    said = capfd.readouterr().out
    assert "mvn" not in said
    assert "Reusing layer artifact" in said


def test_maven_is_started_anew_when_sources_or_arguments_change(building, app, capfd):
    building()
    (app / "src" / "Main.java").touch()
    building()
    assert "Creating layer artifact: sources changed" in capfd.readouterr().out
    building(BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS="-P 'my profile'")
    said = capfd.readouterr().out
    assert "Creating layer artifact: arguments changed" in said
    assert "-P my profile package" in said


def test_a_maven_that_fails_and_arguments_that_are_no_words_are_told(building):
    with pytest.raises(bp.BuildpackError, match="mvn failed with exit status 1"):
        building(FAIL="1")
    with pytest.raises(bp.BuildpackError, match="BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS: No closing quotation"):
        building(BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS="'")


def test_settings_of_a_binding_are_maven_s(building, tmp_path, capfd):
    binding = tmp_path / "platform" / "bindings" / "mine"
    binding.mkdir(parents=True)
    (binding / "type").write_text("maven")
    with pytest.raises(bp.BuildpackError, match=r"has no 'settings\.xml'"):
        building()
    (binding / "settings.xml").write_text("<settings/>")
    building()
    assert f"--settings {binding}/settings.xml" in capfd.readouterr().out
