"""Images whose layers another program stored with zstd."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_an_image_that_skopeo_stored_with_zstd_is_previous_image_and_run_image(lifecycle, tmp_path):
    command = (
        "build",
        FIXTURES / "apps" / "plain",
        "-b",
        FIXTURES / "buildpacks" / "hello-processes",
        "-t",
        "app",
        "-v",
        "-o",
    )
    built = lifecycle(*command, tmp_path / "image")
    for name in ("previous", "base"):
        subprocess.run(
            ["skopeo", "copy", "--quiet", "--dest-compress-format", "zstd",
             f"oci:{tmp_path}/image:app", f"oci:{tmp_path}/{name}:app"],
            check=True,
        )  # fmt: skip
    index = json.loads((tmp_path / "previous" / "index.json").read_text())
    manifest = tmp_path / "previous" / "blobs" / index["manifests"][0]["digest"].replace(":", "/")
    assert {layer["mediaType"] for layer in json.loads(manifest.read_text())["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+zstd"
    }

    again = lifecycle(*command, tmp_path / "previous")
    assert "Restoring data for SBOM from previous image" in again.stderr
    assert "every layer was reused" in again.stderr
    assert again.stdout.splitlines()[-1] == built.stdout.splitlines()[-1]

    above = lifecycle(*command, tmp_path / "above", "--run-image", tmp_path / "base")
    assert "==> Built" in above.stderr
