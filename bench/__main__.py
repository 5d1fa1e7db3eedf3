"""Runs each benchmark in a process of its own against one embedded Postgres with its ordinary durability; prints a
table: what the last release had (bench/released.json), what is measured now, and the baseline of the same run."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.row import Measurement
from portal.run.postgres import running

HERE = Path(__file__).resolve().parent
DATA = HERE / ".data"
RELEASED = HERE / "released.json"
NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
ON_REQUEST = {"deep"}


def measure(name: str, url: str) -> list[Measurement]:
    """The lines of one benchmark; its database is empty when it starts."""
    own = {"DATABASE_URL": url, "PORTAL_DATA_DIR": str(DATA / "portal"), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    environment = {**os.environ, **own}
    prepare = [sys.executable, "manage.py", "migrate", "-v", "0"]
    subprocess.run(prepare, env=environment, cwd=HERE.parent, check=True)
    module = f"import django, runpy; django.setup(); runpy.run_module('bench.bench_{name}', run_name='__main__')"
    run = [sys.executable, "-c", module]
    done = subprocess.run(run, env=environment, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True)
    found: list[Measurement] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(rows: list[Measurement]) -> str:
    """The lines for a person."""
    before: dict[str, float] = json.loads(RELEASED.read_text())
    lines = [f"{'what':58} {'before':>12} {'now':>12} {'baseline':>12} {'unit':10} {'ratio':>7}  bound"]
    for one in rows:
        verdict = "holds" if one["holds"] else "MISSED"
        was = f"{before[one['name']]:,.4g}" if one["name"] in before else "-"
        lines.append(
            f"{one['name']:58} {was:>12} {one['value']:>12,.4g} {one['baseline']:>12,.4g} {one['unit']:10}"
            f" {one['ratio']:>7.3f}  {one['bound']} {verdict}{'  ' + one['note'] if one['note'] else ''}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which benchmarks (default: all but deep)")
    parser.add_argument("--release", action="store_true", help="keep what is measured as that of the last release")
    arguments = parser.parse_args()
    names = arguments.names or [name for name in NAMES if name not in ON_REQUEST]
    rows: list[Measurement] = []
    for name in names:
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir(parents=True)
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        with running(DATA) as server:
            rows += measure(name, server.url())
    shutil.rmtree(DATA, ignore_errors=True)
    print(table(rows))
    (HERE / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.release:
        known = json.loads(RELEASED.read_text()) | {one["name"]: float(f"{one['value']:.4g}") for one in rows}
        RELEASED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
