"""What a job's process costs before it begins: its imports, paid by each that starts from nothing, against a fork of the nursery.

usage: python bench/job_start.py [--rounds 5]

Prints seconds, and processor seconds, of importing what most jobs import (a new process each time), and of a forked job from its start to
its first line. The job itself does not exist: it ends at once.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from hanlin.app import open_platform
from hanlin.app.job_process import LOADED, JobStarter
from hanlin.jobs import Job
from hanlin.observe.machine import processor
from hanlin.settings import load_settings

IMPORT = "from hanlin.app.nursery import load; import sys; load(sys.argv[1:])"


def imports() -> tuple[float, float]:
    """Seconds and processor seconds of a process that imports."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORT, *LOADED], check=True)  # our own command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fork(starter: JobStarter) -> float:
    """Seconds until a forked job says something."""
    began_s = time.perf_counter()
    child = starter.start(cast("Job", SimpleNamespace(id="job_none", kind="train")))
    child.output.read(1)
    seconds = time.perf_counter() - began_s
    child.output.close()
    child.kill()
    return seconds


def main() -> None:
    """Measures in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({}, home=Path(folder))
        platform = open_platform(settings)
        platform.database.migrate()
        platform.close()
        starter = JobStarter(settings)
        fork(starter)  # waits until all is loaded
        times = [(*imports(), fork(starter)) for _ in range(rounds)]
        starter.close()
    names = ("import_s", "import_processor_s", "fork_s")
    found = {name: round(statistics.median(row[place] for row in times), 3) for place, name in enumerate(names)}
    print(json.dumps({"machine": processor().name, "cores": processor().cores, "rounds": rounds, **found}))


if __name__ == "__main__":
    main()
