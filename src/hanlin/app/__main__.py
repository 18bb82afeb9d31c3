"""`python -m hanlin.app ROLE`: the door of every child process. Each role imports only what it needs, and does so while its parent, which
has the settings, prepares the home."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from hanlin.app.processes import await_settings, be_modest, enter
from hanlin.serving.parent import set_title
from hanlin.settings import Settings


def main() -> int:
    """Runs one role until it ends; the exit status."""
    role, args = sys.argv[1], sys.argv[2:]
    enter(_title(role, args))
    if role in ("job", "nursery"):
        be_modest()
    gc.disable()  # loading code makes much and leaves no garbage: looking for it takes a tenth of the time
    if role == "nursery":
        from hanlin.app import nursery

        nursery.load(args)
        if (job := nursery.run_nursery()) is None:
            return 0
        role, args = "job", [job]  # from here on we are its child
        set_title(_title(role, args))
    run = _load(role, args)
    gc.enable()
    settings = await_settings()
    if role != "job":  # a job's output is kept by the runner
        from hanlin.observe.logs import configure_logs

        name = f"gateway-{args[1]}" if role == "gateway" and args[1] != "0" else role  # a file of its own: each turns its own over
        configure_logs(name, level=settings.log_level, path=settings.home / "logs" / f"{name}.log")
    return run(settings)


def _title(role: str, args: list[str]) -> str:
    return f"hanlin {' '.join([role, *args[:1]]) if role == 'job' else role}"


def _load(role: str, args: list[str]) -> Callable[[Settings], int]:
    """What runs a role, its code loaded."""
    if role == "gateway":
        from hanlin.app.gateway import run_gateway

        return lambda settings: run_gateway(settings, socket_fd=int(args[0]), index=int(args[1]), tally_fd=int(args[2]))
    if role == "reconciler":
        from hanlin.app.reconciler import run_reconciler

        return run_reconciler
    if role == "runner":
        from hanlin.app.runner import run_runner

        return run_runner
    if role == "job":
        from hanlin.app.job import run_job

        return lambda settings: run_job(settings, args[0])
    raise SystemExit(f"unknown role {role!r}")


if __name__ == "__main__":
    sys.exit(main())
