"""Our buildpacks with the registries that they are for: an app is built twice, started and asked.

The buildpacks are packages, as pack takes them. The second build has to take every layer from the first. The contract
of buildpacks, which builds more often, takes what the registries have from a mirror that asks them once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from parts.registry_mirror import RegistryMirror
from parts.shared_process import run_directory

BUILDPACKS = Path(__file__).parents[2] / "buildpacks"
PATIENCE = 120


def need(url):
    """Skip the test where a registry can't be reached."""
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        pytest.skip(f"{url} can't be reached: {error}")


def written(app, files):
    for name, text in files.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(text)
    return app


@pytest.fixture
def lifecycle(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_STATE_HOME": "", "XDG_CACHE_HOME": ""}
    (tmp_path / "home").mkdir()

    def start(*arguments, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", "lifecycle", *map(str, arguments)],
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def built_twice(lifecycle, tmp_path):
    """Build an app twice with packages of the buildpacks and return the log of the second build."""

    def done(*arguments):
        process = lifecycle(*arguments)
        log, _ = process.communicate()
        assert process.returncode == 0, log
        return log

    def build(files, *buildpacks):
        app = written(tmp_path / "app", files)
        packages = {each: tmp_path / f"{each}.cnb" for each in buildpacks}
        for each, package in packages.items():
            done("buildpack", "package", BUILDPACKS / each, "--output", package)
        named = [word for package in packages.values() for word in ("--buildpack", package)]
        logs = [done("build", app, *named) for _ in range(2)]
        first, second = (line for log in logs for line in log.splitlines() if line.startswith("image id"))
        assert first == second
        assert "every layer was reused" in logs[1], logs[1]
        return logs[1]

    return build


@pytest.fixture
def answer(lifecycle):
    """Start the app that was built and return what it answers."""

    @contextmanager
    def started():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = lifecycle("run", PORT=str(port))
        try:
            yield f"http://127.0.0.1:{port}/", process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=PATIENCE)

    def ask():
        with started() as (url, process):
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    with urllib.request.urlopen(url, timeout=5) as response:
                        return response.read().decode()
                except OSError:
                    if process.poll() is not None or time.monotonic() > until:
                        raise AssertionError("the app does not answer") from None
                    time.sleep(0.05)

    return ask


@pytest.fixture
def keeps_the_contract(tmp_path, mirror):
    """Put a buildpack through the contract as an author does, with a small app."""

    def check(buildpack, files, **variables):
        app = written(tmp_path / "app", files)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
                *("--cnb-buildpack", BUILDPACKS / buildpack, "--cnb-app", app),
                *(f"--cnb-env={name}={value}" for name, value in variables.items()),
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert mirror.requests("GET"), "no registry was asked"

    return check


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    with RegistryMirror(run_directory(tmp_path_factory, "mirror-of-registries")) as started:
        yield started


@pytest.fixture
def debian():
    if shutil.which("apt-get") is None:
        pytest.skip("apt is not at hand")
    need("http://deb.debian.org/debian/")


@pytest.fixture
def npm():
    need("https://registry.npmjs.org/")


@pytest.fixture
def maven_central():
    need("https://repo.maven.apache.org/maven2/")


def test_the_sample_app_is_built_with_packages_of_pypi(built_twice, answer):
    need("https://pypi.org/simple/")
    sample = BUILDPACKS / "samples" / "web-python"
    built_twice({path.name: path.read_text() for path in sample.iterdir()}, "python-pip", "procfile")
    assert "<h1>Hello, world!</h1>" in answer()


STATIC = {"public/index.html": "<h1>hello</h1>\n"}


def test_a_static_site_is_served_by_debian_s_nginx(built_twice, answer, debian):
    built_twice(STATIC, "ca-certificates", "static")
    assert answer() == "<h1>hello</h1>\n"


def test_static_keeps_the_contract(keeps_the_contract, mirror, debian):
    keeps_the_contract("static", STATIC, http_proxy=mirror.url)


def test_programs_of_an_aptfile_are_there_for_the_app(built_twice, lifecycle, debian):
    built_twice({"Aptfile": "tree\njq\n", "Procfile": "web: echo '[1]' | jq -c '[.[]+1]'\n"}, "apt", "procfile")
    output, _ = lifecycle("run").communicate()
    assert output == "[2]\n"


def test_apt_keeps_the_contract(keeps_the_contract, mirror, debian):
    keeps_the_contract("apt", {"Aptfile": "tree\n"}, http_proxy=mirror.url)


IS_NUMBER = {
    "version": "7.0.0",
    "resolved": "https://registry.npmjs.org/is-number/-/is-number-7.0.0.tgz",
    "integrity": "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==",
}
NPM_PACKAGES = {
    "node_modules/is-number": IS_NUMBER,
    "node_modules/lru-cache": {"version": "6.0.0", "dev": True, "dependencies": {"yallist": "^4.0.0"}},
    "node_modules/semver": {"version": "7.5.4", "dev": True, "dependencies": {"lru-cache": "^6.0.0"}},
    "node_modules/yallist": {"version": "4.0.0", "dev": True},
}


def test_a_node_app_is_built_with_packages_of_npm(built_twice, answer, npm):
    package = {
        "name": "hello",
        "version": "1.0.0",
        "engines": {"node": "22.x"},
        "scripts": {
            "build": "node -e \"require('semver'); require('fs').writeFileSync('built', 'by npm')\"",
            "start": "node server.js",
        },
        "dependencies": {"is-number": "7.0.0"},
        "devDependencies": {"semver": "7.5.4"},
    }
    lock = {
        "name": "hello",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {
                "name": "hello",
                "version": "1.0.0",
                "dependencies": {"is-number": "7.0.0"},
                "devDependencies": {"semver": "7.5.4"},
            },
            **NPM_PACKAGES,
        },
    }
    server = (
        "const fs = require('fs'); const isNumber = require('is-number');\n"
        "require('http').createServer((_, response) => response.end("
        "`${isNumber(5)} ${fs.readFileSync('built')} ${fs.existsSync('node_modules/semver')} ${process.env.NODE_ENV}`"
        ")).listen(process.env.PORT);\n"
    )
    files = {"package.json": json.dumps(package), "package-lock.json": json.dumps(lock), "server.js": server}
    log = built_twice(files, "node")
    assert "Reusing layer modules" in log
    assert answer() == "true by npm false production"


