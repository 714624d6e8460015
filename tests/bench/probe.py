"""What is measured of a program: time, memory, instructions, system calls."""
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path


TOO_LONG = 120  # seconds


class Failed(Exception):
    """A contender that did not do its job: there is no figure to be had from it."""


def words(command):
    return [str(word) for word in command]


def spawn(command, environment, log):
    """The leanest start there is, in the folder that is current."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, log, 1),
               (os.POSIX_SPAWN_DUP2, log, 2)]  # fmt: skip
    command = words(command)
    return os.posix_spawn(command[0], command, environment, file_actions=actions)


def time_of(contender, unchanged):
    """(wall, CPU) in seconds: of the program and all that it has waited for."""
    command, environment = contender.command(unchanged), contender.environment()
    os.chdir(contender.home)
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        pid = spawn(command, environment, log.fileno())
        timer = threading.Timer(TOO_LONG, os.kill, (pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - start
        timer.cancel()
        if status != 0:
            log.seek(0)
            text = log.read(2000).decode(errors="replace")
            raise Failed(f"{contender.name}, {contender.job.name}: status {status}: {text}")
    return wall, usage.ru_utime + usage.ru_stime


def family(pid):
    """The process and all below it."""
    found, rest = [], [str(pid)]
    while rest:
        found.append(rest.pop())
        for path in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                rest += path.read_text().split()
            except OSError:
                pass  # it has ended
    return found


def memory_now(pid):
    """(PSS, private dirty) in KiB of all processes together."""
    pss = dirty = 0
    for process in family(pid):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        pss += int(re.search(r"^Pss: +(\d+)", text, re.M)[1])
        dirty += int(re.search(r"^Private_Dirty: +(\d+)", text, re.M)[1])
    return pss, dirty


def memory_of(contender, unchanged=False):
    """The peaks of (PSS, private dirty) in KiB, looked at as often as it can be done."""
    peak = [0, 0]
    os.chdir(contender.home)
    with tempfile.TemporaryFile() as log:
        pid = spawn(contender.command(unchanged), contender.environment(), log.fileno())
        done = threading.Event()

        def look():
            while not done.is_set():
                for i, value in enumerate(memory_now(pid)):
                    peak[i] = max(peak[i], value)
                time.sleep(0.001)

        looking = threading.Thread(target=look)
        looking.start()
        _, status = os.waitpid(pid, 0)
        done.set()
        looking.join()
        if status != 0:
            raise Failed(f"{contender.name}, {contender.job.name}: status {status}")
    return tuple(peak)


def instructions_of(command, environment=None, cwd="/"):
    """Instructions of a program and its children, by callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--trace-children=yes",
             f"--callgrind-out-file={folder}/%p.out", *words(command)],
            env=environment, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"{command[0]} under callgrind: {done.stderr[-2000:]}")
        total = 0
        for path in Path(folder).iterdir():
            for line in path.read_text().splitlines():
                if line.startswith(("summary:", "totals:")):
                    total += int(line.split()[1])
                    break
        return total


CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")


def calls_of(contender, unchanged):
    """{"fsync": N, "bytes": N}: what was synced, and how much was written to files."""
    with tempfile.NamedTemporaryFile(mode="r") as log:
        command = ["strace", "-f", "-y", "-s", "0", "-o", log.name, "-e",
                   "trace=fsync,fdatasync,syncfs,sync,write,pwrite64,writev", *contender.command(unchanged)]  # fmt: skip
        done = subprocess.run(words(command), env=contender.environment(), cwd=contender.home,
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"{contender.name} under strace: {done.stderr[-2000:]}")
        found = {"fsync": 0, "bytes": 0}
        for line in log:
            match = CALL.match(line)
            if match and match[1] in ("fsync", "fdatasync", "syncfs", "sync"):
                found["fsync"] += 1
            elif match and str(contender.home) in match[2].split(">")[0]:
                found["bytes"] += int(match[3])
    return found
