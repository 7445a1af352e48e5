"""`python -m benchmarks [FAMILY …] [--only WORK …] [--quick] [--json FILE]`"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

from rich.console import Console

from benchmarks.bench import bench
from benchmarks.measures import Report
from benchmarks.processes import Unable
from benchmarks.tables import as_json, show_figures, show_ratios
from benchmarks.works import (
    bulk,
    contended,
    create,
    enqueue,
    first,
    hanging,
    instant,
    known,
    large,
    latency,
    million,
    nodes,
    pairs,
    pending,
    rescan,
    send,
    steady,
    subscribe,
)

TIMERS: dict[str, ModuleType] = {
    "create": create,
    "bulk": bulk,
    "instant": instant,
    "steady": steady,
    "pending": pending,
    "hanging": hanging,
    "nodes": nodes,
}
LOCKS: dict[str, ModuleType] = {"pairs": pairs, "contended": contended}
MAIL: dict[str, ModuleType] = {"enqueue": enqueue}
MESSAGING: dict[str, ModuleType] = {"subscribe": subscribe, "send": send, "million": million}
# Those that make many files come first: deleting many makes that slow for a while.
SYNC: dict[str, ModuleType] = {"first": first, "rescan": rescan, "latency": latency, "known": known, "large": large}
# Family → what is measured of it.
WORKS: dict[str, dict[str, ModuleType]] = {
    "timers": TIMERS,
    "locks": LOCKS,
    "mail": MAIL,
    "messaging": MESSAGING,
    "sync": SYNC,
}


def main() -> None:
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _arguments()
    works = {name: work for family in options.families for name, work in WORKS[family].items()}
    console = Console(width=None if Console().is_terminal else 160)
    began = time.monotonic()
    reports, unable = [], False
    with bench(options.quick, options.patience) as run:
        run.say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; ratios count, not absolute numbers")
        for name in options.only or works:
            run.say(f"{name}: {works[name].TITLE}")
            try:
                reports.append(works[name].run(run))
            except Unable as reason:
                unable = True
                reports.append(Report(name, works[name].TITLE, notes=[f"Undercroft was unable: {reason}"]))
            run.tell_noise(reports[-1])
            show_figures(reports[-1], console)
        unable = unable or any(who.startswith("Undercroft") for who in run.left_out)
    show_ratios(reports, console)
    console.print(f"took {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(as_json(reports), indent=1, ensure_ascii=False) + "\n")
    raise SystemExit(1 if unable else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Undercroft beside its peers.")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"all, or some of: {', '.join(WORKS)}")
    parser.add_argument("--only", action="append", metavar="WORK", help="this work; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter; a first look")
    parser.add_argument(
        "--patience", type=float, default=0, metavar="SECONDS", help="wait so long in all for a quiet machine"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args()
    if strange := set(options.families) - WORKS.keys():
        parser.error(f"no family {min(strange)!r}; there are: {', '.join(WORKS)}")
    options.families = options.families or list(WORKS)
    works = [name for family in options.families for name in WORKS[family]]
    if strange := set(options.only or ()) - set(works):
        parser.error(f"no work {min(strange)!r}; there are: {', '.join(works)}")
    return options


if __name__ == "__main__":
    main()
