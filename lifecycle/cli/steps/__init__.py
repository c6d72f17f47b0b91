"""The steps of a build, from resolved settings to the files and images that each leaves; one module for each.

Phase executables run one step between reading and writing its files; creator and ``lifecycle build`` run all.
A module loads what every run of its step needs; what only some inputs ask for is loaded where they are looked at.
"""
