"""What faults cost Python's executors: the values of one figure of `pool-benches faults`.

usage: chapter.py kill|cancel|shutdown FOLDER
"""

import os
import signal
import time
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

from figures import add, clock, take, tell


def hold(path):
    while os.path.exists(path):
        time.sleep(0.001)


def kill(_folder):
    executor = futures.ProcessPoolExecutor(1)
    for _ in range(50):
        pid = executor.submit(os.getpid).result()
        time.sleep(0.02)
        begin = clock()
        os.kill(pid, signal.SIGKILL)
        while True:
            try:
                successor = executor.submit(os.getpid).result()
                break
            except BrokenProcessPool:
                executor = futures.ProcessPoolExecutor(1)
        tell("kill.python", clock() - begin)
        assert successor != pid
    executor.shutdown()


def cancel(folder):
    path = os.path.join(folder, "hold")
    executors = {
        "cancel.py.threads": futures.ThreadPoolExecutor,
        "cancel.py.processes": futures.ProcessPoolExecutor,
    }
    for _ in range(5):
        for row, make in executors.items():
            with open(path, "w"):
                pass
            with make(1) as executor:
                try:
                    tell(row, cancel_queued(executor, path))
                finally:
                    os.remove(path)


def cancel_queued(executor, path):
    held = executor.submit(hold, path)
    while not held.running():
        time.sleep(0.001)
    queued = [executor.submit(add, i, 1) for i in range(100_000)]
    begin = clock()
    cancelled = sum(future.cancel() for future in queued)
    seconds = clock() - begin
    # What is on its way to a process cannot be cancelled.
    assert cancelled >= len(queued) - 4, cancelled
    return seconds


def shutdown(_folder):
    for _ in range(50):
        executor = futures.ProcessPoolExecutor(2)
        executor.submit(add, 1, 1).result()
        executor.submit(add, 1, 1).result()
        time.sleep(0.02)
        begin = clock()
        executor.shutdown()
        tell("shutdown.python", clock() - begin)


if __name__ == "__main__":
    take(kill, cancel, shutdown)
