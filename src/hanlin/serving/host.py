"""The models of one worker process: each behind a socket of its own, loaded on a thread beside those that answer.

Lives on the worker's event loop. Models are loaded one after the other: two at once would only slow each other, and the answers
of the rest.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hanlin.engines.base import Session, StreamingSession, max_batch_tokens
from hanlin.engines.sharing import SharedSession, SharedWriter
from hanlin.errors import HanlinError
from hanlin.observe.memory import settle, while_loading
from hanlin.serving.bases import Bases, Standing
from hanlin.serving.batcher import Batcher
from hanlin.serving.door import Door
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.generation_queue import GenerationQueue
from hanlin.serving.loaded import Loaded
from hanlin.serving.loading import describe, load, load_adapter
from hanlin.serving.orders import Busy, Facts, Failed, Failure, Line, Load, ModelFacts, Order, Ready, Unload, Unloaded
from hanlin.serving.parent import set_title
from hanlin.serving.replica import Replica
from hanlin.serving.resting import Resting, rest
from hanlin.serving.shared import AdapterReplica, SharedQueue
from hanlin.serving.shared_writing import SharedGenerationQueue, WritingReplica
from hanlin.serving.turns import Turns
from hanlin.tasks.base import Limits

FACTS_S = 0.25  # how often it is looked whether there is something to tell
ALIVE_S = 2.0  # how often it is told that there is nothing: a worker that is silent hangs


@dataclass(slots=True)
class HeldModel:
    """A loaded model and where it answers."""

    replica: Replica
    door: Door
    server: asyncio.AbstractServer
    title: str
    session: Session | SharedSession | SharedWriter

    async def close(self, drain_timeout_s: float) -> None:
        """Refuse new calls, let those in flight end, free everything."""
        await self.replica.drain(drain_timeout_s)
        self.server.close()
        await self.door.close()
        await asyncio.to_thread(self.replica.close)  # waits for a step that runs on

    def facts(self) -> ModelFacts:
        """How much it is used."""
        values = self.replica.values()
        return ModelFacts(
            int(values["calls_total"]),
            self.replica.num_inflight,
            int(values["queued_tokens"]),
            round(values["engine_seconds_total"], 3),
            int(values["answered_total"]),
        )


class Host:
    """Takes orders, tells news.

    Args:
        tell: called on the loop with each piece of news.
        max_steps: steps that run at once, of all models together; None: no limit.
        alive_s: longest silence.

    Attributes:
        broken: set when a gateway broke the protocol: no state of this process is to be trusted then.
    """

    def __init__(self, tell: Callable[[Line], None], *, max_steps: int | None = None, alive_s: float = ALIVE_S) -> None:
        self._tell = tell
        self._alive_s = alive_s
        self._turns = Turns(max_steps)
        self._models: dict[str, HeldModel] = {}
        self._bases = Bases()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: dict[str, bool] = {}  # names of what is being loaded; False: not wanted any more
        self._told: Facts | None = None
        self._resting = Resting()
        self.broken = asyncio.Event()

    def take(self, order: Order, listener: socket.socket | None = None) -> None:
        """Begin with an order; its end is told. `listener` comes with an order to load."""
        if isinstance(order, Load):
            assert listener is not None, "nowhere to listen"
            work = self._load(order, listener)
        else:
            work = self._unload(order)
        self._begin(work)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def tell_facts(self) -> None:
        """For ever: tell how much each model is used, when that has changed or nothing was told for a while; give back memory at rest."""
        loop = asyncio.get_running_loop()
        told_s = 0.0
        while True:
            await asyncio.sleep(min(FACTS_S, self._alive_s))
            models = {name: model.facts() for name, model in self._models.items()}
            if due := self._resting.due(models, loop.time()):
                self._begin(asyncio.to_thread(_rest, [self._models[name].session for name in due]))  # the news must go on
            if self._told is None or models != self._told.models or loop.time() - told_s >= self._alive_s:
                self._told, told_s = Facts("", models=models), loop.time()
                self._tell(self._told)

    async def close(self, drain_timeout_s: float) -> None:
        """Drain and free all models, side by side."""
        models, self._models = list(self._models.values()), {}
        await asyncio.gather(*(model.close(drain_timeout_s) for model in models))

    async def _load(self, order: Load, listener: socket.socket) -> None:
        limits = Limits(max_items=order.max_items, max_text_bytes=order.max_text_bytes)
        self._loading[order.id] = True
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._loader, _load, order, limits, self._bases)
            if not self._loading[order.id]:
                listener.close()
                self._drop(order, found)
                return
            model = await self._open(order, found, listener)
        except Exception as error:
            listener.close()
            _log(error)
            self._tell(Failed(order.id, error=Failure.of(error, order.variant)))
            return
        finally:
            del self._loading[order.id]
        if not self._models:
            settle()  # not later on: it would hold up the models that answer
        self._models[order.id] = model
        self._set_title()
        self._tell(Ready(order.id, info=model.door.info))

    def _drop(self, order: Load, found: Loaded | Standing) -> None:
        if isinstance(found, Standing):
            self._bases.leave(order.base, found.base, found.seat)
        else:
            found.session.close()

    async def _open(self, order: Load, found: Loaded | Standing, listener: socket.socket) -> HeldModel:
        if isinstance(found, Standing):
            loaded, replica = found.loaded, self._front(order, found)
        else:
            loaded, replica = found, Replica(found, self._queue(order, found))
        info = describe(loaded, version=order.version, variant=order.variant)
        door = Door(replica, token=order.token, info=info, broken=self.broken)
        server = await asyncio.get_running_loop().create_unix_server(door.protocol, sock=listener)
        return HeldModel(replica, door, server, f"{order.endpoint} {order.version} {order.variant}", loaded.session)

    def _queue(self, order: Load, found: Loaded) -> EngineQueue | GenerationQueue:
        session, pad_id = found.session, found.encoder.pad_id
        if not isinstance(session, StreamingSession):
            return EngineQueue(session, _batcher(order, found), pad_id=pad_id, turns=self._turns)
        waiting, steps = _batcher(order, found), _batcher(order, found)
        return GenerationQueue(session, waiting, steps, pad_id=pad_id, max_rows=found.max_batch_rows, turns=self._turns)

    def _front(self, order: Load, found: Standing) -> Replica:
        """The adapter's own replica, before the queue of its base."""
        base, loaded = found.base, found.loaded
        if base.queue is None:
            base.queue = self._shared_queue(order, loaded, base.session)
        kind = WritingReplica if isinstance(base.queue, SharedGenerationQueue) else AdapterReplica
        return kind(loaded, base.queue, found.seat, leave=partial(self._bases.leave, order.base, base, found.seat))

    def _shared_queue(self, order: Load, loaded: Loaded, session: SharedSession | SharedWriter) -> SharedQueue | SharedGenerationQueue:
        waiting, pad_id = _batcher(order, loaded), loaded.encoder.pad_id
        if not isinstance(session, StreamingSession):
            return SharedQueue(session, waiting, pad_id=pad_id, turns=self._turns)
        return SharedGenerationQueue(session, waiting, _batcher(order, loaded), pad_id=pad_id, turns=self._turns)

    def _set_title(self) -> None:
        set_title(f"hanlin worker {', '.join(model.title for model in self._models.values())}")

    async def _unload(self, order: Unload) -> None:
        if order.id in self._loading:
            self._loading[order.id] = False
        model = self._models.get(order.id)
        if model is not None:
            facts = model.facts()
            if order.if_unused_since is not None and (facts.inflight or facts.num_calls > order.if_unused_since):
                self._tell(Busy(order.id))
                return
            del self._models[order.id]
            await model.close(order.drain_timeout_s)
            self._set_title()
            model = None  # the last one to hold it
            await asyncio.to_thread(_give_back)
        self._tell(Unloaded(order.id))


