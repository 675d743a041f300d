#!/usr/bin/env python3
"""A first fill by driftless beside one by a plain Python client, from the same sandbox, in one run.

The plain client is what the vendors' own SDKs come down to: one request after the other, JSON into
dictionaries, a row for each record in SQLite, a page a transaction, a wait where 429 asks for one. Both
fill an empty store with the same profiles, events, lists with members, customers and orders. Printed are
CPU seconds, peak memory, requests, and answers with 429. Needs nothing but
Python and a release build.

    cargo build --release && python benches/pull.py --profiles 20000
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")


class Sandbox:
    """Both vendors, with the config and the secrets that they print."""

    def __init__(self, driftless, arguments):
        command = [driftless, "sandbox", "--profiles", str(arguments.profiles), "--seed", "5"]
        command += ["--speed", arguments.speed, "--listen", f"127.0.0.1:{arguments.port}"]
        if letters := getattr(arguments, "letters", None):
            command += ["--letters", str(letters)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.secrets, lines = {}, []
        for line in self.process.stdout:
            if line.startswith("export "):
                name, value = line.removeprefix("export ").strip().split("=", 1)
                self.secrets[name] = value
            elif line.startswith("# end"):
                break
            elif self.secrets:
                lines.append(line)
        self.config = "".join(lines)
        self.klaviyo, self.shopify = re.findall(r'base_url = "([^"]+)"', self.config)


def config_in(directory, sandbox):
    """A config of a mirror of its own."""
    config = directory / "shop.toml"
    text = re.sub(r'state_dir = "[^"]*"', f'state_dir = "{directory}/state"', sandbox.config)
    # Reading Klaviyo's segments, too, is more than the plain client does.
    config.write_text(text.replace('read = "all"', 'read = "none"'))
    config.chmod(0o600)
    return config


def start(driftless, sandbox, config, out=subprocess.PIPE, told=subprocess.PIPE):
    """A pass that writes nothing."""
    command = [driftless, "--config", config, "--reconcile", "--observe", "--json"]
    return subprocess.Popen(
        command,
        env=os.environ | sandbox.secrets,
        stdout=out,
        stderr=told,
        text=True,
    )


def run_driftless(driftless, sandbox, directory):
    """A first fill that writes nothing."""
    process = start(driftless, sandbox, config_in(directory, sandbox), told=subprocess.DEVNULL)
    summary = json.loads(process.stdout.read())["shops"][0]
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "counts": summary["pulled"],
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss / 1024,
        "requests": sum(summary["requests"].values()),
        "429": summary["throttled"],
    }


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Plain:
    """The plain client."""

    def __init__(self, sandbox, path):
        self.sandbox, self.requests, self.refused = sandbox, 0, 0
        self.connections, self.counts = {}, {}
        self.store = sqlite3.connect(path)
        for table in ("profiles", "events", "lists", "members", "customers", "orders"):
            self.store.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, body TEXT)")
            self.counts[table] = 0

    def ask(self, url, headers, body=None):
        parts = urllib.parse.urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        while True:
            connection = self.connections.get(parts.netloc)
            if connection is None:
                connection = self.connections[parts.netloc] = http.client.HTTPConnection(parts.netloc)
            connection.request("POST" if body else "GET", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            self.requests += 1
            if answer.status == 429:
                self.refused += 1
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                continue
            if answer.status != 200:
                raise SystemExit(f"{answer.status} for {path}: {text[:300]!r}")
            return json.loads(text)

    def keep(self, table, rows):
        with self.store:
            rows = [(key, json.dumps(row)) for key, row in rows]
            self.store.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)
        self.counts[table] += len(rows)

    def klaviyo(self, path, table, key=lambda row: row["id"]):
        headers = {
            "Authorization": f"Klaviyo-API-Key {self.sandbox.secrets['DRIFTLESS_KLAVIYO_KEY']}",
            "revision": "2026-07-15",
            "Accept": "application/vnd.api+json",
        }
        url, rows = self.sandbox.klaviyo + path, []
        while url:
            page = self.ask(url, headers)
            self.keep(table, [(key(row), row) for row in page["data"]])
            rows += [row["id"] for row in page["data"]] if table == "lists" else []
            url = page.get("links", {}).get("next")
        return rows

    def shopify(self, table, fields):
        headers = {
            "X-Shopify-Access-Token": self.sandbox.secrets["DRIFTLESS_SHOPIFY_TOKEN"],
            "Content-Type": "application/json",
        }
        query = (
            f"query($after: String) {{ {table}(first: 250, after: $after, sortKey: UPDATED_AT) "
            f"{{ pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }} }} }}"
        )
        url, after, more = self.sandbox.shopify + "/admin/api/2026-10/graphql.json", None, True
        while more:
            body = json.dumps({"query": query, "variables": {"after": after}})
            answer = self.ask(url, headers, body)
            if "data" not in answer or not answer["data"]:
                self.refused += 1
                time.sleep(1)
                continue
            page = answer["data"][table]
            self.keep(table, [(row["id"], row) for row in page["nodes"]])
            more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]

    def fill(self):
        self.klaviyo("/api/profiles?page[size]=100&additional-fields[profile]=subscriptions", "profiles")
        self.klaviyo("/api/events?page[size]=1000&sort=datetime", "events")
        for one in self.klaviyo("/api/lists?page[size]=10", "lists"):
            members = f"/api/lists/{one}/profiles?page[size]=100&fields[profile]=email"
            self.klaviyo(members, "members", lambda row, one=one: f"{one} {row['id']}")
        self.shopify(
            "customers",
            "id createdAt updatedAt tags defaultEmailAddress { emailAddress marketingState "
            "marketingUpdatedAt } defaultPhoneNumber { phoneNumber } defaultAddress { countryCodeV2 }",
        )
        self.shopify(
            "orders",
            "id createdAt updatedAt processedAt cancelledAt email customer { id } "
            "currentTotalPriceSet { shopMoney { amount currencyCode } }",
        )


def run_plain(sandbox, directory):
    """In a process of its own, for its memory."""
    into, out_of = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(into)
        client = Plain(sandbox, directory / "plain.sqlite")
        client.fill()
        with os.fdopen(out_of, "w") as out:
            json.dump({"counts": client.counts, "requests": client.requests, "429": client.refused}, out)
        os._exit(0)
    os.close(out_of)
    with os.fdopen(into) as told:
        text = told.read()
    _, status, usage = os.wait4(child, 0)
    if status or not text:
        sys.exit("the plain client failed")
    return json.loads(text) | {"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--driftless", default=ROOT / "target/release/driftless")
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--speed", choices=["fast", "real"], default="fast")
    parser.add_argument("--port", type=int, default=4711)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        directory = pathlib.Path(place)
        sandbox = Sandbox(arguments.driftless, arguments)
        try:
            runs = {}
            for name, run in [
                ("driftless", lambda: run_driftless(arguments.driftless, sandbox, directory)),
                ("plain client", lambda: run_plain(sandbox, directory)),
            ]:
                began = time.monotonic()
                runs[name] = run()
                runs[name]["wall"] = time.monotonic() - began
        finally:
            sandbox.process.kill()
    for name, result in runs.items():
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in result['counts'].items())}")
    print(f"{'':14}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}{'requests':>10}{'429':>6}")
    for name, result in runs.items():
        print(
            f"{name:14}{result['cpu']:9.1f}{result['wall']:9.1f}{result['peak']:10.0f}"
            f"{result['requests']:10}{result['429']:6}"
        )


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
