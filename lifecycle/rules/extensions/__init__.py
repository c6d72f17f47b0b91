"""What image extensions generate: Dockerfiles, and the run image that they choose."""
