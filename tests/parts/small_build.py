"""A root directory with a small build in it: an app, a buildpack of shell scripts, a run image in an OCI layout."""

import os
from dataclasses import dataclass
from pathlib import Path

from lifecycle.images.image_platform import host_platform
from lifecycle.images.layout import LayoutStore
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.layers.members import Members, made_directory
from lifecycle.oci.config import ImageConfig

APP = "app"
RUN = "run"
PHASES = ("analyzer", "detector", "restorer", "builder", "exporter")

_BUILDPACK = """\
api = "0.10"

[buildpack]
id = "test/small"
version = "1.0.0"

[[targets]]
os = "linux"
"""
_BUILD = """\
#!/bin/sh
set -e
mkdir -p "$CNB_LAYERS_DIR/made"
echo made > "$CNB_LAYERS_DIR/made/file"
printf '[types]\\nlaunch = true\\ncache = true\\n' > "$CNB_LAYERS_DIR/made.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["/workspace/start"]\\ndefault = true\\n' > "$CNB_LAYERS_DIR/launch.toml"
"""


@dataclass(frozen=True)
class SmallBuild:
    """Directories below `root` as phases see them below /; `prefix` is what their paths begin with."""

    root: Path
    prefix: str = ""

    def arguments(self, phase: str) -> list[str]:
        """The command line of a phase, without its executable."""
        at = self.prefix
        layout = ["-layout", "-layout-dir", f"{at}/layout"]
        app, layers, cache = ["-app", f"{at}/workspace"], ["-layers", f"{at}/layers"], ["-cache-dir", f"{at}/cache"]
        builder = ["-buildpacks", f"{at}/cnb/buildpacks"]
        platform = ["-platform", f"{at}/platform"]
        run = ["-run", f"{at}/cnb/run.toml"]
        launcher = ["-launcher", f"{at}/cnb/lifecycle/launcher", "-launcher-sbom", f"{at}/cnb/lifecycle"]
        order = ["-order", f"{at}/cnb/order.toml"]
        return {
            "analyzer": [*layers, *layout, *run, "-run-image", RUN, APP],
            "detector": [*app, *layers, *platform, *builder, *order, *run],
            "restorer": [*layers, *layout, *cache],
            "builder": [*app, *layers, *platform, *builder],
            "exporter": [*app, *layers, *layout, *cache, *run, *launcher, APP],
            "creator": [
                *app, *layers, *layout, *cache, *run, *launcher, *platform, *builder, *order, "-run-image", RUN, APP,
            ],
        }[phase]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """What a platform sets."""
        return {
            "CNB_PLATFORM_API": "0.12",
            "CNB_EXPERIMENTAL_MODE": "quiet",
            "CNB_NO_COLOR": "true",
            "PATH": "/usr/bin:/bin",
        }

    def image_id(self) -> str:
        """The digest of the app image's configuration."""
        found = LayoutStore(self.root / "layout").find(APP)
        assert found is not None
        return str(found.manifest.config.digest)


def make_small_build(root: Path, *, prefix: str = "", owner: int | None = None) -> SmallBuild:
    """Fill `root`; the directories that phases write belong to `owner` where one is given."""
    for name in ("layers", "workspace", "cache", "platform/env", "layout", "cnb/lifecycle", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    buildpack = root / "cnb" / "buildpacks" / "test_small" / "1.0.0"
    _write(buildpack / "buildpack.toml", _BUILDPACK)
    _write(buildpack / "bin" / "detect", "#!/bin/sh\nexit 0\n", 0o755)
    _write(buildpack / "bin" / "build", _BUILD, 0o755)
    _write(root / "cnb" / "order.toml", '[[order]]\n[[order.group]]\nid = "test/small"\nversion = "1.0.0"\n')
    _write(root / "cnb" / "run.toml", f'[[images]]\nimage = "{RUN}"\n')
    _write(root / "workspace" / "start", "#!/bin/sh\necho started\n", 0o755)
    _put_run_image(root / "layout", root / "tmp")
    if owner is not None:
        for path in (root / name for name in ("layers", "workspace", "cache", "layout")):
            for each in (path, *path.rglob("*")):
                os.chown(each, owner, owner)
    return SmallBuild(root, prefix)


def _put_run_image(layout: Path, work_dir: Path) -> None:
    blob = write_blob(Members((made_directory(b"/etc"),)), work_dir)
    architecture = host_platform().architecture
    image = NewImage(None, (blob,), ImageConfig(architecture, "linux", (blob.diff_id,)))
    LayoutStore(layout).write(image, [RUN])
    blob.path.unlink()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
