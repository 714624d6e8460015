"""packaging/example.toml works as it stands, and so does what its comments offer."""
import re

from conftest import SRCDIR

EXAMPLE = SRCDIR / "packaging/example.toml"


def test_the_example_is_right_as_it_stands(envsync):
    assert envsync.ok("check", "-c", EXAMPLE).err.count("warning") == 0


def test_the_example_is_right_with_all_that_it_offers(envsync, scratch):
    whole = re.sub(r"^#(?=\S)", "", EXAMPLE.read_text(), flags=re.M)
    assert whole.count("[[source]]") == 4 and whole.count("[[output]]") == 2
    envsync.ok("check", "-c", scratch.config(whole))


def test_the_example_writes_an_environment(envsync, scratch):
    text = EXAMPLE.read_text().replace("/etc/os-release", str(scratch.write("os", "NAME=x\n")))
    envsync.ok("-c", scratch.config(text), "--root", scratch.root)
    assert scratch.output("/run/example/environment") == b"NAME=x\n"
