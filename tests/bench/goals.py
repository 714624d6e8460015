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

GOALS = [
    Goal(1, "pipeline / envsync, seeds, 1 ms, fresh", 35, True,
         ratio(SEEDS, NEAR, "fresh", "pipeline", "envsync")),
    Goal(1, "pipeline / envsync, seeds, 1 ms, unchanged", 50, True,
         ratio(SEEDS, NEAR, "unchanged", "pipeline", "envsync")),
    Goal(1, "pipeline / envsync, seeds, 1 ms + service, fresh", 18, True,
         ratio(SEEDS, SERVICE, "fresh", "pipeline", "envsync")),
    Goal(1, "pipeline / envsync, seeds, 1 ms + service, unchanged", 26, True,
         ratio(SEEDS, SERVICE, "unchanged", "pipeline", "envsync")),
    Goal(1, "pipeline / envsync, seeds, 1 ms, fresh, CPU", 45, True,
         ratio(SEEDS, NEAR, "fresh", "pipeline", "envsync", cpu)),
    Goal(2, "envsync / bound, seeds, 1 ms, fresh", 0.90, False,
         ratio(SEEDS, NEAR, "fresh", "envsync", "bound")),
    Goal(2, "envsync / bound, seeds, 20 ms, fresh", 0.80, False,
         ratio(SEEDS, FAR, "fresh", "envsync", "bound")),
    Goal(2, "envsync / bound, 200/100, 1 ms + service, fresh", 0.80, False,
         ratio(MEDIUM, SERVICE, "fresh", "envsync", "bound")),
    Goal(3, "envsync / bound, 2,000/500, 1 ms + service, fresh", 0.65, False,
         ratio(LARGE, SERVICE, "fresh", "envsync", "bound")),
    Goal(5, "envsync / bound, seeds, 1 ms, unchanged", 1.00, False,
         ratio(SEEDS, NEAR, "unchanged", "envsync", "bound")),
    Goal(5, "envsync / bound, seeds, 20 ms, unchanged", 1.00, False,
         ratio(SEEDS, FAR, "unchanged", "envsync", "bound")),
    Goal(5, "GETs and HEADs of objects, unchanged", 0, False, count("objects asked for"), ""),
    Goal(5, "bytes written, unchanged", 0, False, count("bytes written"), ""),
    Goal(5, "fsyncs, unchanged", 0, False, count("fsyncs"), ""),
    Goal(6, "PSS, seeds", 16, False, mib(SEEDS, "pss"), "MiB"),
    Goal(6, "private dirty, seeds", 5, False, mib(SEEDS, "dirty"), "MiB"),
    Goal(6, "PSS, 2,000/500", 20, False, mib(LARGE, "pss"), "MiB"),
    Goal(6, "PSS, 8,000 objects", 22, False, mib("8,000", "pss"), "MiB"),
    Goal(6, "PSS, one object of 100 MB", 18, False, mib("100 MB", "pss"), "MiB"),
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
