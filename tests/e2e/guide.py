"""A guide of docs/, followed on a machine (boot.py) to the letter.

A block whose first line is a comment with an absolute path is that file; a block of the language sh
is typed as it stands, and one without a language right behind it is what that says; all others only
show something.
"""
import re
from dataclasses import dataclass

from conftest import SRCDIR

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?:#|%%|//) (/\S+)\n")


@dataclass
class Step:
    """What was typed, what came of it, and what the guide shows of that (or None), all text."""

    typed: str
    said: str
    shown: str = None

    def is_as_shown(self):
        return self.shown is None or re.fullmatch(pattern(self.shown), plain(self.said)) is not None


# What differs from run to run, and what stands for it on both sides.
VARYING = [
    (r"^\w{3} \d\d [\d:]{8} \S+ (\S+)\[\d+\]:", r"WHEN HOST \1[PID]:"),
    (r"\d{4}-\d\d-\d\dT[\d:]{8}Z", "TIME"),
    (r"\b\d+ s (ago|old)", r"N s \1"),
    (r"\b[0-9a-f]{16}\b", "SET"),
    (r"\d+ (try|tries)\b", "N tries"),
    (r"127\.0\.0\.1:4566|ssm\.eu-west-1\.amazonaws\.com", "AWS"),
]


def plain(text):
    for varying, word in VARYING:
        text = re.sub(varying, word, text, flags=re.MULTILINE)
    return text


def pattern(shown):
    """A regular expression for an output: `...` is anything, a line of its own any lines."""
    lines = [re.escape(line).replace(r"\.\.\.", ".*") + "\n" for line in plain(shown).splitlines()]
    return "".join("(?:.*\n)*" if line == ".*\n" else line for line in lines)


def below(text, heading):
    """What stands below a heading, as far as the next one of its level. In a block # is a comment."""
    kept, level, inside = [], 0, False
    for line in text.splitlines(keepends=True):
        inside ^= line.startswith("```")
        found = None if inside else re.match(r"(#+) (.*)", line)
        if found and found[2] == heading:
            level = len(found[1])
        elif found and level and len(found[1]) <= level:
            break
        elif level:
            kept.append(line)
    assert level, f"there is no heading {heading}"
    return "".join(kept)


def blocks(path, heading=None):
    """[(language, text)] of a Markdown file, or of what is below one of its headings."""
    text = (SRCDIR / path).read_text()
    return BLOCK.findall(below(text, heading) if heading else text)


def follow(machine, path, heading=None, env=None, check=True):
    """Makes the files and types the commands; gives the steps. A command that fails ends it."""
    given = [f"{name}={value}" for name, value in (env or {}).items()]
    steps, follows = [], False
    for language, text in blocks(path, heading):
        named = FILE.match(text)
        if named:
            machine.write(named[1], text)
        elif language == "sh":
            done = machine.run("env", *given, "bash", "-euc", "exec 2>&1\n" + text, check=False)
            steps.append(Step(text, done.stdout.decode()))
            assert done.returncode == 0 or not check, f"{text}\n{steps[-1].said}"
        elif not language and steps and follows:
            steps[-1].shown = text
        follows = language == "sh"
    return steps
