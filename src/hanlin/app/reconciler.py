"""The reconciler process: `serving.Reconciler` over the declared deployments of this home."""

from __future__ import annotations

import asyncio
import logging
import signal

from hanlin.app.wiring import open_platform
from hanlin.control.desired import DeclaredDeployments
from hanlin.engines.streams import Streams
from hanlin.errors import NotReady
from hanlin.observe.memory import read_memory
from hanlin.serving.judge import JudgeLimits
from hanlin.serving.process import WorkerOptions
from hanlin.serving.reconciler import Reconciler
from hanlin.serving.steering import SteeringOptions
from hanlin.settings import Settings

_log = logging.getLogger(__name__)


def run_reconciler(settings: Settings) -> int:
    """Runs until SIGTERM; then lets the workers drain."""
    asyncio.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    platform = open_platform(settings)
    desired = DeclaredDeployments(platform)
    try:
        desired.start_over()
    except NotReady as error:  # a full disk: what is wanted is served all the same, the states follow as workers come up
        _log.warning("old states of deployments cannot be cleared", extra={"code": error.code})
    reconciler = Reconciler(
        desired, materialize=desired.materialize, options=worker_options(settings), steering=steering_options(settings),
        has_spare=settings.spare_worker, memory_budget_bytes=memory_budget_bytes(settings),
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, reconciler.stop)
    try:
        await reconciler.run()
    finally:
        platform.close()


def steering_options(settings: Settings) -> SteeringOptions:
    """How this home's endpoints are scaled, and its trials judged."""
    limits = JudgeLimits(
        settings.trial_min_calls, settings.trial_max_error_points, settings.trial_max_latency_ratio, settings.trial_max_label_drift
    )  # fmt: skip
    return SteeringOptions(limits, settings.scale_up_after_s, settings.scale_down_after_s)


def memory_budget_bytes(settings: Settings) -> int:
    """What all loaded models together may take."""
    return settings.memory_budget_bytes or (read_memory().total_bytes or 2**40) * 6 // 10


def worker_options(settings: Settings) -> WorkerOptions:
    """How this home's workers run."""
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return WorkerOptions(
        run_dir=settings.home / "run", threads=settings.engine_threads,
        streams=Streams(settings.engine_streams, settings.engine_pinning), max_batch_tokens=settings.max_batch_tokens,
        max_queue_tokens=settings.max_queue_tokens, max_queue_wait_s=settings.max_queue_wait_s,
        max_items=settings.max_items, max_text_bytes=settings.max_text_bytes,
        drain_timeout_s=settings.drain_timeout_s, start_timeout_s=settings.worker_start_timeout_s, log=logs / "workers.log",
        hang_s=settings.worker_hang_s, confinement=settings.worker_confinement, memory_bytes=settings.worker_memory_bytes,
        pythons=settings.pythons, memory_share=settings.vllm_memory_share,
    )  # fmt: skip
