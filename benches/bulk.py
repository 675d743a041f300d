#!/usr/bin/env python3
"""A first fill whose orders come in one bulk file of any size, or with --cut in windows of one shop that large.

A proxy before the sandbox's Shopify hands out generated lines in place of the orders' results, made as
they are sent, and counts accordingly; all else passes. Printed are lines, CPU and wall seconds and peak
resident memory, when the lines were read and at the end of the pass, and the mirror's size. Needs nothing
but Python and a release build; the mirror needs about half of the file's size.

    cargo build --release && python benches/bulk.py --mib 4096
"""

import argparse
import calendar
import http.client
import http.server
import json
import os
import pathlib
import re
import resource
import sys
import tempfile
import threading
import time
import urllib.parse

from pull import ROOT, Sandbox, config_in, cpu_of, start

LINE = (
    '{"id":"gid:\\/\\/shopify\\/Order\\/%013d","processedAt":"%s","updatedAt":"%s","cancelledAt":null,'
    '"test":false,"email":"buyer-%08d@example.com","customer":{"id":"gid:\\/\\/shopify\\/Customer\\/%013d"},'
    '"currentTotalPriceSet":{"shopMoney":{"amount":"%05d.50"}},'
    '"totalRefundedSet":{"shopMoney":{"amount":"0.0"}}}\n'
)
STAMP = "%Y-%m-%dT%H:%M:%SZ"
FIRST_ORDER, FIRST_BUYER = 5_000_000_000_000, 8_000_000_000_000
YEARS = 2 * 365 * 86_400
BLOCK = 1_000


