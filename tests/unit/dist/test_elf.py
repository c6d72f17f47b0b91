"""Libraries are read with our own eyes; binutils' readelf and the system's loader are the judges."""

import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.dist.elf import needed_libraries, soname, without_sections
from lifecycle.errors import DistributionError


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library with symbols, built for this machine."""
    directory = tmp_path_factory.mktemp("library")
    (directory / "answer.c").write_text("#include <math.h>\ndouble answer(double x) { return pow(x, 0.5) + 41; }\n")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler: apt-get install gcc")
    command = [compiler, "-shared", "-fPIC", "-g", "-Wl,-soname,libanswer.so.1", "answer.c", "-o", "lib.so", "-lm"]
    subprocess.run(command, cwd=directory, check=True)
    return directory / "lib.so"


def test_needed_libraries_and_name_are_those_that_readelf_shows(library):
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed: apt-get install binutils")
    shown = subprocess.run(["readelf", "-dW", library], capture_output=True, text=True, check=True).stdout
    content = library.read_bytes()
    assert soname(content, where="lib.so") == "libanswer.so.1"
    assert [f"Shared library: [{each}]" in shown for each in needed_libraries(content, where="lib.so")]
    assert shown.count("Shared library:") == len(needed_libraries(content, where="lib.so")) > 0


def test_a_library_without_its_sections_is_smaller_and_works(library, tmp_path):
    content = library.read_bytes()
    shorter = without_sections(content, where="lib.so")
    assert len(shorter) < len(content)
    (tmp_path / "short.so").write_bytes(shorter)
    code = (
        "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).answer; f.restype = ctypes.c_double; "
        "f.argtypes = [ctypes.c_double]; print(f(1.0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "short.so"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "42.0\n"


@given(st.binary(max_size=63) | st.just(b"\x7fELF\x01\x01" + bytes(80)))
def test_what_is_no_such_file_is_refused(content):
    with pytest.raises(DistributionError, match="is no 64-bit little-endian ELF file"):
        needed_libraries(content, where="x")
