"""The goals, each with the figure it is about and how to read it from the results.

A figure is a ratio of medians of one run, a count, or an amount of memory. What could not be
measured is said to be so, and counts as nothing.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    row: int
    what: str
    bound: float
    at_least: bool
    value: object  # a function of the results; a KeyError or None: not measured
    unit: str = "x"

    def read(self, results):
        try:
            return self.value(results)
        except (KeyError, ZeroDivisionError):
            return None

    def met(self, value):
        return value >= self.bound if self.at_least else value <= self.bound


def wall(results, job, link, state, who):
    return results["times"][job][link][state][who]["wall"]["median"]


def cpu(results, job, link, state, who):
    return results["times"][job][link][state][who]["cpu"]["median"]


def ratio(job, link, state, above, below, of=wall):
    return lambda r: of(r, job, link, state, above) / of(r, job, link, state, below)


def count(name):
    return lambda r: r["counts"][name]


def mib(job, which):
    return lambda r: r["memory"][job]["envsync"][which] / 1024


NEAR, FAR, SERVICE = "1 ms", "20 ms", "1 ms + service"
SEEDS, MEDIUM, LARGE = "seeds", "200/100", "2,000/500"


def pipeline(bound, link, state, of=wall):
    """How many times longer the seeds' own pipeline takes."""
    what = f"pipeline / envsync, {SEEDS}, {link}, {state}" + (", CPU" if of is cpu else "")
    return Goal(1, what, bound, True, ratio(SEEDS, link, state, "pipeline", "envsync", of))


def limit(row, bound, job, link, state):
    """Beside the bound: a minimal program that makes the same requests."""
    what = f"envsync / bound, {job}, {link}, {state}"
    return Goal(row, what, bound, False, ratio(job, link, state, "envsync", "bound"))


def memory(bound, job, which="pss", what=None):
    kind = {"pss": "PSS", "dirty": "private dirty"}[which]
    return Goal(6, f"{kind}, {what or job}", bound, False, mib(job, which), "MiB")


GOALS = [
    pipeline(35, NEAR, "fresh"),
    pipeline(50, NEAR, "unchanged"),
    pipeline(18, SERVICE, "fresh"),
    pipeline(26, SERVICE, "unchanged"),
    pipeline(45, NEAR, "fresh", cpu),
    limit(2, 0.90, SEEDS, NEAR, "fresh"),
    limit(2, 0.80, SEEDS, FAR, "fresh"),
    limit(2, 0.80, MEDIUM, SERVICE, "fresh"),
    limit(3, 0.65, LARGE, SERVICE, "fresh"),
    limit(5, 1.00, SEEDS, NEAR, "unchanged"),
    limit(5, 1.00, SEEDS, FAR, "unchanged"),
    Goal(5, "GETs and HEADs of objects, unchanged", 0, False, count("objects asked for"), ""),
    Goal(5, "bytes written, unchanged", 0, False, count("bytes written"), ""),
    Goal(5, "fsyncs, unchanged", 0, False, count("fsyncs"), ""),
    memory(16, SEEDS),
    memory(5, SEEDS, "dirty"),
    memory(20, LARGE),
    memory(22, "8,000", what="8,000 objects"),
    memory(18, "100 MB", what="one object of 100 MB"),
    Goal(7, "instructions, --version / true", 3, False, count("version / true")),
    Goal(7, "libcurl or OpenSSL opened by check", 0, False, count("libraries of check"), ""),
    Goal(7, "instructions, one more signed object, plain HTTP", 130000, False,
         count("instructions per object"), ""),
    Goal(8, "growth of CPU per object, 200 to 20,000", 1.10, False, count("growth")),
    Goal(9, "with / without the other process and the commit, seeds, 20 ms", 1.10, False, count("with / without them")),
    Goal(9, "durable / not, 2,000 files", 1.25, False, count("durable / not")),
    Goal(10, "10,000 hosts, last one served / floor of the quota", 1.2, False,
         count("fleet / floor")),
    Goal(10, "10,000 hosts, served", 1, True, count("fleet served"), ""),
]  # fmt: skip
