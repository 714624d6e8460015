#!/usr/bin/env python3
"""Measures envsync beside what else does its work, in one run: see docs/performance.md.

    tests/bench/run.py BUILD [--quick] [--realtime] [--out FOLDER]

Every round starts each contender once, one after the other, so that whatever else goes on on the
machine hits all of them; with --realtime everybody else waits for a CPU, though not for the disk. A
goal that is missed is told and is no failure; contenders that do not bring the same files and
values are one.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from alone import time_alone  # noqa: E402
from contenders import (  # noqa: E402
    ALL, BIG, LARGE, MANY, MEDIUM, SEEDS, Bound, Envsync, Job, Pipeline,
)  # fmt: skip
from probe import Failed, calls_of, instructions_of, memory_of, time_of  # noqa: E402
from report import lines, machine, write  # noqa: E402
from world import LINKS, World  # noqa: E402

# job: ({link: rounds}, names that take part besides envsync and bound with how many rounds)
FULL = [
    (SEEDS, dict.fromkeys(LINKS, 9), {"pipeline": 3, "rclone": 3, "s3cmd": 2, "s5cmd": 3, "chamber": 3}),
    (MEDIUM, dict.fromkeys(LINKS, 5), {"pipeline": 1, "rclone": 1, "s5cmd": 2, "chamber": 2}),
    (LARGE, {"1 ms": 3, "1 ms + service": 5}, {"rclone": 1, "s5cmd": 1}),
    (BIG, {"1 ms": 3}, {"rclone": 1, "s5cmd": 1}),
]
QUICK = [
    (SEEDS, dict.fromkeys(LINKS, 3), {"pipeline": 1, "rclone": 1}),
    (MEDIUM, {"1 ms + service": 3}, {}),
]


def say(line):
    print(line, flush=True)


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "n": len(values)}  # fmt: skip


def compare(brought):
    """All that were brought are the same, or there is nothing to be measured."""
    for part, what in enumerate(("files", "parameters")):
        seen = {name: parts[part] for name, parts in brought.items() if parts[part] is not None}
        first = next(iter(seen), None)
        for name, found in seen.items():
            if found != seen[first]:
                odd = sorted(set(found.items()) ^ set(seen[first].items()))[:3]
                raise Failed(f"{name} and {first} brought different {what}: {odd}")


def measure(contenders, job, server, rounds, others):
    """{state: {name: {"wall": ..., "cpu": ...}}}"""
    taking = [c for c in contenders if c.name in ("envsync", "bound") or c.name in others]
    taking = [c for c in taking if (job.objects and c.objects) or (job.parameters and c.parameters)]
    times = {state: {c.name: [] for c in taking} for state in ("fresh", "unchanged")}
    for contender in taking:
        contender.prepare(job, server)
    for i in range(rounds):
        brought = {}
        for contender in taking:
            if i >= others.get(contender.name, rounds):
                continue
            if not isinstance(contender, Bound):
                contender.fresh()
            times["fresh"][contender.name].append(time_of(contender, False))
            if i == 0:
                brought[contender.name] = contender.brought()
            times["unchanged"][contender.name].append(time_of(contender, True))
        if i == 0:
            compare(expected(job, brought))
    return {state: {name: {"wall": summary([t[0] for t in seen]), "cpu": summary([t[1] for t in seen])}
                    for name, seen in who.items() if seen} for state, who in times.items()}  # fmt: skip


def expected(job, brought):
    """Also against the numbers that there must be; what a job has none of is not compared."""
    for name, (files, parameters) in brought.items():
        if files is not None and len(files) != job.objects:
            raise Failed(f"{name}: {len(files)} files instead of {job.objects}")
        if parameters is not None and job.parameters and len(parameters) != job.parameters:
            raise Failed(f"{name}: {len(parameters)} parameters instead of {job.parameters}")
    return {name: (files, parameters if job.parameters else None)
            for name, (files, parameters) in brought.items()}  # fmt: skip


def measure_memory(world, contenders, jobs):
    found = {}
    server = world.link("1 ms + service")
    for job, names in jobs:
        for contender in contenders:
            if contender.name not in names:
                continue
            contender.prepare(job, server)
            pss, dirty = memory_of(contender)
            found.setdefault(job.name, {})[contender.name] = {"pss": pss, "dirty": dirty}
    return found


def unchanged_counts(world, envsync):
    server = world.link("1 ms")
    envsync.prepare(SEEDS, server)
    time_of(envsync, False)
    server.reset()
    calls = calls_of(envsync, True)
    stats = server.stats()
    return {"objects asked for": stats["get"] + stats["head"], "bytes written": calls["bytes"],
            "fsyncs": calls["fsync"]}  # fmt: skip


def instructions(world, envsync):
    """By callgrind; of a request what one more costs, so that the start does not count."""
    env = {"PATH": "/usr/bin:/bin"}
    server = world.link("1 ms")
    envsync.prepare(SEEDS, server)
    found = {
        "version / true": instructions_of([envsync.program, "--version"], env)
        / instructions_of(["/bin/true"], env),
        "check": instructions_of([envsync.program, "check", "-c", envsync.config], env),
        "libraries of check": libraries_of([envsync.program, "check", "-c", envsync.config], env),
    }
    env |= {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    few, many = (
        instructions_of([world.build / "tests/tools/aws_call", f"endpoint={world.imds.url(False)}",
                         "region=us-east-1", f"bucket={SEEDS.bucket}", "stream=1", "quiet=1",
                         "deadline=60000", f"count={n}", "s3", "GetObject", "/app-000000.env"], env)
        for n in (100, 500)
    )  # fmt: skip
    return found | {"instructions per object": (many - few) / 400}


def libraries_of(command, env):
    with tempfile.NamedTemporaryFile(mode="r") as log:
        subprocess.run(["strace", "-f", "-o", log.name, "-e", "trace=openat", *map(str, command)],
                       env=env, capture_output=True, check=True)  # fmt: skip
        return sum(any(name in line for name in ("libcurl", "libcrypto", "libssl")) for line in log)


def growth(world, envsync):
    """CPU of one more object, from 200 to 2,000 and from 2,000 to 20,000."""
    server = world.link("1 ms")
    cpu = []
    for n in (200, 2000, 20000):
        envsync.prepare(Job(f"{n}", n, 1024, 0), server)
        seen = []
        for _ in range(2):
            envsync.fresh()
            seen.append(time_of(envsync, False)[1])
        cpu.append(min(seen))
    return {"growth": (cpu[2] - cpu[1]) / 18000 / ((cpu[1] - cpu[0]) / 1800),
            "CPU per object, us": (cpu[2] - cpu[1]) / 18000 * 1e6}  # fmt: skip


def durability(world, envsync):
    """The same run with an fsync that does nothing."""
    if machine(world.scratch)["files_on"] == "tmpfs":
        return {}
    job = Job("files", 2000, 1024, 0)
    server = world.link("1 ms + service")
    envsync.prepare(job, server)
    code = world.scratch / "nosync.c"
    code.write_text("int fsync(int fd) { (void)fd; return 0; }\n")
    library = world.scratch / "nosync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, code], check=True)
    walls = {"": [], str(library): []}
    plain = envsync.environment
    for _ in range(3):
        for preload, seen in walls.items():
            envsync.fresh()
            envsync.environment = lambda p=preload: plain() | ({"LD_PRELOAD": p} if p else {})
            seen.append(time_of(envsync, False)[0])
    envsync.environment = plain
    return {"durable / not": statistics.median(walls[""]) / statistics.median(walls[str(library)])}


def separation(world, envsync):
    """envsync against its worker alone: the other process, the wall between them, the commit."""
    envsync.prepare(SEEDS, world.link("20 ms"))
    both, alone = [], []
    for _ in range(5):
        envsync.fresh()
        both.append(time_of(envsync, False)[0])
        alone.append(time_alone(envsync))
    both, alone = statistics.median(both), statistics.median(alone)
    return {"with / without them": both / alone, "with - without them, ms": 1000 * (both - alone)}


def fleet(world):
    done = subprocess.run([world.build / "tests/bench/fleet"], capture_output=True, text=True)
    told = json.loads(done.stdout)
    return {"fleet / floor": told["ratio"], "fleet served": told["served"] / told["hosts"],
            "fleet calls per host": told["calls_per_host"]}  # fmt: skip


def present(world):
    """Who is there, their versions, and why the others are not."""
    contenders, versions, absent = [], {}, {}
    for kind in ALL:
        contender = kind(world)
        if contender.available():
            contenders.append(contender)
            versions[contender.name] = contender.version() or "of this tree"
        else:
            absent[contender.name] = "is not here"
    return contenders, versions, absent


def bench(world, quick):
    contenders, versions, absent = present(world)
    envsync = next(c for c in contenders if isinstance(c, Envsync))
    results = {"machine": machine(world.scratch), "versions": versions, "absent": absent, "times": {},
               "memory": {}, "counts": {}}  # fmt: skip
    # The largest bucket first: the server cuts all objects from one pool.
    for server in () if quick else (world.aws, world.busy):
        prime(envsync, server)
    for job, links, others in QUICK if quick else FULL:
        for link, rounds in links.items():
            say(f"... {job.name}, {link}")
            found = measure(contenders, job, world.link(link), rounds, others)
            for state, who in found.items():
                results["times"].setdefault(job.name, {}).setdefault(link, {})[state] = who
    say("... counts and memory")
    results["counts"] |= unchanged_counts(world, envsync) | fleet(world)
    memory = [(SEEDS, ("envsync", "bound", "pipeline"))]
    if not quick:
        memory += [(LARGE, ("envsync", "bound")), (MANY, ("envsync",)), (BIG, ("envsync", "bound"))]
    results["memory"] = measure_memory(world, contenders, memory)
    if not quick:
        say("... instructions, growth, durability")
        results["counts"] |= instructions(world, envsync) | growth(world, envsync)
        results["counts"] |= durability(world, envsync) | separation(world, envsync)
    return results


def prime(envsync, server):
    envsync.prepare(BIG, server)
    time_of(envsync, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=lambda path: Path(path).resolve())
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--out", type=lambda path: Path(path).resolve())
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: network namespaces and TUN devices need root")
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))
    try:
        with World(options.build) as world:
            results = bench(world, options.quick)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    for line in lines(results):
        say(line)
    if options.out:
        write(results, options.out)
        say(f"written: {options.out}/results.json, {options.out}/times.svg")


if __name__ == "__main__":
    main()
