"""A last build: what its image says, what its cache holds, and where the next build restores it."""

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from lifecycle.cache.volume import VolumeCache
from lifecycle.layers.source import PathMapping, diff_id, directory_layer
from lifecycle.model.api import PLATFORM_APIS, PlatformApi
from lifecycle.model.group import GroupElement
from lifecycle.model.layer import Store
from lifecycle.model.lifecycle_metadata import (
    BuildpackLayer,
    BuildpackLayers,
    CacheMetadata,
    LayerSha,
    LifecycleMetadata,
)
from lifecycle.phases.restore import RestoreInputs, restore

IMAGE_LAYERS_DIR = PurePosixPath("/layers")


@dataclass
class LastBuild:
    """Remembers layers in the image, in the cache or in both, and restores them."""

    root: Path
    buildpacks: tuple[str, ...] = ("some/bp",)
    in_image: dict = field(default_factory=dict)
    in_cache: dict = field(default_factory=dict)
    stores: dict = field(default_factory=dict)
    cached_sboms: dict = field(default_factory=dict)
    has_cache: bool = True

    @property
    def old_layers_dir(self):
        return self.root / "old"

    @property
    def layers_dir(self):
        return self.root / "layers"

    @property
    def cache_dir(self):
        return self.root / "cache"

    def layer(self, name, *, bp="some/bp", flags, data=None, files=None, image=True, cache=None):
        """Add a layer; ``flags`` is for example "launch cache"; it is in the cache if it has the flag cache."""
        path = self.old_layers_dir / bp.replace("/", "_") / name
        path.mkdir(parents=True)
        for file, text in (files or {"file": f"content of {name}"}).items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(text)
        source = self.source(path)
        types = dict.fromkeys(flags.split(), True)
        remembered = BuildpackLayer(sha=diff_id(source)[0], data=data, **types)
        if image and "launch" in types:
            self.in_image.setdefault(bp, {})[name] = remembered
        if cache if cache is not None else "cache" in types:
            self.in_cache.setdefault(bp, {})[name] = (remembered, source)
        return remembered

    def source(self, path):
        mapping = PathMapping(self.old_layers_dir, IMAGE_LAYERS_DIR, normalise_ancestors=True)
        return directory_layer(path, uid=0, gid=0, mapping=mapping)

    def sbom(self, name, text="{}", *, bp="some/bp", ext="cdx", where="cache"):
        """Add an SBOM file of a layer, in the cache or where analysis restores those of the image."""
        root = self.old_layers_dir if where == "cache" else self.layers_dir
        path = root / "sbom" / where / bp.replace("/", "_") / name / f"sbom.{ext}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_cache(self):
        """Write the cache as an export does."""
        self.cache_dir.mkdir()
        transaction = VolumeCache(self.cache_dir).begin()
        for layers in self.in_cache.values():
            for remembered, source in layers.values():
                transaction.add(source, remembered.sha)
        sbom = LayerSha()
        if (self.old_layers_dir / "sbom/cache").exists():
            source = self.source(self.old_layers_dir / "sbom/cache")
            sbom = LayerSha(sha=diff_id(source)[0])
            transaction.add(source, sbom.sha)
        buildpacks = tuple(
            BuildpackLayers(key=bp, version="1", layers={name: each for name, (each, _) in layers.items()})
            for bp, layers in self.in_cache.items()
        )
        transaction.commit(CacheMetadata(sbom=sbom, buildpacks=buildpacks))

    def metadata(self):
        """Return what the image says."""
        keys = {**self.in_image, **self.stores}
        return LifecycleMetadata(
            buildpacks=tuple(
                BuildpackLayers(
                    key=bp,
                    version="1",
                    layers=self.in_image.get(bp, {}),
                    store=Store(metadata=self.stores[bp]) if bp in self.stores else None,
                )
                for bp in keys
            )
        )

    def restore(self, *, api="0.15", **inputs):
        """Restore into a new layers directory; return the account by id."""
        if self.has_cache and not self.cache_dir.exists():
            self.write_cache()
        group = tuple(GroupElement(id=bp, version="2", api="0.10") for bp in self.buildpacks)
        restored = restore(
            RestoreInputs(
                api=PlatformApi.parse(str(api)),
                layers_dir=self.layers_dir,
                buildpacks=group,
                metadata=self.metadata(),
                image_layers_dir=IMAGE_LAYERS_DIR,
                **inputs,
            ),
            cache=VolumeCache(self.cache_dir) if self.has_cache else None,
        )
        return {layer.id: layer for layer in restored.layers}

    def tree(self):
        """Return what is in the layers directory: texts of files, ``None`` for directories."""
        return {
            path.relative_to(self.layers_dir).as_posix(): None if path.is_dir() else path.read_text()
            for path in self.layers_dir.rglob("*")
        }


@pytest.fixture
def last_build(tmp_path):
    return LastBuild(tmp_path)


@pytest.fixture(params=[str(api) for api in PLATFORM_APIS])
def api(request):
    """Every supported Platform API."""
    return request.param


@pytest.fixture
def make_tar():
    """Return the bytes of a tar with these (name, type, text or target) and their diffID."""

    def make(*entries):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, kind, text in entries:
                info = tarfile.TarInfo()
                info.name, info.type, info.mode = name, kind, 0o755
                if kind == tarfile.REGTYPE:
                    info.size = len(text)
                    archive.addfile(info, io.BytesIO(text.encode()))
                else:
                    info.linkname = text
                    archive.addfile(info)
        data = buffer.getvalue()
        return data, "sha256:" + hashlib.sha256(data).hexdigest()

    return make