def test_scripts_and_workspaces_of_a_node_app_see_the_app(built_twice, answer, npm):
    package = {
        "name": "hello",
        "version": "1.0.0",
        "workspaces": ["packages/*"],
        "scripts": {
            "postinstall": "node -p \"require('semver').major('4.2.0')\" > generated",
            "prestart": "test -f generated",
        },
        "dependencies": {"is-number": "7.0.0"},
        "devDependencies": {"semver": "7.5.4"},
    }
    own = {"name": "own", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}
    lock = {
        "name": "hello",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {key: package[key] for key in package if key != "scripts"} | {"hasInstallScript": True},
            "packages/own": own,
            "node_modules/own": {"resolved": "packages/own", "link": True},
            **NPM_PACKAGES,
        },
    }
    server = (
        "const fs = require('fs');\n"
        "require('http').createServer((_, response) => response.end("
        "`${require('own')} ${fs.readFileSync('generated')} ${fs.existsSync('node_modules/semver')}`"
        ")).listen(process.env.PORT);\n"
    )
    files = {
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps(lock),
        "packages/own/package.json": json.dumps(own),
        "packages/own/index.js": "module.exports = require('is-number')(5);\n",
        "server.js": server,
    }
    built_twice(files, "node")
    assert answer().split() == ["true", "4", "false"]


def test_node_keeps_the_contract(keeps_the_contract, mirror, npm):
    package = {"name": "hello", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}
    lock = {"lockfileVersion": 3, "packages": {"": package, "node_modules/is-number": IS_NUMBER}}
    files = {"package.json": json.dumps(package), "package-lock.json": json.dumps(lock), "server.js": ""}
    keeps_the_contract("node", files, NPM_CONFIG_REGISTRY=mirror.of("registry.npmjs.org"))


JAVA_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>demo</groupId><artifactId>hello</artifactId><version>1.0</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency><groupId>com.google.code.gson</groupId><artifactId>gson</artifactId><version>2.10.1</version></dependency>
  </dependencies>
  <build><plugins>
    <plugin>
      <artifactId>maven-jar-plugin</artifactId>
      <configuration><archive><manifest><mainClass>demo.Hello</mainClass></manifest></archive></configuration>
    </plugin>
    <!-- Plugins without work would be downloaded all the same. -->
    <plugin>
      <artifactId>maven-resources-plugin</artifactId>
      <executions>
        <execution><id>default-resources</id><phase>none</phase></execution>
        <execution><id>default-testResources</id><phase>none</phase></execution>
      </executions>
    </plugin>
    <plugin>
      <artifactId>maven-surefire-plugin</artifactId>
      <executions><execution><id>default-test</id><phase>none</phase></execution></executions>
    </plugin>
  </plugins></build>
</project>
"""
JAVA_SOURCE = """\
package demo;
import com.google.gson.Gson;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import java.security.KeyStore;
public class Hello {
  public static void main(String[] args) throws Exception {
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init((KeyStore) null);
    boolean trusts = ((X509TrustManager) trust.getTrustManagers()[0]).getAcceptedIssuers().length > 0;
    Map<String, Object> facts = new TreeMap<>(Map.of("trusts", trusts, "sources", Files.exists(Path.of("pom.xml"))));
    byte[] body = new Gson().toJson(facts).getBytes();
    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/", exchange -> {
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}
"""


JAVA = {
    "pom.xml": JAVA_POM,
    "src/main/java/demo/Hello.java": JAVA_SOURCE,
    ".mvn/maven.config": "-Daether.dependencyCollector.impl=bf\n",
}


def test_a_java_app_is_built_with_maven_and_runs_with_debian_s_java(built_twice, answer, debian, maven_central):
    log = built_twice(JAVA, "java")
    assert "Reusing layer artifact" in log
    assert "mvn" not in log
    assert json.loads(answer()) == {"trusts": True, "sources": False}


def test_java_keeps_the_contract(keeps_the_contract, mirror, debian, maven_central):
    keeps_the_contract(
        "java",
        JAVA,
        http_proxy=mirror.url,
        BP_MAVEN_CENTRAL=mirror.of("repo.maven.apache.org/maven2"),
        MAVEN_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    )
