"""Results of Python's executors as they come: the values of one figure of `pool-benches futures`.

usage: chapter.py completed|unordered|mixed FOLDER
"""

import multiprocessing
import time
from concurrent import futures

from figures import add, clock, take, tell

WORKERS = 2
TASKS = 20_000
CHUNKED = 500_000
CHUNK = 1_000
MIXED = 10_000

EXECUTORS = {
    "threads": futures.ThreadPoolExecutor,
    "processes": futures.ProcessPoolExecutor,
}


def warm(executor):
    assert list(executor.map(abs, range(1_000))) == list(range(1_000))


def increment(number):
    return number + 1


def in_any_order(handles):
    return sum(handle.result() for handle in futures.as_completed(handles))


def in_order(handles):
    return sum(handle.result() for handle in handles)


def completed(_folder):
    for backend, make in EXECUTORS.items():
        with make(WORKERS) as executor:
            warm(executor)
            for _ in range(3):
                for row, collect in (("completed", in_any_order), ("joined", in_order)):
                    tell(f"{row}.py.{backend}", seconds(executor, collect))


def seconds(executor, collect):
    begin = clock()
    total = collect([executor.submit(add, i, 1) for i in range(TASKS)])
    passed = clock() - begin
    assert total == TASKS * (TASKS + 1) // 2
    return passed


def unordered(_folder):
    for backend, make in EXECUTORS.items():
        with make(WORKERS) as executor:
            warm(executor)
            for _ in range(3):
                rate = TASKS / seconds(executor, in_any_order)
                tell(f"unordered.py.{backend}", rate)
    with multiprocessing.Pool(WORKERS) as pool:
        warm(pool)
        for _ in range(3):
            tell("unordered.py.pool", imap_rate(pool, TASKS, 1))
            tell("unordered.py.pool.chunks", imap_rate(pool, CHUNKED, CHUNK))


def imap_rate(pool, items, chunk):
    begin = clock()
    total = sum(pool.imap_unordered(increment, range(items), chunk))
    passed = clock() - begin
    assert total == items * (items + 1) // 2
    return items / passed


def nap(ms):
    """When it ended."""
    if ms:
        time.sleep(ms / 1_000)
    return time.monotonic_ns()


def mixed(_folder):
    naps = [5 if i % 100 == 50 else 0 for i in range(MIXED)]
    for backend, make in EXECUTORS.items():
        with make(WORKERS) as executor:
            warm(executor)
            for _ in range(3):
                tell_mixed(f"mixed.py.{backend}", lambda: as_they_come(executor, naps))
    with multiprocessing.Pool(WORKERS) as pool:
        warm(pool)
        for _ in range(3):
            tell_mixed("mixed.py.pool", lambda: pool.imap_unordered(nap, naps))


def as_they_come(executor, naps):
    handles = [executor.submit(nap, ms) for ms in naps]
    return (handle.result() for handle in futures.as_completed(handles))


def tell_mixed(row, ends_of):
    delays = []
    begin = clock()
    for end in ends_of():
        delays.append(time.monotonic_ns() - end)
    tell(row, clock() - begin)
    assert len(delays) == MIXED
    for delay in delays:
        tell(f"{row}.delay", delay / 1e9)


if __name__ == "__main__":
    take(completed, unordered, mixed)
