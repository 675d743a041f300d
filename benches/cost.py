#!/usr/bin/env python3
"""What a first fill costs the daemon for each profile and for each event, beside what sled alone takes.

Everything is read at once, so no clock can tell what a stage costs. Instead shops of two sizes and of few and many
events are filled, all without rate limits; how CPU seconds grow with profiles and with events is the least-squares
plane through them. A profile comes with its share of customers, orders and list members. Counted is the time until
all is read and folded; evaluation and plan come after. Needs nothing but Python and cargo.

    cargo build --release && python benches/cost.py --profiles 60000
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from pull import ROOT, Sandbox, config_in, cpu_of, start

FEW, MANY = 3, 25


def fill(driftless, arguments, profiles, letters):
    """Profiles, events, and the CPU seconds until they were read and folded."""
    shop = argparse.Namespace(profiles=profiles, letters=letters, speed="fast", port=arguments.port)
    with tempfile.TemporaryDirectory() as place:
        sandbox = Sandbox(driftless, shop)
        try:
            config = config_in(pathlib.Path(place), sandbox)
            process = start(driftless, sandbox, config, subprocess.DEVNULL)
            counts, read = {}, None
            for line in process.stderr:
                if stage := re.fullmatch(r"([a-z ]+): (\d+)\n", line):
                    counts[stage[1]] = int(stage[2])
                    read = cpu_of(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            sandbox.process.kill()
            sandbox.process.wait()
    if status:
        sys.exit(f"driftless ended with {os.waitstatus_to_exitcode(status)}")
    total = usage.ru_utime + usage.ru_stime
    print(f"{counts['profiles']:9} profiles {counts['events']:9} events {read:8.2f} CPU s until read and folded, "
          f"{total:8.2f} in all, {usage.ru_maxrss / 1024:5.0f} MiB at most", flush=True)
    return counts["profiles"], counts["events"], read


def sled_alone():
    """CPU seconds that sled takes for 20,000 profiles, in a store of ten times as many."""
    command = ["cargo", "bench", "--quiet", "--bench", "sled_alone", "--", "200000"]
    told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(re.search(r"(\S+) s cpu", told).group(1)) / 10


def plane(points):
    """The slopes of the least-squares plane through points (x, y, z)."""
    mean = [statistics.fmean(axis) for axis in zip(*points)]
    x, y, z = zip(*([value - middle for value, middle in zip(point, mean)] for point in points))
    dot = lambda one, other: sum(a * b for a, b in zip(one, other))
    apart = dot(x, x) * dot(y, y) - dot(x, y) ** 2
    return (
        (dot(x, z) * dot(y, y) - dot(y, z) * dot(x, y)) / apart,
        (dot(y, z) * dot(x, x) - dot(x, z) * dot(x, y)) / apart,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--driftless", default=ROOT / "target/release/driftless")
    parser.add_argument("--profiles", type=int, default=60_000, help="in the larger shops; a third in the others")
    parser.add_argument("--port", type=int, default=4711)
    arguments = parser.parse_args()
    sizes = [(size, letters) for size in (arguments.profiles // 3, arguments.profiles) for letters in (FEW, MANY)]
    # In turns, for a machine that others use is not equally fast all the time.
    turns = [(sled_alone(), fill(arguments.driftless, arguments, *size)) for size in sizes]
    alone = statistics.fmean(alone for alone, _ in turns)
    profile, event = plane([point for _, point in turns])
    for count, what, cost in [(20_000, "profiles", profile), (200_000, "events", event)]:
        print(f"{count:9} {what:8} {cost * count:6.2f} CPU s, {cost * count / alone:.2f} times what sled alone takes "
              "for 20,000 profiles")
    each = ", ".join(f"{alone:.2f}" for alone, _ in turns)
    print(f"sled alone takes {alone:.2f} CPU s for 20,000 profiles ({each})")


if __name__ == "__main__":
    main()
