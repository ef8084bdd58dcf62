"""What the scripts of pool-benches share: they take figures of Python's executors.

usage: chapter.py FIGURE FOLDER
"""

import sys
import time

clock = time.perf_counter


def tell(row, value):
    """Tells the driver a value of a row."""
    print(f"@value {row} {value!r}")


def take(*figures):
    """Calls the function that the command line names."""
    name, folder = sys.argv[1:]
    {figure.__name__: figure for figure in figures}[name](folder)


def add(a, b):
    return a + b
