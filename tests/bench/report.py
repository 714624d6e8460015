"""What was measured: as text, as JSON, and as a plot."""
import json
import math
import os
import platform
import re
import subprocess
from pathlib import Path

from goals import GOALS

COLOURS = {"envsync": "#1b6ca8", "bound": "#8a8a8a", "pipeline": "#c0392b", "rclone": "#d68910",
           "s3cmd": "#7d6608", "s5cmd": "#117a65", "chamber": "#6c3483"}  # fmt: skip


def machine(folder):
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal: +(\d+)", Path("/proc/meminfo").read_text(), re.M)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_mib": int(memory[1]) // 1024,
        "kernel": platform.release(),
        "files_on": subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True,
                                   text=True).stdout.strip(),
        "python": platform.python_version(),
    }


def judge(results):
    judged = []
    for goal in GOALS:
        value = goal.read(results)
        judged.append({"row": goal.row, "what": goal.what, "goal": goal.bound, "unit": goal.unit,
                       "at_least": goal.at_least, "value": value,
                       "met": None if value is None else goal.met(value)})  # fmt: skip
    return judged


def lines(results):
    """The whole report, line by line."""
    about = results["machine"]
    yield f"{about['cpu']}, {about['cpus']} CPUs, {about['memory_mib']} MiB, Linux {about['kernel']}, files on {about['files_on']}"
    for name, version in results["versions"].items():
        yield f"  {name}: {version}"
    for name, why in results["absent"].items():
        yield f"  {name}: {why}"
    yield ""
    yield f"{'job':10} {'link':15} {'state':9} {'who':9} {'median':>9} {'min':>9} {'max':>9} {'CPU':>9}  ms"
    for job, links in results["times"].items():
        for link, states in links.items():
            for state, who in states.items():
                for name, of in who.items():
                    times = " ".join(f"{1000 * of['wall'][k]:9.1f}" for k in ("median", "min", "max"))
                    yield (f"{job:10} {link:15} {state:9} {name:9} {times} "
                           f"{1000 * of['cpu']['median']:9.1f}")  # fmt: skip
    yield ""
    for job, who in results["memory"].items():
        for name, of in who.items():
            yield f"{job:10} {name:9} PSS {of['pss'] / 1024:6.1f} MiB, private dirty {of['dirty'] / 1024:6.1f} MiB"
    yield ""
    for name, value in results["counts"].items():
        yield f"{name}: {value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{name}: {value:,}"
    yield ""
    for goal in judge(results):
        sign = ">=" if goal["at_least"] else "<="
        if goal["value"] is None:
            word, value = "not measured", "-"
        else:
            word, value = ("met" if goal["met"] else "MISSED"), f"{goal['value']:,.2f}"
        yield f"{goal['row']:3} {goal['what']:55} {value:>12} {sign} {goal['goal']:,} {goal['unit']:4} {word}"


def nice(value):
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def bars(results, job, state):
    """[(link, [(who, ms)])] of what there is."""
    for link, states in results["times"].get(job, {}).items():
        if state in states:
            yield link, [(who, 1000 * of["wall"]["median"]) for who, of in states[state].items()]


def plot(results):
    """Bars on a logarithmic scale, one group for each link, one panel for each job and state."""
    left, width, bar, gap, top = 150, 760, 13, 16, 60
    y, body = top, []
    text = '<text x="{}" y="{:.1f}" {}>{}</text>'.format
    most = max((ms for job in results["times"] for state in ("fresh", "unchanged")
                for _, group in bars(results, job, state) for _, ms in group), default=10)  # fmt: skip
    scale = (width - left - 90) / math.log10(max(most, 20) / 5)
    for job in results["times"]:
        for state in ("fresh", "unchanged"):
            groups = list(bars(results, job, state))
            if not groups:
                continue
            body.append(text(10, y + 4, 'font-weight="bold"', f"{job}, {state}"))
            y += 12
            for link, group in groups:
                body.append(text(left - 70, y + bar * len(group) / 2 + 4, 'text-anchor="end"', link))
                for who, ms in group:
                    length = max(1, scale * math.log10(max(ms, 5.01) / 5))
                    body.append(text(left - 6, y + bar - 3, 'text-anchor="end"', who))
                    body.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" '
                                f'fill="{COLOURS.get(who, "#333")}"/>')  # fmt: skip
                    body.append(text(f"{left + length + 5:.1f}", y + bar - 3, "", nice(ms)))
                    y += bar
                y += gap / 2
            y += gap
    title = text(10, 22, 'font-size="15" font-weight="bold"', "Wall time, medians of one run")
    note = text(10, 40, 'fill="#555"', "logarithmic; shorter is better; see docs/performance.md")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y:.0f}" '
            f'font-family="sans-serif" font-size="11">'
            f'<rect width="100%" height="100%" fill="white"/>\n{title}\n{note}\n'
            + "\n".join(body) + "\n</svg>\n")  # fmt: skip


def write(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    results["goals"] = judge(results)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "times.svg").write_text(plot(results))
