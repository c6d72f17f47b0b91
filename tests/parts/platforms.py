"""Builds in containers as pack, Spring Boot, kpack and Tekton run them.  Facts: spec/clients.md."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from parts.builder_image import BuilderImages
from parts.containers import Call, Ended, run_in_order, volumes_of_one_build
from parts.dockerd import Daemon

PROJECT_METADATA = '[source]\ntype = "project"\n[source.version]\ndeclared = "1.0.0"\n'
NO_NEW_PRIVILEGES = ("--security-opt", "no-new-privileges=true")

_APP = ("-app", "/workspace")
_LAYERS = ("-layers", "/layers")
_PLATFORM = ("-platform", "/platform")
_CACHE = ("-cache-dir", "/cache")
_LAUNCH_CACHE = ("-launch-cache", "/launch-cache")


@dataclass(frozen=True, kw_only=True)
class PackBuild:
    """`pack build`: internal/build/lifecycle_execution.go."""

    daemon: Daemon
    images: BuilderImages
    app: Path
    api: str
    image: str
    caches: str
    """What the names of the cache volumes begin with: builds with the same caches follow each other."""
    run_image: str
    to: Literal["daemon", "registry", "layout"] = "daemon"
    cache_image: str = ""
    tags: tuple[str, ...] = ()
    previous_image: str = ""
    layout_mounts: tuple[str, ...] = ()
    """Volumes for output to a layout."""
    insecure_registries: tuple[str, ...] = ()
    registry_auth: str = "{}"
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    """More options of `docker create`, for every phase."""

    def trusted(self) -> list[Ended]:
        """Run the creator, as for a builder that the user trusts."""
        flags = [*self._daemon_flags, "-app", "/workspace", "-cache-dir", "/cache", "-run-image", self.run_image]
        flags += [part for tag in self.tags for part in ("-tag", tag)]
        flags += [*self._insecure, *self._previous, *self._cache_image]
        with volumes_of_one_build(self.daemon) as volumes:
            call = self._call(
                "creator", self.images.builder, [*flags, self.image], volumes,
                mounts=[*self._cache_mount, *self._launch_cache_mount, *self.layout_mounts],
                files={"/layers/project-metadata.toml": PROJECT_METADATA}, app=self.app,
            )  # fmt: skip
            return run_in_order(self.daemon, [call], self.images.user)

    def untrusted(self) -> list[Ended]:
        """Run the five phases, each in a container of its own."""
        with volumes_of_one_build(self.daemon) as volumes:
            calls = [each(volumes) for each in (self._analyzer, self._detector, self._restorer, self._builder)]
            return run_in_order(self.daemon, [*calls, self._exporter(volumes)], self.images.user)

    def _analyzer(self, volumes: list[str]) -> Call:
        has_launch_cache = self._at_least("0.9") and self.to == "daemon"
        flags = [*self._cache_image, *self._insecure, *self._daemon_flags[:1], *self._which_run]
        flags += ["-run-image", self.run_image]
        flags += [part for tag in self.tags for part in ("-tag", tag)]
        flags += self._previous
        flags += ["-launch-cache", "/launch-cache"] if has_launch_cache else []
        return self._call(
            "analyzer", self.images.lifecycle, [*flags, self.image], volumes,
            mounts=[*(self._launch_cache_mount if has_launch_cache else []), *self.layout_mounts],
            files=self._run_files(only=True),
        )  # fmt: skip

    def _detector(self, volumes: list[str]) -> Call:
        return Call(
            "detector", self.images.builder, ["-app", "/workspace"], environment=self._common, mounts=volumes,
            options=[*NO_NEW_PRIVILEGES, *self.options], app=self.app,
        )  # fmt: skip

    def _restorer(self, volumes: list[str]) -> Call:
        flags = [*(self._cache_image or ["-cache-dir", "/cache"]), *self._insecure]
        uses_daemon = self.to == "daemon" and self._at_least("0.12")
        flags += ["-daemon"] if uses_daemon else []
        return self._call(
            "restorer", self.images.lifecycle, flags, volumes, uses_daemon=uses_daemon,
            mounts=[*self._cache_mount, *self.layout_mounts], reads_registry=bool(self.cache_image),
        )  # fmt: skip

    def _builder(self, volumes: list[str]) -> Call:
        return Call(
            "builder", self.images.builder, ["-app", "/workspace"], environment=self._common, mounts=volumes,
            options=[*NO_NEW_PRIVILEGES, *self.options],
        )  # fmt: skip

    def _exporter(self, volumes: list[str]) -> Call:
        flags = [*self._daemon_flags, "-app", "/workspace", "-cache-dir", "/cache", *self._which_run]
        flags += [*self._insecure, *self._cache_image]
        return self._call(
            "exporter", self.images.lifecycle, [*flags, self.image, *self.tags], volumes,
            mounts=[*self._cache_mount, *self._launch_cache_mount, *self.layout_mounts],
            files={**self._run_files(only=False), "/layers/project-metadata.toml": PROJECT_METADATA},
        )  # fmt: skip

    def _call(
        self,
        phase: str,
        image: str,
        arguments: Sequence[str],
        volumes: Sequence[str],
        *,
        mounts: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        app: Path | None = None,
        uses_daemon: bool | None = None,
        reads_registry: bool = True,
    ) -> Call:
        """Return the call of a phase that is started as root, with the daemon or with registries."""
        uses_daemon = self.to == "daemon" if uses_daemon is None else uses_daemon
        environment = dict(self._common)
        if phase != "creator":
            uid, gid = self.images.user
            environment |= {"CNB_USER_ID": str(uid), "CNB_GROUP_ID": str(gid)}
        if self.to != "daemon" and reads_registry:
            environment["CNB_REGISTRY_AUTH"] = self.registry_auth
        if self.to == "layout":
            environment |= {
                "CNB_USE_LAYOUT": "true",
                "CNB_LAYOUT_DIR": "/layout-repo",
                "CNB_EXPERIMENTAL_MODE": "warn",
            }
        sockets = [f"{self.daemon.socket}:/var/run/docker.sock"] if uses_daemon else []
        security = ("--security-opt", "label=disable") if uses_daemon else NO_NEW_PRIVILEGES
        return Call(
            phase, image, arguments, user="root", environment=environment, mounts=[*volumes, *mounts, *sockets],
            options=[*security, *self.options], files=files or {}, app=app,
        )  # fmt: skip

    def _at_least(self, api: str) -> bool:
        return _version(self.api) >= _version(api)

    @property
    def _common(self) -> Mapping[str, str]:
        """What every phase has in its environment."""
        exec_env = {"CNB_EXEC_ENV": "production"} if self._at_least("0.15") else {}
        return {"CNB_PLATFORM_API": self.api, **exec_env, **self.environment}

    @property
    def _daemon_flags(self) -> list[str]:
        return ["-daemon", "-launch-cache", "/launch-cache"] if self.to == "daemon" else []

    @property
    def _cache_mount(self) -> list[str]:
        return [] if self.cache_image else [f"{self.caches}.build:/cache"]

    @property
    def _launch_cache_mount(self) -> list[str]:
        return [f"{self.caches}.launch:/launch-cache"] if self.to == "daemon" else []

    @property
    def _cache_image(self) -> list[str]:
        return ["-cache-image", self.cache_image] if self.cache_image else []

    @property
    def _previous(self) -> list[str]:
        return ["-previous-image", self.previous_image] if self.previous_image else []

    @property
    def _insecure(self) -> list[str]:
        names = self.insecure_registries if self._at_least("0.13") else ()
        return [part for name in names for part in ("-insecure-registry", name)]

    @property
    def _which_run(self) -> list[str]:
        return ["-run", "/layers/run.toml"] if self._at_least("0.12") else ["-stack", "/layers/stack.toml"]

    def _run_files(self, *, only: bool) -> Mapping[str, str]:
        """Return what pack writes of the builder's run images: `only` what this API reads, or both."""
        files = {
            "/layers/run.toml": f'[[images]]\nimage = "{self.images.run}"\n',
            "/layers/stack.toml": f'[run-image]\nimage = "{self.images.run}"\n',
        }
        return {name: text for name, text in files.items() if not only or name in self._which_run}


