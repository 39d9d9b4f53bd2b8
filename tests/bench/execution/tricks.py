"""The command line, where measuring waits, hangs or dies as the file ``kind`` beside it says.

Outside pytest importing this is enough, so that worker processes do the same.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import time

from bench import __main__
from bench.execution import accuracy

really = accuracy.measure


def measure(settings, seed, context):
    here = context.put.__self__.folder.parents[1]  # of results/small
    kind = (here / "kind").read_text()
    if kind == "slow":
        on_epoch = context.on_epoch

        def slowly(row):
            on_epoch(row)
            (here / f"epoch-{settings.train.loss}-{seed}").write_text(str(row["epoch"]))
            time.sleep(0.3)

        context = dataclasses.replace(context, on_epoch=slowly)
    if (settings.train.loss, seed) == ("dice", 1):
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "hung":
            child = subprocess.Popen(["sleep", "300"])
            (here / "hung").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(300)
        if kind == "oom":
            raise MemoryError("no memory for this")
    return really(settings, seed, context)


if "pytest" not in sys.modules:
    accuracy.measure = measure
if __name__ == "__main__":
    sys.exit(__main__.main(sys.argv[1:]))
