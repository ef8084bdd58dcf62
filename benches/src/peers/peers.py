"""Python's pools in the rows of pool-benches: one sample, whose values go to the standard output.

usage: peers.py GROUP PEER quick|full
       peers.py versions
"""

import array
import itertools
import os
import platform
import statistics
import sys
import time
from importlib import import_module, metadata

WORKERS = 2
clock = time.perf_counter


# The work.


def add(a, b):
    return a + b


def increment(a):
    return a + 1


def echo(block):
    return block


def probe(values):
    return values[len(values) // 2] + len(values)


def who(seconds):
    end = clock() + seconds
    while clock() < end:
        pass
    return os.getpid()


def churn(rounds):
    x = 1
    for _ in range(rounds):
        x = (x * 5 + 1) & 0xFFFFFFFF
    return x


# The pools: `submit` gives a handle, `join` waits for it, `map` takes a chunk size.


class MpPool:
    def __init__(self):
        self.pool = import_module("multiprocessing").Pool(WORKERS)

    def submit(self, function, *arguments):
        return self.pool.apply_async(function, arguments)

    def join(self, handle):
        return handle.get()

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunk)

    def close(self):
        self.pool.terminate()


class Executor:
    def __init__(self):
        futures = import_module("concurrent.futures")
        self.pool = futures.ProcessPoolExecutor(WORKERS)

    def submit(self, function, *arguments):
        return self.pool.submit(function, *arguments)

    def join(self, handle):
        return handle.result()

    def map(self, function, items, chunk):
        return list(self.pool.map(function, items, chunksize=chunk))

    def close(self):
        self.pool.shutdown()


class Loky(Executor):
    def __init__(self):
        self.pool = import_module("loky").get_reusable_executor(WORKERS)


class Joblib:
    """Has no handles: a call is a whole `Parallel` of one."""

    def __init__(self):
        self.joblib = import_module("joblib")
        self.pool = self.joblib.Parallel(n_jobs=WORKERS)
        self.pool.__enter__()

    def submit(self, function, *arguments):
        return self.joblib.delayed(function)(*arguments)

    def join(self, handle):
        return self.pool([handle])[0]

    def join_all(self, handles):
        return self.pool(handles)

    def map(self, function, items, _chunk):
        return self.pool(self.joblib.delayed(function)(item) for item in items)

    def close(self):
        self.pool.__exit__(None, None, None)


PEERS = {"mp_pool": MpPool, "executor": Executor, "loky": Loky, "joblib": Joblib}


# The rows.


def value(row, number):
    print(f"@value {row} {number:e}", flush=True)


def join_all(pool, handles):
    if isinstance(pool, Joblib):
        return pool.join_all(handles)
    return [pool.join(handle) for handle in handles]


def call(pool, function, *arguments):
    return pool.join(pool.submit(function, *arguments))


def warm(pool):
    join_all(pool, [pool.submit(add, i, 1) for i in range(20)])


def trips(pool, times, pause=0.0):
    """At most so many, and of the slow ones fewer, but never less than ten."""
    taken = []
    enough = clock() + 0.5
    for i in range(times):
        if i >= 10 and not pause and clock() > enough:
            break
        time.sleep(pause)
        begin = clock()
        answer = call(pool, add, i, 1)
        taken.append(clock() - begin)
        assert answer == i + 1
    return sorted(taken)


