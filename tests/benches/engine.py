"""How fast the engine is, as numbers beside the goals. Nothing fails by being slow.

    python3 tests/benches/engine.py PROGRAM [TIMES]

PROGRAM is the built `ratchet`. Each number is the best of TIMES (3 by default). Times of runs are the runs' own, from
recorded to ended, as its database has them; the database is the embedded one as it always is (synchronous=FULL).
"""

import datetime
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time

PUBLISHED = """
Others, for scale. Measured once on a machine of the same kind (2 cores), not now and not beside these; +-20 %:
  Dagu 1.30.2 (a process a task)         chain-100 0.57-0.63 s, 1,000 tasks 28-31 s, one run 15-20 ms, idle 45 MB
  Luigi 3.8.1 (inside one process)       chain-100 0.52 s, 1,000 parallel 3.7 s
  Prefect 3.8.8 (SQLite)                 chain-100 1.10 s, 100 parallel 3.5 s, idle 211 MB
  Dagster 1.13 (in process, SQLite)      chain-100 10.6 s, idle 112 MB
  Airflow 3.3.2 (LocalExecutor, SQLite)  chain-20 22.7 s, 100 parallel 50.2 s, idle 965 MB"""


def chain(count):
    tasks = [f"  t{n}:\n    uses: core.noop\n" + (f"    needs: [t{n - 1}]\n" if n else "") for n in range(count)]
    return "name: chain\ntasks:\n" + "".join(tasks)


def wide(count, more=""):
    return "name: wide\ntasks:\n" + "".join(f"  t{n}:\n    uses: core.noop\n{more}" for n in range(count))


def instant(text):
    """Nanoseconds are cut to microseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


class Bench:
    def __init__(self, program, times, directory):
        self.program = program
        self.times = times
        self.directory = pathlib.Path(directory)
        self.homes = 0
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("RATCHET_")}

    def call(self, *arguments):
        """Seconds from the call to the exit status."""
        started = time.monotonic()
        command = [self.program, *arguments]
        subprocess.run(command, cwd=self.directory, env=self.environment, stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - started

    def home(self):
        self.homes += 1
        return f"home{self.homes}"

    def run(self, text, home=None):
        """The run's own seconds and those of the whole program."""
        (self.directory / "bench.yaml").write_text(text)
        home = home or self.home()
        seconds = self.call("--quiet", "--home", home, "run", "bench.yaml")
        with sqlite3.connect(self.directory / home / "engine.sqlite") as database:
            newest = "SELECT created_at, finished_at FROM runs ORDER BY id DESC LIMIT 1"
            created, finished = map(instant, database.execute(newest).fetchone())
        return (finished - created).total_seconds(), seconds

    def best(self, text):
        return min(self.run(text)[0] for _ in range(self.times))

    def idle_megabytes(self):
        dags = self.directory / "dags"
        dags.mkdir()
        (dags / "one.yaml").write_text(chain(1))
        server = subprocess.Popen(
            [self.program, "--home", "home-serve", "serve", "--dags", "dags", "--listen", "127.0.0.1:0"],
            cwd=self.directory,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if not any(line.startswith("http://") for line in server.stderr):
                raise SystemExit("error: `ratchet serve` did not start")
            time.sleep(3)
            rollup = pathlib.Path(f"/proc/{server.pid}/smaps_rollup").read_text()
        finally:
            server.kill()
            server.wait()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024 / 1e6


def commit_milliseconds(directory):
    """What one commit costs on this disk at least."""
    with open(pathlib.Path(directory) / "commits", "wb") as file:
        started = time.monotonic()
        for _ in range(50):
            file.write(bytes(8192))
            file.flush()
            os.fdatasync(file.fileno())
        return (time.monotonic() - started) / 50 * 1e3


def line(what, measured, unit, goal=None, at_least=False):
    text = ""
    if goal is not None:
        met = measured >= goal if at_least else measured < goal
        text = f"{'at least' if at_least else 'under'} {goal} {unit}: {'met' if met else 'NOT MET'}"
    print(f"{what:<48}{measured:>10.3f} {unit:<4} {text}", flush=True)


def main(program, times=3):
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(os.path.abspath(program), int(times), directory)
        print(f"{os.cpu_count()} cores, as many slots; load before: {load:.1f}; SQLite, WAL, synchronous=FULL")
        print(f"one write and fdatasync of 8 kB on this disk: {commit_milliseconds(directory):.2f} ms\n")
        line("chain of 1,000 inline no-op tasks", bench.best(chain(1000)), "s", 1.0)
        seconds = {count: bench.best(wide(count)) for count in (100, 300, 1000, 3000, 10000)}
        line("10,000 parallel inline no-op tasks", seconds[10000], "s", 5.0)
        for count, total in seconds.items():
            ratio = total / count / (seconds[100] / 100)
            print(f"  each of {count:>6} parallel tasks{'':<17}{total / count * 1e3:>10.3f} ms   {ratio:.2f} times that of 100")
        processes = bench.best(wide(200, "    isolation: process\n"))
        line("tasks in a process of their own", 200 / processes, "/s", 150, at_least=True)
        new = min(bench.run(chain(1))[1] for _ in range(bench.times * 3))
        line("`ratchet run` of one task, new home", new * 1e3, "ms", 50)
        used = min(bench.run(chain(1), "home1")[1] for _ in range(bench.times * 3))
        line("`ratchet run` of one task, home in use", used * 1e3, "ms", 50)
        line("idle `ratchet serve`, PSS after 3 s", bench.idle_megabytes(), "MB", 60)
        print(PUBLISHED)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(*sys.argv[1:3])
