"""A guide of docs/, followed on a machine (boot.py) to the letter.

A block whose first line is a comment with an absolute path is that file; a block of the language sh
is typed as it stands; all others only show something.
"""
import re
from dataclasses import dataclass

from conftest import SRCDIR

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?:#|%%|//) (/\S+)\n")


@dataclass
class Step:
    """What was typed and what came of it, both text."""

    typed: str
    said: str


def blocks(path, heading=None):
    """[(language, text)] of a Markdown file, or of what is below one of its headings."""
    text = (SRCDIR / path).read_text()
    if heading:
        level, rest = re.search(rf"^(#+) {re.escape(heading)}\n(.*)", text, re.DOTALL | re.MULTILINE).groups()
        text = re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return BLOCK.findall(text)


def files(path):
    """{path: content} of the files that a guide shows."""
    found = {}
    for _, text in blocks(path):
        named = FILE.match(text)
        if named:
            found[named[1]] = text
    return found


def follow(machine, path, heading=None, env=None, check=True):
    """Makes the files and types the commands; gives the steps. A command that fails ends it."""
    given = [f"{name}={value}" for name, value in (env or {}).items()]
    steps = []
    for language, text in blocks(path, heading):
        named = FILE.match(text)
        if named:
            machine.write(named[1], text)
        elif language == "sh":
            done = machine.run("env", *given, "bash", "-euc", "exec 2>&1\n" + text, check=False)
            steps.append(Step(text, done.stdout.decode()))
            assert done.returncode == 0 or not check, f"{text}\n{steps[-1].said}"
    return steps
