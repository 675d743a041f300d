#!/usr/bin/env python3
"""Fifty segments for everybody: driftless beside DuckDB, in one run, members compared.

Needs the PyPI packages duckdb and numpy. Fills a mirror and CSV files once (benches/segments),
loads DuckDB's own tables from the CSV files (not timed), then lets both evaluate in turn, each in
a process of its own with two threads and files already in the page cache, the order changing from
round to round. Timed is: for DuckDB, the fifty queries of segments.sql, each materialising its
members; for driftless, compiling segments.json and one sweep over its mirror, which decodes every
record and event. Opening either store is not.

    python benches/segments.py --people 1000000 --events 20000000 --dir DIR
"""

import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

BENCHES = pathlib.Path(__file__).resolve().parent
NOW, NOW_TEXT = 1_790_000_000, "2026-09-21T14:13:20Z"
THREADS = 2


def sections():
    """The parts of segments.sql by name."""
    text = (BENCHES / "segments.sql").read_text()
    names = re.split(r"^-- (tables|\d\d-\S+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(names[::2], names[1::2]))


def connect(path, read_only=False):
    import duckdb

    connection = duckdb.connect(str(path), read_only=read_only)
    connection.execute(f"SET threads = {THREADS}")
    return connection


def load(dir):
    """DuckDB's tables, with the types and the order that serve the queries."""
    path = dir / "segments.duckdb"
    if path.exists():
        return
    arriving = dir / "arriving.duckdb"
    arriving.unlink(missing_ok=True)
    setup = sections()["tables"]
    values = {"{dir}": str(dir), "{now}": str(NOW), "{midnight}": str(NOW - NOW % 86_400)}
    for name, value in values.items():
        setup = setup.replace(name, value)
    with connect(arriving) as connection:
        connection.execute(setup)
        connection.execute("CHECKPOINT")
    arriving.rename(path)


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def queries(dir, out, each):
    """Runs in a process of its own: the timed queries, then their members to files."""
    import numpy

    queries = {name: sql for name, sql in sections().items() if name != "tables"}
    connection = connect(dir / "segments.duckdb", read_only=True)
    members, slowest = {}, []
    began, cpu = time.monotonic(), processor_seconds()
    for name, sql in queries.items():
        query_began = time.monotonic()
        members[name] = connection.execute(sql).fetchnumpy()["person"]
        slowest.append((time.monotonic() - query_began, name))
    wall, cpu = time.monotonic() - began, processor_seconds() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, people in members.items():
        numpy.sort(people.astype("<u4")).tofile(out / name)
    if each:
        for seconds, name in sorted(slowest, reverse=True):
            print(f"{seconds * 1000:8.1f} ms  {name}", file=sys.stderr)
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))


def run_duckdb(dir, out):
    command = [sys.executable, __file__, "--dir", dir, "--queries-to", out]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def run_driftless(binary, dir, out):
    command = [binary, "evaluate", "--dir", dir, "--now", NOW_TEXT, "--out", out]
    command += ["--threads", str(THREADS)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    wall, cpu = re.search(r"^evaluating +(\S+) s wall +(\S+) s cpu", told, re.M).groups()
    peak = re.search(r"^resident at most +(\S+) MiB", told, re.M).group(1)
    return {"wall": float(wall), "cpu": float(cpu), "peak": float(peak)}


def build():
    command = ["cargo", "build", "--release", "--bench", "segments", "--message-format", "json"]
    built = subprocess.run(command, cwd=BENCHES.parent, check=True, stdout=subprocess.PIPE)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    paths = [message.get("executable") for message in messages]
    return [path for path in paths if path][-1]


def differences(mine, theirs):
    """Segments whose members differ, and a line about each."""
    import numpy

    names = [name for name in sections() if name != "tables"]
    lines, sizes = [], []
    for name in names:
        ours, others = (numpy.fromfile(side / name, "<u4") for side in (mine, theirs))
        sizes.append(len(ours))
        if not numpy.array_equal(ours, others):
            only = numpy.setdiff1d(ours, others), numpy.setdiff1d(others, ours)
            examples = [side[:3].tolist() for side in only]
            lines.append(f"{name}: {len(only[0])} only driftless, {len(only[1])} only DuckDB, "
                         f"such as {examples}")
    print(f"{len(names)} segments, {sum(sizes)} memberships, {min(sizes)} to {max(sizes)} each")
    return lines


def table(rounds):
    print(f"{'':12}{'wall s':>9}{'cpu s':>9}{'peak MiB':>10}   medians of {len(rounds)} rounds")
    medians = {}
    for side in ("driftless", "DuckDB"):
        median = {
            key: statistics.median(one[side][key] for one in rounds)
            for key in ("wall", "cpu", "peak")
        }
        print(f"{side:12}{median['wall']:9.2f}{median['cpu']:9.2f}{median['peak']:10.0f}")
        medians[side] = median
    ratio = {key: medians["driftless"][key] / medians["DuckDB"][key] for key in ("wall", "cpu", "peak")}
    print(f"{'ratio':12}{ratio['wall']:9.2f}{ratio['cpu']:9.2f}{ratio['peak']:10.2f}")


def compare(args):
    binary = build()
    if not (args.dir / "filled").exists():
        size = ["--people", str(args.people), "--events", str(args.events)]
        subprocess.run([binary, "fill", *size, "--dir", args.dir], check=True)
    load(args.dir)
    mine, theirs = args.dir / "members-driftless", args.dir / "members-duckdb"
    for side in (mine, theirs):
        side.mkdir(exist_ok=True)
    sides = [
        ("driftless", lambda: run_driftless(binary, args.dir, mine)),
        ("DuckDB", lambda: run_duckdb(args.dir, theirs)),
    ]
    rounds = []
    for number in range(args.rounds):
        order = sides if number % 2 else sides[::-1]
        rounds.append({name: run() for name, run in order})
        told = (f"{name} {one['wall']:.2f} s wall, {one['cpu']:.2f} s cpu"
                for name, one in rounds[-1].items())
        print(f"round {number + 1} (load {os.getloadavg()[0]:.1f}): {'; '.join(told)}", flush=True)
    print("people and events:", (args.dir / "filled").read_text().strip())
    table(rounds)
    lines = differences(mine, theirs)
    print("\n".join(lines + [f"differing segments: {len(lines)}"]))
    return 1 if lines else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--people", type=int, default=100_000)
    arguments.add_argument("--events", type=int, default=2_000_000)
    arguments.add_argument("--dir", type=pathlib.Path, required=True)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--each", action="store_true", help=argparse.SUPPRESS)
    arguments.add_argument("--queries-to", type=pathlib.Path, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.queries_to:
        return queries(args.dir, args.queries_to, args.each)
    return compare(args)


if __name__ == "__main__":
    sys.exit(main())
