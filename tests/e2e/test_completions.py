"""The completions, in the shells they are for: bash, zsh and fish each complete a command line."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from conftest import BUILDDIR, SLOW, SRCDIR

COMPLETIONS = SRCDIR / "packaging" / "completions"

BASH = """
source "$1"; shift
line=$1
read -ra words <<<"${line//=/ = }"
[[ $line == *" " ]] && words+=("")
COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line}
_envsync
printf '%s\\n' "${COMPREPLY[@]}"
"""

# An interactive shell, since completion needs its line editor. What is offered goes into a file on
# its way to the screen.
ZSH = r"""
fpath=({completions} $fpath)
autoload -Uz compinit && compinit -u -d {folder}/zcompdump
zstyle ':completion:*' completer _complete
compadd() {{
    if [[ " $* " != *" -"[OAD]" "* ]]; then
        local -a offered
        builtin compadd -O offered "$@"
        print -rl -- $offered >>{folder}/offered
    fi
    builtin compadd "$@"
}}
bindkey '^I' complete-word
done-now() {{ : >{folder}/done }}
zle -N done-now
bindkey '^X^X' done-now
"""


class Shell:
    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/envsync").symlink_to(BUILDDIR / "envsync")
        # Something to choose from, in the folder that the shell works in.
        (folder / "work").mkdir()
        (folder / "work/my.toml").touch()
        (folder / "work/my.txt").touch()
        (folder / "work/my-folder").mkdir()
        self.env = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }
        self.env |= {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}

    def run(self, *command):
        done = subprocess.run(
            command, env=self.env, cwd=self.folder / "work", capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60 * SLOW,
        )  # fmt: skip
        assert done.stderr == "", done.stderr
        return done.stdout.splitlines()


class Bash(Shell):
    def complete(self, line):
        words = self.run("bash", "-c", BASH, "bash", COMPLETIONS / "envsync.bash", line)
        return {word for word in words if word}


class Fish(Shell):
    def complete(self, line):
        script = "source $argv[1]; complete -C $argv[2]"
        lines = self.run("fish", "--no-config", "-c", script, COMPLETIONS / "envsync.fish", line)
        return {line.split("\t")[0].removeprefix("--config=") for line in lines}


class Zsh(Shell):
    def complete(self, line):
        (self.folder / ".zshrc").write_text(
            ZSH.format(completions=COMPLETIONS, folder=self.folder)
        )
        for name in ("offered", "done"):
            (self.folder / name).unlink(missing_ok=True)
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["zsh", "-d", "-i"], env=self.env, cwd=self.folder / "work",
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        try:
            os.write(master, line.encode() + b"\t\x18\x18")
            self.wait(master, self.folder / "done")
        finally:
            process.kill()
            process.wait()
            os.close(master)
        offered = self.folder / "offered"
        return set(offered.read_text().split("\n")) - {""} if offered.exists() else set()

    def wait(self, master, path):
        """Until the file is there; meanwhile the shell's screen is read, or the shell would stop."""
        deadline, screen = time.monotonic() + 30 * SLOW, b""
        while not path.exists():
            assert time.monotonic() < deadline, screen
            if select.select([master], [], [], 0.05)[0]:
                screen += os.read(master, 65536)


@pytest.fixture(params=[Bash, Zsh, Fish], ids=["bash", "zsh", "fish"])
def shell(request, tmp_path):
    if not shutil.which(request.param.__name__.lower()):
        pytest.skip(f"there is no {request.param.__name__.lower()}")
    return request.param(tmp_path)


def commands_of(envsync):
    text = envsync.ok("--help").out.split("Commands:")[1].split("Options:")[0]
    return re.findall(r"^  (\w+) +\S", text, re.MULTILINE)


def long_options(text):
    return set(re.findall(r"--[a-z][a-z-]+", text))


def test_every_command_is_offered(envsync, shell):
    assert set(commands_of(envsync)) == shell.complete("envsync ")


def test_a_beginning_is_completed(shell):
    assert shell.complete("envsync prov") == {"providers"}


def test_every_option_of_the_help_is_offered(envsync, shell):
    assert long_options(envsync.ok("--help").out) <= shell.complete("envsync --")


def test_every_command_is_offered_its_options_and_no_others(envsync, shell):
    everywhere = {"--help", "--config", "--quiet", "--verbose", "--"}
    for command in commands_of(envsync):
        usage = envsync.ok("help", command).out.split("\n")[0]
        offered = {word for word in shell.complete(f"envsync {command} --") if word[:2] == "--"}
        assert long_options(usage) <= offered, command
        assert offered <= long_options(usage) | everywhere | {"--deadline"}, command


def test_what_is_offered_is_known_to_the_program(envsync, shell):
    for command in commands_of(envsync):
        for option in shell.complete(f"envsync {command} --"):
            if option == "--":
                continue
            result = envsync(command, option, "--help")
            assert "unknown option" not in result.err, option
            # What contradicts itself is refused behind what the command does not take.
            assert " takes no " not in envsync(command, option, "1s", "-q", "-v").err, (command, option)


def test_options_may_stand_before_the_command(shell):
    assert "--fetch" in shell.complete("envsync -c my.toml explain --f")
    assert "--fetch" not in shell.complete("envsync -c explain sync --f")


@pytest.mark.parametrize("option", ["-c ", "--config "])
def test_configurations_and_folders_are_offered_for_c(shell, option):
    offered = {name.rstrip("/") for name in shell.complete(f"envsync check {option}m")}
    assert {"my.toml", "my-folder"} <= offered
    assert "my.txt" not in offered


def test_only_folders_are_offered_for_root(shell):
    offered = {name.rstrip("/") for name in shell.complete("envsync sync --root m")}
    assert offered == {"my-folder"}


def test_the_providers_are_those_of_the_program(envsync, shell):
    names = {line.split()[0] for line in envsync.ok("providers").out.splitlines()}
    assert shell.complete("envsync providers ") == names


def test_help_offers_the_commands(envsync, shell):
    assert shell.complete("envsync help ") == set(commands_of(envsync))


def test_exec_offers_programs_and_then_their_arguments(shell):
    assert "env" in shell.complete("envsync exec -c my.toml -- en")
    assert "my.txt" in shell.complete("envsync exec -c my.toml -- cat m")


def test_a_path_is_completed_behind_an_equals_sign(shell):
    if isinstance(shell, Fish):
        assert shell.complete("envsync sync --root=m") == {"--root=my-folder/"}
    else:
        assert shell.complete("envsync sync --root=m") == {"my-folder"}
