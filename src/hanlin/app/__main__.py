"""`python -m hanlin.app ROLE`: the door of every child process. Each role imports only what it needs."""

from __future__ import annotations

import sys

from hanlin.app.processes import enter


def main() -> int:
    """Runs one role until it ends; the exit status."""
    role, args = sys.argv[1], sys.argv[2:]
    from hanlin.observe.logs import configure_logs

    settings = enter(f"hanlin {' '.join([role, *args[:1]]) if role == 'job' else role}")
    if role != "job":  # a job's output is kept by the runner
        name = f"gateway-{args[1]}" if role == "gateway" and args[1] != "0" else role  # a file of its own: each turns its own over
        configure_logs(name, level=settings.log_level, path=settings.home / "logs" / f"{name}.log")
    if role == "gateway":
        from hanlin.app.gateway import run_gateway

        return run_gateway(settings, socket_fd=int(args[0]), index=int(args[1]), tally_fd=int(args[2]))
    if role == "reconciler":
        from hanlin.app.reconciler import run_reconciler

        return run_reconciler(settings)
    if role == "runner":
        from hanlin.app.runner import run_runner

        return run_runner(settings)
    if role == "job":
        from hanlin.app.job import run_job

        return run_job(settings, args[0])
    raise SystemExit(f"unknown role {role!r}")


if __name__ == "__main__":
    sys.exit(main())