@dataclass(frozen=True, kw_only=True)
class SpringBootBuild:
    """`bootBuildImage`: Lifecycle.java, Phase.java."""

    daemon: Daemon
    images: BuilderImages
    app: Path
    image: str
    caches: str

    def trusted(self, *, skip_restore: bool = False) -> list[Ended]:
        """Run the creator, as for a builder that the user trusts."""
        flags = [*_APP, *_PLATFORM, *self._run_image, *_LAYERS, *_CACHE, *_LAUNCH_CACHE, "-daemon"]
        flags += ["-skip-restore"] if skip_restore else []
        with volumes_of_one_build(self.daemon) as volumes:
            mounts = [*volumes, *self._caches]
            call = self._call("creator", [*flags, self.image], mounts, daemon=True, created=True, app=self.app)
            return run_in_order(self.daemon, [call], self.images.user)

    def untrusted(self) -> list[Ended]:
        """Run the five phases, all in the builder."""
        build, launch = self._caches
        with volumes_of_one_build(self.daemon) as volumes:
            layers = volumes[:1]
            analyze = ["-daemon", *_LAUNCH_CACHE, *_LAYERS, *self._run_image, self.image]
            export = ["-daemon", *_APP, *_CACHE, *_LAUNCH_CACHE, *_LAYERS, self.image]
            calls = [
                self._call("analyzer", analyze, [launch, *layers], daemon=True),
                self._call("detector", [*_APP, *_LAYERS, *_PLATFORM], volumes, app=self.app),
                self._call("restorer", ["-daemon", *_CACHE, *_LAYERS], [build, *layers], daemon=True),
                self._call("builder", [*_APP, *_LAYERS, *_PLATFORM], volumes),
                self._call("exporter", export, [*volumes, build, launch], daemon=True, created=True),
            ]
            return run_in_order(self.daemon, calls, self.images.user)

    def _call(
        self,
        phase: str,
        arguments: Sequence[str],
        mounts: Sequence[str],
        *,
        daemon: bool = False,
        created: bool = False,
        app: Path | None = None,
    ) -> Call:
        """Return the call of a phase that is root's if it uses the daemon; `created` tells it the image's date."""
        environment = {"CNB_PLATFORM_API": "0.14"} | ({"SOURCE_DATE_EPOCH": "1700000000"} if created else {})
        sockets = [f"{self.daemon.socket}:/var/run/docker.sock"] if daemon else []
        return Call(
            phase, self.images.builder, arguments, user="root" if daemon else "", environment=environment,
            mounts=[*mounts, *sockets], options=["--security-opt", "label=disable"] if daemon else [], app=app,
        )  # fmt: skip

    @property
    def _run_image(self) -> list[str]:
        return ["-run-image", self.images.run]

    @property
    def _caches(self) -> list[str]:
        return [f"{self.caches}.build:/cache", f"{self.caches}.launch:/launch-cache"]


