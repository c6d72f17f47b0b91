"""What a release needs before it begins."""

import importlib.util
import sys

import pytest

from lifecycle.dist.release import make_release
from lifecycle.errors import DistributionError


def test_a_missing_compiler_is_told_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    reports = []
    with pytest.raises(DistributionError, match=r"ziglang; pip install 'cnb-lifecycle\[dist\]'"):
        make_release((), tmp_path, phases=(), report=reports.append)
    assert reports == []
