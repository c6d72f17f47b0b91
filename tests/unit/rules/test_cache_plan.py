"""What becomes of the layers of a cache."""

import pytest

from lifecycle.model.group import GroupElement
from lifecycle.model.lifecycle_metadata import BuildpackLayer, BuildpackLayers, CacheMetadata, LayerSha
from lifecycle.oci.digest import DiffId, digest_of
from lifecycle.rules import cache_plan
from lifecycle.rules.export_plan import Action

ONE, TWO = DiffId(digest_of(b"1")), DiffId(digest_of(b"2"))
JAVA = GroupElement(id="samples/java", version="2")
PREVIOUS = CacheMetadata(
    sbom=LayerSha(sha=ONE),
    buildpacks=(BuildpackLayers(key="samples/java", version="1", layers={"jdk": BuildpackLayer(sha=ONE)}),),
)


@pytest.mark.parametrize(
    ("name", "found", "action", "reason"),
    [
        ("jdk", ONE, Action.REUSE, "unchanged"),
        ("jdk", TWO, Action.ADD, "contents changed"),
        ("m2", ONE, Action.ADD, "new layer"),
    ],
)
def test_the_cache_keeps_what_did_not_change(name, found, action, reason):
    verdict = cache_plan.judge(cache_plan.cache_layer(JAVA, name, PREVIOUS), found)
    assert (verdict.id, verdict.action, verdict.reason) == (f"samples/java:{name}", action, reason)


def test_sbom_files_of_cached_layers_are_compared_likewise():
    assert cache_plan.judge(cache_plan.sbom_layer(PREVIOUS), ONE).action is Action.REUSE
    assert cache_plan.judge(cache_plan.sbom_layer(CacheMetadata()), ONE).reason == "new layer"
