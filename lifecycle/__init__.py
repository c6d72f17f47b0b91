"""The lifecycle of Cloud Native Buildpacks: app source in, OCI image out."""

__version__ = "1.0.0"
