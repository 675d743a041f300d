#!/usr/bin/env python3
"""A first fill under the vendors' real limits, beside what those limits allow at best.

Of every class of requests that driftless made, printed are their number, how many a minute its share of Klaviyo's
limit allows, and how long they take at that rate. Beside the longest of these that takes more than the minute for
which limits hold, the least that a fill takes, stands when each kind of record was read. Fields that Klaviyo limits
further, which the sandbox's config does not ask for, and Shopify, which counts costs, are left out. Needs nothing but
Python and a release build.

    cargo build --release && python benches/limits.py --profiles 50000
"""

import argparse
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from pull import ROOT, Sandbox, config_in, start

SHARE = 0.7
TABLE = ROOT / "src/sandbox/klaviyo/ratelimits.tsv"


def allowed():
    """Requests a minute by operation, as Klaviyo publishes them."""
    rows = (line.split("\t") for line in TABLE.read_text().splitlines()[1:])
    return {f"{row[0]} {row[1]}": int(row[3].split("/")[0]) for row in rows if not row[5]}


def fill(driftless, sandbox, directory):
    """When each kind of record was read, and when the pass was over, in seconds from its start."""
    process = start(driftless, sandbox, config_in(directory, sandbox), subprocess.DEVNULL)
    began, stages = time.monotonic(), []
    for line in process.stderr:
        if stage := re.fullmatch(r"([a-z ]+): (\d+)\n", line):
            stages.append((stage[1], int(stage[2]), time.monotonic() - began))
    if process.wait():
        sys.exit(f"driftless ended with {process.returncode}")
    return stages, time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profiles", type=int, default=50_000)
    parser.add_argument("--port", type=int, default=4811)
    parser.add_argument("--driftless", default=ROOT / "target/release/driftless")
    arguments = parser.parse_args()
    arguments.speed = "real"
    sandbox = Sandbox(arguments.driftless, arguments)
    try:
        with tempfile.TemporaryDirectory() as directory:
            stages, wall = fill(arguments.driftless, sandbox, pathlib.Path(directory))
        sandbox.process.send_signal(signal.SIGINT)
        told = sandbox.process.stdout.read()
    finally:
        sandbox.process.kill()
    least, limits = 0.0, allowed()
    print(f"{'requests':>9}{'429':>5}{'a minute':>10}{'seconds':>9}")
    for asked, refused, operation in re.findall(r"# (\d+) requests, (\d+) .* 429: (.*)", told):
        steady = limits.get(operation)
        rate = steady * SHARE if steady else None
        seconds = int(asked) / rate * 60 if rate else 0.0
        if seconds > 60:
            least = max(least, seconds)
        print(f"{asked:>9}{refused:>5}{rate or 0:>10.0f}{seconds:>9.1f}  {operation}")
    for name, count, at in stages:
        print(f"{at:8.1f} s  {name}: {count}")
    print(f"{wall:8.1f} s  the whole pass; the limits alone take {least:.1f} s")


if __name__ == "__main__":
    main()
