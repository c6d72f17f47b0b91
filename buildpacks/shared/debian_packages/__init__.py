"""Debian packages unpacked into a layer, with apt's own choice of dependencies and its checks of signatures."""

from debian_packages.install import Installed, install

__all__ = ["Installed", "install"]
