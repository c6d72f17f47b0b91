"""Directories to reproducible tars to layer blobs, and back."""
