"""Builds by phases as processes, with images in a registry, and the buildpack that they run."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.images.scratch import scratch_image
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from parts.phases import USER, Finished, Place

if TYPE_CHECKING:
    from lifecycle.images.registry.store import RegistryStore

BUILD = r"""
cd "$CNB_LAYERS_DIR"
find . -type f | sort | sed 's/^/found /'
n=$(sed -n 's/.*n = "\(.*\)"/\1/p' store.toml 2>/dev/null)
mkdir -p kept both run tool
echo kept >> kept/data
echo both > both/data
echo run > run/data
for layer in 'kept cache' 'both cache launch' 'run launch' 'tool build'; do
    set -- $layer
    name=$1
    shift
    { echo "[types]"; for type; do echo "$type = true"; done; echo "[metadata]"; echo "of = \"$name\""; } > $name.toml
done
printf '[metadata]\nn = "%s"\n' "$((${n:-0} + 1))" > store.toml
printf '{"of":"launch"}' > launch.sbom.cdx.json
printf '{"of":"build"}' > build.sbom.cdx.json
printf '{"of":"kept"}' > kept.sbom.cdx.json
printf '{"of":"run"}' > run.sbom.cdx.json
cat > launch.toml <<'END'
[[labels]]
key = "of.buildpack"
value = "first"
[[processes]]
type = "web"
command = ["true", "a"]
args = ["b"]
default = true
[[slices]]
paths = ["*.txt"]
[[bom]]
name = "launched"
END
printf '[[bom]]\nname = "built"\n' > build.toml
"""
TOML = (
    'api = "0.10"\n[buildpack]\nid = "a/b"\nversion = "1"\n'
    'sbom-formats = ["application/vnd.cyclonedx+json"]\n[[targets]]\nos = "linux"\n'
)


class Chunks:
    def chunks(self):
        yield b"run image".ljust(512, b"\0") + bytes(1024)


@dataclass
class Builds:
    """One app and its buildpack, built by phases with images in a registry."""

    place: Place
    store: RegistryStore
    repository: str

    def __post_init__(self) -> None:
        self.place.buildpack(build=BUILD, toml=TOML)
        self.place.write("app/main.txt", "main")
        self.place.write("app/other", "other")
        self.place.write("launcher", "launcher")
        (self.place.root / "cache").mkdir()
        base = scratch_image(architecture="amd64")
        blob = write_blob(Chunks(), self.place.root)
        config = replace(base.config, diff_ids=(blob.diff_id,), run={"Env": ["PATH=/bin"], "User": "1:1"})
        written = self.store.write(NewImage(None, (blob,), config), [self.name("run")])
        assert not written.failures
        self.place.write("run.toml", f'[[images]]\nimage = "{self.name("run")}"\n')
        self.place.write("stack.toml", f'[run-image]\nimage = "{self.name("run")}"\n')
        self.place.write("project.toml", '[source]\ntype = "git"\n')

    def name(self, image: str) -> str:
        return f"{self.repository}/{image}"

    def image(self, name: str = "app"):
        """Return an image of the registry."""
        return self.store.find(self.name(name))

    def _run(self, phase: str, *arguments, api: str, **more) -> Finished:
        return self.place.run(phase, *arguments, api=api, CNB_STACK_PATH=str(self.place.root / "stack.toml"), **more)

    def one(self, phase: str, *arguments, api: str = "0.15", **more) -> Finished:
        """Run a phase with all inputs that it has, and these."""
        ids = ("-uid", *self.ids[:1], "-gid", *self.ids[1:])
        cache = ("-cache-dir", self.place.root / "cache")
        launcher = ("-launcher", self.place.root / "launcher")
        project = ("-project-metadata", self.place.root / "project.toml")
        inputs = {
            "analyzer": ids,
            "restorer": (*ids, *cache),
            "exporter": (*ids, *cache, *launcher, *project),
            "creator": (*ids, *cache, *launcher, *project),
        }.get(phase, ())
        return self._run(phase, *inputs, *arguments, api=api, **more)

    @property
    def ids(self) -> tuple[int, int]:
        return (USER, USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())

    def five(self, *, api: str = "0.15", name: str = "app", **more) -> list[Finished]:
        """Build with the phases one by one."""
        done = []
        for phase in ("analyzer", "detector", "restorer", "builder", "exporter"):
            images = [self.name(name)] if phase in {"analyzer", "exporter"} else []
            done.append(self.one(phase, *images, api=api, **more))
            assert done[-1].code == 0, done[-1].output
        return done

    def create(self, *arguments, api: str = "0.15", name: str = "app", **more) -> Finished:
        """Build with the creator."""
        return self.one("creator", *arguments, self.name(name), api=api, **more)

    def start_again(self, *, cache: bool = True) -> None:
        """Give the next build a layers directory as a new container has it, and without ``cache`` an empty cache."""
        order = (self.place.layers / "order.toml").read_text()
        shutil.rmtree(self.place.layers)
        (self.place.layers / "config").mkdir(parents=True)
        self.place.write("layers/order.toml", order)
        if not cache:
            shutil.rmtree(self.place.root / "cache")
            (self.place.root / "cache").mkdir()

    def files(self) -> dict[str, str]:
        """Return what the build left for platforms, without the names of images."""
        names = ("analyzed.toml", "group.toml", "plan.toml", "report.toml", "config/metadata.toml")
        text = {name: (self.place.layers / name).read_text() for name in names}
        return {name: re.sub(rf"{re.escape(self.repository)}/app[^\"@:]*", "APP", each) for name, each in text.items()}


def found(done: Finished) -> set[str]:
    """Return the files that the buildpack saw in its layers directory."""
    return {line.removeprefix("found ./") for line in done.output.splitlines() if line.startswith("found ")}
