"""The phase executables, one module for each, and what they have in common (``running.py``)."""
