"""The exit codes of the reference for bad inputs, and where ours differ on purpose."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

EXIT_CODES = Path(__file__).with_name("exit_codes.toml")

_LATER = "the reference goes on without a run image and fails in a later phase; we say so where it is missing"
_PREVIOUS = "an image that can't be read is as none, as in registries; the reference lets the build fail"
_PANIC = "the reference panics (2)"
_WRITABLE = "whether directories can be written is known before the work begins"
_ONE_NAME = "the reference takes further names in a layout for paths below the working directory"
_TAG = "an image is written to a tag; the reference makes a layout of a digest that the image does not have"

DIFFERENT: Mapping[str, tuple[int, str]] = {
    "exporter-two-images": (0, _ONE_NAME),
    "analyzer-image-with-digest": (3, _TAG),
    "exporter-image-with-digest": (3, _TAG),
    "creator-image-with-digest": (3, _TAG),
    "analyzer-layout-without-directory": (3, "a layout was asked for; the reference goes to a registry instead"),
    "exporter-analyzed-missing": (3, _PANIC),
    "exporter-analyzed-without-run-image": (3, _PANIC),
    "exporter-analyzed-odd-reference": (62, "a reference is not parsed but looked up: there is no such run image"),
    "exporter-analyzed-unknown-previous-image": (62, "the run image has to be the one that was analyzed, by its digest"),
    "analyzer-run-unknown-image": (32, _LATER),
    "creator-run-unknown-image": (32, _LATER),
    "analyzer-run-image-unknown": (32, _LATER),
    "analyzer-run-index-missing": (32, _LATER),
    "exporter-layers-missing": (1, _PANIC),
    "exporter-report-unwritable": (1, _WRITABLE),
    "builder-layers-read-only": (1, _WRITABLE),
    "exporter-layout-unwritable": (1, _WRITABLE),
    "builder-layer-metadata-wrong-type": (52, "the specification says that metadata is a table"),
    "detector-platform-env-is-file": (22, "a platform directory that can't be read is no buildpack's error"),
    "analyzer-previous-index-malformed": (0, _PREVIOUS),
    "analyzer-previous-index-empty": (0, _PREVIOUS),
    "analyzer-previous-manifest-missing": (0, _PREVIOUS),
    "analyzer-previous-manifest-garbage": (0, _PREVIOUS),
    "analyzer-previous-config-missing": (0, _PREVIOUS),
    "analyzer-previous-config-garbage": (0, _PREVIOUS),
    "analyzer-previous-sbom-garbage": (0, _PREVIOUS),
    "exporter-previous-gone": (0, _PANIC),
    "restorer-cache-layers-unreadable": (0, "a cache layer that can't be read is made again, like one that is gone"),
    "analyzer-user-id-of-another": (0, "a phase goes on as who it is: clusters choose users that no image knows"),
    "analyzer-run-of-platforms": (0, "the reference finds no image in a layout of several platforms"),
    "analyzer-run-created-garbage": (0, "the time of the run image is replaced; what is not taken is not read"),
    "restorer-cache-layer-with-pipe": (0, "the reference packs pipes but can't unpack them"),
    "exporter-cache-unwritable": (0, "the image is written; a cache that can't be is a warning, as its other failures are"),
}  # fmt: skip
"""By bad input our code, and why it is not the reference's (ADR 0010)."""


def recorded() -> dict[str, int]:
    """Return the codes of the reference by bad input."""
    return tomllib.loads(EXIT_CODES.read_text(encoding="utf-8"))
