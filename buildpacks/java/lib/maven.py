"""Maven: the program itself, its settings, and how it is called."""

from __future__ import annotations

import shlex
import tempfile
import urllib.parse
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import truststore

import cnb_buildpack as bp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CENTRAL = "https://repo.maven.apache.org/maven2"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin"
_MIRROR = "BP_MAVEN_CENTRAL"
_ARGUMENTS = "BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS"
_SETTINGS = """\
<settings>
  <servers>{server}</servers>
  <mirrors>
    <mirror><id>central-mirror</id><mirrorOf>central</mirrorOf><url>{url}</url></mirror>
    <mirror>
      <id>maven-default-http-blocker</id><mirrorOf>external:http:*</mirrorOf>
      <url>http://0.0.0.0/</url><blocked>true</blocked>
    </mirror>
  </mirrors>
</settings>
"""
_SERVER = "<server><id>central-mirror</id><username>{user}</username><password>{password}</password></server>"
_ALWAYS = (
    "-B",
    "-ntp",
    "-Dmaven.test.skip=true",
    # Times in a jar are those of no build.
    "-Dproject.build.outputTimestamp=1980-01-01T00:00:02Z",
)


def unpack(version: str, sha512: str, env: Mapping[str, str], directory: Path) -> None:
    """Put Maven into a directory; raise ``BuildpackError`` for other bytes than those the buildpack names."""
    base = (env.get(_MIRROR) or CENTRAL).rstrip("/")
    url = f"{base}/org/apache/maven/apache-maven/{version}/apache-maven-{version}-bin.tar.gz"
    bp.fetch_unpacked(url, directory, sha512=sha512, strip=1)


def arguments(env: Mapping[str, str]) -> list[str]:
    """Return the arguments that the user adds; raise ``BuildpackError`` if a quote is open."""
    try:
        return shlex.split(env.get(_ARGUMENTS, ""))
    except ValueError as error:
        raise bp.BuildpackError(f"{_ARGUMENTS}: {error}", fix="close every quote") from error


def run(context: bp.BuildContext, home: Path, repository: Path, env: Mapping[str, str], goals: Sequence[str]) -> None:
    """Let Maven reach some goals in the app; ``repository`` keeps what it downloads."""
    with settings(context) as options:
        bp.run(
            [home / "bin" / "mvn", *_ALWAYS, f"-Dmaven.repo.local={repository}", *options, *arguments(env), *goals],
            cwd=context.app_dir,
            env={name: value for name, value in env.items() if name != _MIRROR},
            fix=f"make it pass with: mvn package; BP_JVM_VERSION, {_ARGUMENTS} and a binding of type maven change how"
            " it is called",
        )


def library_goals(app_dir: Path, plugin_version: str) -> list[str]:
    """Return the goals that put what a jar needs to run beside it."""
    copy = [f"{_PLUGIN}:{plugin_version}:copy-dependencies", "-DincludeScope=runtime"]
    # What one module needs of another is known only where both are packaged.
    has_modules = b"<module>" in (app_dir / "pom.xml").read_bytes()
    return ["package", *copy] if has_modules else copy


@contextmanager
def settings(context: bp.BuildContext) -> Iterator[list[str]]:
    """Yield the arguments that name the files of settings."""
    binding = context.platform.binding("maven")
    options: list[str] = [] if binding is None else ["--settings", str(binding.file("settings.xml"))]
    url = context.env.get(_MIRROR)
    if not url:
        yield options
        return
    with tempfile.TemporaryDirectory(prefix="maven-") as temporary:
        path = Path(temporary, "settings.xml")
        path.touch(mode=0o600)
        path.write_text(mirror_settings(url), encoding="utf-8")
        yield ["--global-settings", str(path), *options]


def mirror_settings(url: str) -> str:
    """Return settings by which a mirror stands for Central, with the credentials of its URL."""
    parts = urllib.parse.urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    user, _, password = (urllib.parse.unquote(each) for each in credentials.partition(":"))
    server = _SERVER.format(user=escape(user), password=escape(password)) if credentials else ""
    return _SETTINGS.format(server=server, url=escape(urllib.parse.urlunsplit(parts._replace(netloc=host))))


def environment(env: Mapping[str, str], java_home: Path, store: Path) -> dict[str, str]:
    """Return the environment in which Maven, and every Java that it starts, trusts what the system trusts."""
    # The script mvn splits MAVEN_OPTS at blanks; this variable of Java itself knows quotes.
    options = _quoted(
        [
            f"-Djavax.net.ssl.trustStore={store}",
            "-Djavax.net.ssl.trustStoreType=JKS",
            f"-Djavax.net.ssl.trustStorePassword={truststore.PASSWORD}",
        ]
    )
    return {
        **env,
        "JAVA_HOME": str(java_home),
        "PATH": f"{java_home / 'bin'}:{env.get('PATH', '')}",
        "JDK_JAVA_OPTIONS": f"{options} {env.get('JDK_JAVA_OPTIONS', '')}".strip(),
    }


def _quoted(words: Sequence[str]) -> str:
    return " ".join(f'"{word}"' for word in words)
