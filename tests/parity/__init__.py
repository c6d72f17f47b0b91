"""Inputs on which this lifecycle has to give the image, files, log and exit code of the reference."""