class Orders:
    """Orders of the two years before today, evenly; every line is as long as any other."""

    def __init__(self, size, per_buyer, cut):
        self.width = len(LINE % (0, STAMP, STAMP, 0, 0, 0)) + 2 * (20 - len(STAMP))
        self.count = size // self.width
        self.buyers = max(1, self.count // per_buyer)
        self.cut = cut
        self.end = int(time.time()) // 86_400 * 86_400 - 86_400

    def before(self, stamp):
        """How many were created before an instant."""
        at = calendar.timegm(time.strptime(stamp, STAMP))
        share = (at - self.end + YEARS) / YEARS
        return int(self.count * min(1.0, max(0.0, share)))

    def counted(self, query):
        """How many a search finds. Without --cut none has a date, so that no window is cut."""
        if ids := re.fullmatch(r"id:>=(\d+) id:<=(\d+)", query):
            first, last = (int(number) - FIRST_ORDER for number in ids.groups())
            return max(0, min(self.count, last + 1) - max(0, first))
        return self.before(re.search(r"created_at:<'([^']+)'", query)[1]) if self.cut else 0

    def window(self, query):
        """The first and the last of a bulk query's orders, the last not included."""
        start, end = re.search(r"created_at:>='([^']+)' created_at:<'([^']+)'", query).groups()
        return self.before(start), self.before(end)

    def lines(self, first, last):
        """In blocks, each of one instant."""
        for begin in range(first, last, BLOCK):
            at = time.strftime(STAMP, time.gmtime(self.end - YEARS + begin * YEARS // self.count))
            block = (
                LINE
                % (FIRST_ORDER + n, at, at, n % self.buyers, FIRST_BUYER + n % self.buyers, n % 99_991)
                for n in range(begin, min(begin + BLOCK, last))
            )
            yield "".join(block).encode()


class Proxy(http.server.ThreadingHTTPServer):
    """Shopify, with other orders."""

    daemon_threads = True

    def __init__(self, shopify, orders):
        super().__init__(("127.0.0.1", 0), Handler)
        self.shopify = urllib.parse.urlsplit(shopify).netloc
        self.orders, self.windows, self.results = orders, {}, 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if window := re.match(r"/generated/(\d+)-(\d+)", self.path):
            self.generate(int(window[1]), int(window[2]))
        else:
            self.answer(*self.ask(None))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        document = json.loads(body) if "graphql" in self.path else {"query": ""}
        if "ordersCount" in document["query"]:
            counts = document["variables"].items()
            counts = {name: {"count": self.server.orders.counted(query)} for name, query in counts}
            head = {"Content-Type": "application/json", "Date": self.date_time_string()}
            self.answer(200, head, json.dumps({"data": counts}).encode())
        else:
            self.answer(*self.substituted(document, *self.ask(body)))

    def substituted(self, document, status, head, body):
        server, variables = self.server, document.get("variables", {})
        if "bulkOperationRunQuery(" in document["query"] and "orders(" in variables["query"]:
            number = json.loads(body)["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"]
            server.windows[number] = server.orders.window(variables["query"])
        elif "bulkOperation(id:" in document["query"] and variables["id"] in server.windows:
            reply = json.loads(body)
            operation = reply["data"]["bulkOperation"]
            first, last = server.windows[variables["id"]]
            operation["objectCount"] = operation["rootObjectCount"] = str(last - first)
            if operation["status"] == "COMPLETED":
                operation["url"] = f"{server.url}/generated/{first}-{last}.jsonl"
            body = json.dumps(reply).encode()
        return status, head, body

    def ask(self, body):
        connection = http.client.HTTPConnection(self.server.shopify)
        head = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        connection.request(self.command, self.path, body, head)
        answer = connection.getresponse()
        told = answer.read()
        hop = ("content-length", "connection", "transfer-encoding")
        head = {name: value for name, value in answer.getheaders() if name.lower() not in hop}
        connection.close()
        return answer.status, head, told

    def answer(self, status, head, body):
        self.send_response_only(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def generate(self, first, last):
        orders = self.server.orders
        self.server.results += 1
        self.send_response_only(200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Content-Length", str((last - first) * orders.width))
        self.end_headers()
        for block in orders.lines(first, last):
            self.wfile.write(block)

    def log_message(self, *_):
        pass


def peak_of(pid):
    """In MiB, so far."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def fill(driftless, sandbox, directory):
    began = time.monotonic()
    process = start(driftless, sandbox, config_in(directory, sandbox))
    told, read = [], None
    for line in process.stderr:
        told.append(line)
        if line.startswith("orders: ") and read is None:
            read = (cpu_of(process.pid), time.monotonic() - began, peak_of(process.pid))
    summary = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status or read is None:
        sys.exit(f"driftless ended with {os.waitstatus_to_exitcode(status)}:\n{''.join(told)}{summary}")
    whole = (usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024)
    return json.loads(summary)["shops"][0], read, whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--driftless", default=ROOT / "target/release/driftless")
    parser.add_argument("--mib", type=int, default=256, help="size of all lines of orders")
    parser.add_argument("--cut", action="store_true", help="let driftless cut them into windows")
    parser.add_argument("--per-buyer", type=int, default=4, help="orders of each buyer")
    parser.add_argument("--profiles", type=int, default=1_000)
    parser.add_argument("--port", type=int, default=4711)
    parser.add_argument("--dir", default="/dev/shm", help="where to put the mirror")
    arguments = parser.parse_args()
    arguments.speed = "fast"
    orders = Orders(arguments.mib * 2**20, arguments.per_buyer, arguments.cut)
    with tempfile.TemporaryDirectory(dir=arguments.dir) as place:
        directory = pathlib.Path(place)
        sandbox = Sandbox(arguments.driftless, arguments)
        try:
            proxy = Proxy(sandbox.shopify, orders)
            sandbox.config = sandbox.config.replace(sandbox.shopify, proxy.url)
            summary, read, whole = fill(arguments.driftless, sandbox, directory)
        finally:
            sandbox.process.kill()
        files = (file for file in (directory / "state").rglob("*") if file.is_file())
        size = sum(file.stat().st_blocks * 512 for file in files) / 2**20
    lines = summary["pulled"]["orders"]
    print(f"{lines} lines of {orders.width} bytes in {proxy.results} files; the mirror is {size:.0f} MiB")
    print(f"{'':14}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}")
    for name, (cpu, wall, peak) in {"orders read": read, "whole pass": whole}.items():
        print(f"{name:14}{cpu:9.1f}{wall:9.1f}{peak:10.0f}")
    if lines != orders.count:
        sys.exit(f"{orders.count} lines were there")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