@dataclass(frozen=True, kw_only=True)
class KpackBuild:
    """A pod of kpack's (pkg/apis/build/v1alpha2/build_pod.go): every phase is one user's, who is never root."""

    daemon: Daemon
    images: BuilderImages
    directory: Path
    """Holds the pod's volumes."""
    app: Path
    api: str
    image: str
    run_image: str
    user: tuple[int, int]
    cache_image: str = ""
    last_cache_image: str = ""
    """What the last build left at `cache_image`, by its digest; the first build has none."""
    last_image: str = ""
    tags: tuple[str, ...] = ()
    docker_config: str = "{}"
    options: tuple[str, ...] = ()

    def run(self) -> list[Ended]:
        """Prepare the pod's volumes and run the phases in them."""
        names = ("layers", "workspace", "platform", "home", "cache", "report")
        volumes = _emptied(self.directory, names)
        shutil.copytree(self.app, volumes["workspace"], dirs_exist_ok=True)
        files = {
            volumes["home"] / ".docker" / "config.json": self.docker_config,
            volumes["platform"] / "env" / "FROM_KPACK": "yes",
            volumes["layers"] / "project-metadata.toml": PROJECT_METADATA,
        }
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in volumes.values():
            self._give_to_group(path)
        targets = {"home": "/builder/home", "report": "/var/report"}
        mounts = {name: f"{path}:{targets.get(name, f'/{name}')}" for name, path in volumes.items()}
        return run_in_order(self.daemon, self._calls(mounts))

    def _give_to_group(self, root: Path) -> None:
        """Let the user's group write there, as `fsGroup` does."""
        for path in (root, *root.rglob("*")):
            os.chown(path, -1, self.user[1], follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))

    def _calls(self, mounts: Mapping[str, str]) -> list[Call]:
        layers = ["-layers=/layers"]
        group, analyzed = "-group=/layers/group.toml", "-analyzed=/layers/analyzed.toml"
        app, plan = "-app=/workspace", "-plan=/layers/plan.toml"
        written = [f"-cache-image={self.cache_image}"] if self.cache_image else ["-cache-dir=/cache"]
        read = [f"-cache-image={self.last_cache_image}"] if self.last_cache_image else written
        home = {"HOME": "/builder/home", "CNB_PLATFORM_API": self.api}
        api = {"CNB_PLATFORM_API": self.api}
        bindings = {"SERVICE_BINDING_ROOT": "/platform/bindings"}
        cache = [] if self.cache_image else ["cache"]

        def call(phase: str, arguments: list[str], environment: Mapping[str, str], names: list[str]) -> Call:
            uid, gid = self.user
            return Call(
                phase, self.images.builder, arguments, user=f"{uid}:{gid}", environment=environment,
                mounts=[mounts[name] for name in names],
                options=[*NO_NEW_PRIVILEGES, "--cap-drop=ALL", *self.options],
            )  # fmt: skip

        analyze = [*layers, analyzed, f"-run-image={self.run_image}", *(read if self.cache_image else [])]
        analyze += [f"-tag={tag}" for tag in self.tags]
        analyze += [*([f"-previous-image={self.last_image}"] if self.last_image else []), self.image]
        export = [*layers, app, group, analyzed, "-project-metadata=/layers/project-metadata.toml", *written]
        export += ["-report=/var/report/report.toml", self.image, *self.tags]
        builds = ["layers", "platform", "workspace"]
        return [
            call("analyzer", analyze, home | bindings, ["layers", "workspace", "home"]),
            call("detector", [app, group, plan], api, builds),
            call("restorer", [group, *layers, *read, analyzed], home, ["layers", "home", *cache]),
            call("builder", [*layers, app, group, plan], api | bindings, builds),
            call(
                "exporter", export, home | {"CNB_RUN_IMAGE": self.run_image},
                ["layers", "workspace", "home", "report", *cache],
            ),
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TektonBuild:
    """A run of the tasks of Tekton's catalog with their defaults: what is not said is an empty value."""

    daemon: Daemon
    images: BuilderImages
    builder: str
    """The builder's name in a registry, where the restorer looks for the build image."""
    directory: Path
    """Holds the task's volumes."""
    app: Path
    image: str
    run_image: str = ""
    tag: str = ""

    def phases(self) -> list[Ended]:
        """`buildpacks-phases` 0.3 for a builder without extensions."""
        names = ("layers", "cache", "kaniko", "platform", "home", "source")
        mounts = self._volumes(names)
        ids = [f"-uid={self.images.user[0]}", f"-gid={self.images.user[1]}"]
        layers, group, plan = "-layers=/layers", "-group=/layers/group.toml", "-plan=/layers/plan.toml"
        app, platform = "-app=/workspace/source/", "-platform=/platform"
        cache = ["-cache-dir=/workspace/cache", "-cache-image="]

        def call(phase: str, arguments: list[str], *, volume: str = "") -> Call:
            environment = {"CNB_EXPERIMENTAL_MODE": "silent", "HOME": "/tekton/home", "CNB_PLATFORM_API": "0.13"}
            return Call(
                phase, self.images.builder, ["-log-level=info", *arguments], environment=environment,
                mounts=[mounts[name] for name in names if name in {"layers", "cache", "home", "source", volume}],
            )  # fmt: skip

        analyze = [layers, f"-run-image={self.run_image}", "-cache-image=", *ids, "-insecure-registry="]
        analyze += [f"-tag={self.tag}", "-skip-layers=false", self.image]
        # The step that restores gives a variable that it lacks: the layers are in the image's working directory.
        restore = [f"-build-image={self.builder}", group, "-layers=", *cache, *ids, "-insecure-registry="]
        export = [app, layers, group, *cache, "-report=/layers/report.toml", "-process-type=web", *ids]
        return run_in_order(
            self.daemon,
            [
                call("analyzer", analyze),
                call("detector", [app, group, plan, layers, platform], volume="platform"),
                call("restorer", [*restore, "-skip-layers=false"], volume="kaniko"),
                call("builder", [app, layers, group, plan, platform], volume="platform"),
                call("exporter", [*export, "-insecure-registry=", self.image]),
            ],
        )

    def creator(self) -> list[Ended]:
        """`buildpacks` 0.6 without a workspace for the cache."""
        mounts = self._volumes(("layers", "platform", "home", "source"))
        uid, gid = self.images.user
        arguments = ["-app=/workspace/source/", "-cache-dir=", "-cache-image=", f"-uid={uid}", f"-gid={gid}"]
        arguments += ["-layers=/layers", "-platform=/platform", "-report=/layers/report.toml", "-process-type=web"]
        arguments += ["-skip-restore=false", f"-previous-image={self.image}", f"-run-image={self.run_image}"]
        call = Call(
            "creator", self.images.builder, [*arguments, self.image], user=f"{uid}:{gid}",
            environment={"CNB_PLATFORM_API": "0.9", "DOCKER_CONFIG": ""}, mounts=list(mounts.values()),
        )  # fmt: skip
        return run_in_order(self.daemon, [call])

    def _volumes(self, names: Sequence[str]) -> Mapping[str, str]:
        """Empty all but the cache, and give them to the user, as the task's first step does."""
        targets = {"cache": "/workspace/cache", "home": "/tekton/home", "source": "/workspace/source"}
        volumes = _emptied(self.directory, names)
        shutil.copytree(self.app, volumes["source"], dirs_exist_ok=True)
        (volumes["platform"] / "env").mkdir()
        (volumes["platform"] / "env" / "FROM_TEKTON").write_text("yes")
        for path in volumes.values():
            for each in (path, *path.rglob("*")):
                os.chown(each, *self.images.user, follow_symlinks=False)
        return {name: f"{path}:{targets.get(name, f'/{name}')}" for name, path in volumes.items()}


def _emptied(directory: Path, names: Sequence[str]) -> dict[str, Path]:
    """Make the volumes of a build, by name; only that of the cache keeps what it has."""
    volumes = {name: directory / name for name in names}
    for name, path in volumes.items():
        if name != "cache":
            shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, exist_ok=True)
    return volumes


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
