#!/usr/bin/env python3
"""A first fill that is killed at random instants beside an undisturbed one, from the same sandbox.

Printed are wall and CPU seconds, peak memory, the mirror's size and the requests of both: what the killed
one asked for more is what it read twice. Ends with 1 unless both mirrors say the same
(`driftless verify --digest`). Needs nothing but Python and a release build.

    cargo build --release && python benches/kills.py --profiles 20000 --kills 10
"""

import argparse
import json
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

from pull import ROOT, Sandbox, config_in, start


def fill(driftless, sandbox, directory, spans):
    """Fills a mirror, killed after each of some spans of seconds."""
    directory.mkdir()
    config = config_in(directory, sandbox)
    began, cpu, peak = time.monotonic(), 0.0, 0
    for kills, span in enumerate([*spans, None]):
        with open(directory / "summary", "w") as out:
            process = start(driftless, sandbox, config, out, subprocess.DEVNULL)
            if span is not None:
                time.sleep(span)
                process.kill()
            _, status, usage = os.wait4(process.pid, 0)
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)
        if os.WIFEXITED(status):
            break
    if status:
        sys.exit(f"driftless ended with {os.waitstatus_to_exitcode(status)}")
    verify = [driftless, "verify", "--digest", "--config", config]
    told = subprocess.run(verify, check=True, stdout=subprocess.PIPE, text=True).stdout
    files = (file for file in (directory / "state").rglob("*") if file.is_file())
    return {
        "kills": kills,
        "wall": time.monotonic() - began,
        "cpu": cpu,
        "peak": peak / 1024,
        "size": sum(file.stat().st_blocks * 512 for file in files) / 2**20,
        "requests": sum(json.loads((directory / "summary").read_text())["shops"][0]["requests"].values()),
        "mirror": re.search(r"the mirror is sound: \d+ values, (.*); digest (\S+)", told).groups(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--driftless", default=ROOT / "target/release/driftless")
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=4711)
    parser.add_argument("--dir", help="where to put both mirrors")
    arguments = parser.parse_args()
    arguments.speed = "fast"
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.dir) as place:
        directory = pathlib.Path(place)
        sandbox = Sandbox(arguments.driftless, arguments)
        try:
            whole = fill(arguments.driftless, sandbox, directory / "undisturbed", [])
            most = 1.6 * whole["wall"] / (arguments.kills + 1)
            spans = [chance.uniform(0.0, most) for _ in range(arguments.kills)]
            killed = fill(arguments.driftless, sandbox, directory / "killed", spans)
        finally:
            sandbox.process.send_signal(signal.SIGINT)
            told = sandbox.process.communicate()[0]
    asked = sum(int(count) for count in re.findall(r"^# (\d+) requests, ", told, re.M))
    killed["requests"] = asked - whole["requests"]
    print(f"{'':14}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}{'disk MiB':>10}{'requests':>10}")
    for name, result in {"undisturbed": whole, f"killed {killed['kills']} times": killed}.items():
        print(
            f"{name:16}{result['cpu']:7.1f}{result['wall']:9.1f}{result['peak']:10.0f}"
            f"{result['size']:10.0f}{result['requests']:10}"
        )
    print(f"both mirrors: {whole['mirror'][0]}")
    if whole["mirror"] != killed["mirror"]:
        sys.exit(f"they differ: {whole['mirror']} undisturbed, {killed['mirror']} killed")
    print("they say the same")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
