"""Buildpacks as they are handed around: made, checked, packaged, read.  Spec: distribution.md."""