def _batcher(order: Load, loaded: Loaded) -> Batcher:
    step_tokens = loaded.session.step_tokens or order.max_batch_tokens
    return Batcher(
        max_batch_tokens=min(order.max_batch_tokens, max_batch_tokens(order.variant), step_tokens),
        max_batch_rows=loaded.max_batch_rows, max_queue_tokens=order.max_queue_tokens, max_wait_s=order.max_queue_wait_s,
    )  # fmt: skip


def _load(order: Load, limits: Limits, bases: Bases) -> Loaded | Standing:
    """On the loading thread."""
    folder = Path(order.folder)
    with while_loading():
        if order.base:
            return load_adapter(folder, order.variant, bases, order.base, threads=order.threads, limits=limits)
        loaded = load(folder, order.variant, threads=order.threads, streams=order.streams, limits=limits)
    _give_back()
    return loaded


def _rest(sessions: Sequence[object]) -> None:
    if rest(sessions):
        _give_back()


def _give_back() -> None:
    """Returns freed memory to the system; glibc keeps it otherwise, and what loading and steps took would be there still."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def _log(error: Exception) -> None:
    details = error.details if isinstance(error, HanlinError) else str(error)
    if details or not isinstance(error, HanlinError):
        sys.stderr.write(f"{type(error).__name__}: {details}\n")