def trip(pool, quick):
    taken = trips(pool, 100 if quick else 600)
    value("trip.p50", statistics.median(taken))
    value("trip.p99", taken[len(taken) * 99 // 100])


def trip_cold(pool, quick):
    value("trip.cold", statistics.median(trips(pool, 7 if quick else 11, 0.1)))


def submit(row, tasks):
    def run(pool, quick):
        if quick and tasks > 10_000:
            sys.exit("left out of --quick")
        begin = clock()
        handles = [pool.submit(add, i, 1) for i in range(tasks)]
        results = join_all(pool, handles)
        value(row, tasks / (clock() - begin))
        assert results[-1] == tasks

    return run


def map_tiny(pool, quick):
    """The best chunk size of a few; joblib finds its own."""
    if isinstance(pool, Joblib):
        items, chunks = 20_000, [0]
    elif quick:
        items, chunks = 300_000, [10_000]
    else:
        items, chunks = 1_000_000, [1_000, 5_000, 20_000, 100_000]
    best = 0
    for chunk in chunks:
        begin = clock()
        results = pool.map(increment, range(items), chunk)
        best = max(best, items / (clock() - begin))
        assert results[-1] == items
    value("map.tiny", best)


def repeat(seconds, run):
    """Seconds of one run, on average over so many seconds."""
    begin = clock()
    for times in itertools.count(1):
        run()
        passed = clock() - begin
        if passed >= seconds:
            return passed / times


def echo_64k(pool, quick):
    block = bytes(range(256)) * 256
    enough = 0.1 if quick else 0.3

    def once():
        assert len(call(pool, echo, block)) == len(block)

    def sixteen():
        join_all(pool, [pool.submit(echo, block) for _ in range(16)])

    both_ways = 2 * len(block)
    value("echo.64k", both_ways / repeat(enough, once))
    value("echo.64k.ahead", 16 * both_ways / repeat(enough, sixteen))


def big(pool, _quick):
    for row in ("big.first", "big.again"):
        values = array.array("d", [1.5]) * (1 << 25)
        expected = probe(values)
        begin = clock()
        assert call(pool, probe, values) == expected
        value(row, clock() - begin)


def start(peer):
    begin = clock()
    pool = peer()
    seen = set()
    while len(seen) < WORKERS:
        handles = [pool.submit(who, 0.0005) for _ in range(WORKERS)]
        seen.update(join_all(pool, handles))
        assert clock() < begin + 5, "a worker never answered"
    value("start", clock() - begin)
    return pool


def family():
    """This process and its children, some of which may be helpers of the library."""
    own = os.getpid()
    children = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == own and state != "Z":
            children.append(int(name))
    return own, children


def cpu(pids):
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                total += int(stat.read().split()[0])
    return total / 1e9


def private(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(1024 * int(line.split()[1]) for line in rollup if line.startswith("Private_"))


def idle(pool, _quick):
    import subprocess

    arguments = [sys.executable, "-c", "input()"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as empty:
        time.sleep(0.2)
        floor = private(empty.pid)
        empty.communicate(b"\n")
    time.sleep(0.3)
    own, children = family()
    before = cpu([own, *children])
    time.sleep(2)
    value("idle.cpu", cpu([own, *children]) - before)
    value("idle.memory", statistics.median(map(private, children)) - floor)


def scale(pool, quick):
    tasks = 300 if quick else 2_000
    rounds = 20_000
    begin = clock()
    churn(rounds)
    rounds = int(rounds * 0.001 / (clock() - begin))

    def one_core(times):
        begin = clock()
        for _ in range(times):
            churn(rounds)
        return clock() - begin

    alone = one_core(tasks // 2)
    begin = clock()
    join_all(pool, [pool.submit(churn, rounds) for _ in range(tasks)])
    both = clock() - begin
    alone += one_core(tasks - tasks // 2)
    value("scale", alone / both)


GROUPS = {
    "trip": trip,
    "trip.cold": trip_cold,
    "submit.2k": submit("submit.2k", 2_000),
    "submit.100k": submit("submit.100k", 100_000),
    "map.tiny": map_tiny,
    "echo": echo_64k,
    "big": big,
    "idle": idle,
    "scale": scale,
}


def versions():
    found = [platform.python_version()]
    for name in ("loky", "joblib"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} is not installed")
    return ", ".join(found)


def main():
    if sys.argv[1] == "versions":
        print(versions())
        return
    group, peer, effort = sys.argv[1:]
    try:
        if group == "start":
            pool = start(PEERS[peer])
        else:
            pool = PEERS[peer]()
            warm(pool)
            GROUPS[group](pool, effort == "quick")
    except ImportError as missing:
        sys.exit(f"not installed: {missing}")
    pool.close()


if __name__ == "__main__":
    main()
