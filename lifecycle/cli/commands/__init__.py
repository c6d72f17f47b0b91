"""The commands for people, one folder or module for each; ``program.py`` lists them."""
