"""The lifecycle of Cloud Native Buildpacks: app source in, OCI image out."""

__version__ = "0.1.0"
