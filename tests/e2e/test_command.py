"""The command itself, before any configuration."""
import re

import pytest

from conftest import SRCDIR

pytestmark = pytest.mark.valgrind


def test_version_is_the_one_of_configure_ac(envsync):
    version = re.search(r"AC_INIT\(\[envsync\], \[(.*)\]\)", (SRCDIR / "configure.ac").read_text())
    assert envsync.ok("--version").out.split()[1] == version[1]
