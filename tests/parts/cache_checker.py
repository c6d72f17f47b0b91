"""Checks a shared cache and the images made with it, without any code of the lifecycle (I1 to I6 of the design).

python cache_checker.py PLACE REPORT...: PLACE is a directory or http://HOST:PORT/REPOSITORY; each REPORT is the JSON
of -cache-report, beside which the directory `image` is the layout of the same build.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STEP = "application/vnd.cnb-lifecycle.cache.step.v1+json"


@dataclass
class Place:
    """A cache; reads are checked against digest and size."""

    text: str

    def names(self) -> list[str]:
        if not self.text.startswith("http"):
            return [each.name for each in Path(self.text, "tags").iterdir() if not each.name.startswith(".")]
        host, _, repository = self.text.removeprefix("http://").partition("/")
        with urllib.request.urlopen(f"http://{host}/v2/{repository}/tags/list", timeout=60) as answer:
            return json.load(answer)["tags"] or []

    def read(self, kind: str, digest: str, size: int | None = None) -> bytes:
        hexadecimal = digest.removeprefix("sha256:")
        if self.text.startswith("http"):
            host, _, repository = self.text.removeprefix("http://").partition("/")
            url = f"http://{host}/v2/{repository}/{kind}/{digest}"
            with urllib.request.urlopen(
                urllib.request.Request(url, headers={"Accept": MANIFEST}), timeout=60
            ) as answer:
                data = answer.read()
        else:
            data = Path(self.text, "blobs", "sha256", hexadecimal).read_bytes()
        assert hashlib.sha256(data).hexdigest() == hexadecimal, f"{digest} has other bytes"
        assert size is None or len(data) == size, f"{digest} has another size"
        return data


@dataclass
class Checked:
    """What was looked at, and `broken` records by the reason, which no image may be made of."""

    keys: int = 0
    records: int = 0
    blobs: int = 0
    images: int = 0
    chains: int = 0
    broken: dict[str, str] = field(default_factory=dict)


def check(place: str, reports: list[Path]) -> Checked:
    """Fail with what is wrong; return what was looked at."""
    cache, checked = Place(place), Checked()
    decided, closed = defaultdict(set), set()
    for name in cache.names():
        kind, *fields = name.split(".")
        if kind == "d":
            decided[fields[0], int(fields[1], 36)].add(_long(fields[2]))
        elif kind == "x":
            closed.add((fields[0], int(fields[1], 36)))
    checked.keys = len(decided)
    configs = {}
    for (key, generation), values in decided.items():
        assert len(values) == 1, f"I1: {_long(key)} has {values} in generation {generation}"
        (value,) = values
        try:
            configs[value] = _record(cache, value, _long(key), checked)
        except (AssertionError, OSError, urllib.error.URLError, EOFError) as error:
            checked.broken[value] = f"{'closed' if (key, generation) in closed else 'open'}: {error}"
    for report in reports:
        _image(report, configs, checked)
    return checked


def _record(cache: Place, value: str, key: str, checked: Checked) -> dict:
    manifest = json.loads(cache.read("manifests", value))
    config = json.loads(cache.read("blobs", manifest["config"]["digest"], manifest["config"]["size"]))
    assert config["key"] == key, f"I2: {value} is of {config['key']}"
    blobs = {each["digest"]: cache.read("blobs", each["digest"], each["size"]) for each in manifest["layers"]}
    checked.records += 1
    checked.blobs += len(blobs)
    if manifest["config"]["mediaType"] == STEP:
        assert key == _digest(b"cnb-step/v1\n" + _canonical(config["inputs"])), f"I2: {key} is not that of its inputs"
    for layer in config["layers"]:
        if "blob" in layer:
            assert _digest(gzip.decompress(blobs[layer["blob"]])) == layer["diffID"], f"I4: {layer} has another diffID"
    return config


def _image(report: Path, configs: dict[str, dict], checked: Checked) -> None:
    """Check that shared layers of an image are those of its records, and that each record follows from the others."""
    rows = json.loads(report.read_text())["cache"].get("settled", [])
    layout = report.parent / "image"
    index = json.loads((layout / "index.json").read_text())

    def blob(descriptor: dict) -> bytes:
        data = (layout / "blobs" / "sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
        assert _digest(data) == descriptor["digest"], f"{descriptor['digest']} of {layout} has other bytes"
        return data

    manifest = json.loads(blob(index["manifests"][0]))
    diff_ids = set(json.loads(blob(manifest["config"]))["rootfs"]["diff_ids"])
    for each in manifest["layers"]:
        blob(each)
    checked.images += 1
    upstream, environment = [], None
    for row in rows:
        assert row.get("record") not in checked.broken, f"I4: {layout} is made of {row['record']}, which is broken"
        config = configs.get(row.get("record", ""))
        if config is None:
            assert row["outcome"] == "unpublished" or row.get("record"), row
            return
        launched = {each["diffID"] for each in config["layers"] if each["types"]["launch"] and "diffID" in each}
        assert launched <= diff_ids, f"I6: {layout} lacks layers of {row['record']}"
        if environment is not None:
            content = {"environment": environment, "layers": upstream}
            found = _digest(b"cnb-step-field/v1\nupstream\n" + _canonical(content))
            assert config["inputs"]["upstream"] == found, f"I6: {row['record']} was made from other layers"
            checked.chains += 1
        built = [each for each in config["layers"] if each["types"]["build"]]
        upstream = [*upstream, *([config["buildpack"]["id"], each["name"], each.get("diffID", "")] for each in built)]
        environment = config["environment"]["after"]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _long(text: str) -> str:
    return f"sha256:{base64.urlsafe_b64decode(text + '=').hex()}"


if __name__ == "__main__":
    sys.stdout.write(f"{check(sys.argv[1], [Path(each) for each in sys.argv[2:]])}\n")
