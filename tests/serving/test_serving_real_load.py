"""A worker with real models: while one loads another answers, and each loads as the settings say."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.engines.streams import Streams
from hanlin.serving.channel import Channel
from hanlin.serving.place import Place
from hanlin.serving.process import WorkerOptions
from hanlin.serving.wire import Answer, Call
from hanlin.serving.workers import LoadedModel, Wanted, Workers

pytestmark = pytest.mark.e2e
CONTENT = msgspec.Raw(msgspec.msgpack.encode(["w9 w8 w7", {}]))
ENOUGH = 2  # steps during one load: one may have begun before it, but none follows while the worker's loop stands still
MOST_LOADS = 5  # on a busy machine one may be over before its neighbour has had a turn


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Transformer as OpenVINO has it."""
    import torch

    from hanlin.compression.base import convert
    from hanlin.networks.config import NetworkConfig
    from hanlin.networks.loading import build, save_network

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("real") / "artifact"
    folder.mkdir()
    config = NetworkConfig(
        model_type="hanlin-transformer", vocab_size=60, labels=("a", "b"), embedding_size=16, hidden_size=32, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    save_network(build(config), folder)
    spec = {"format": 1, "task": "text-classification", "labels": ["a", "b"], "max_length": 64, "pad_id": 0, "text": {}}
    (folder / "hanlin.json").write_text(json.dumps(spec))
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(60)}, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    convert(folder, "openvino-fp32", calibration=[], workdir=tmp_path_factory.mktemp("scratch"))
    return folder


@pytest.fixture
def options(tmp_path: Path) -> WorkerOptions:
    """Workers that know the witness."""
    plugin = tmp_path / "plugin"
    about = plugin / "hanlin_witness-1.0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("witness.py"), plugin)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanlin-witness\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[hanlin.engines]\nwitness = witness\n")
    environ = os.environ | {"PYTHONPATH": f"{plugin}:{os.environ.get('PYTHONPATH', '')}"}
    return WorkerOptions(
        run_dir=tmp_path / "run", log=tmp_path / "log", environ=environ, threads=3, streams=Streams(2, "off"), memory_bytes=2**34
    )


async def test_one_answers_while_another_is_compiled_beside_it(options: WorkerOptions, artifact: Path) -> None:
    workers, places, loaded = Workers(options), [Place(options.run_dir) for _ in range(MOST_LOADS + 1)], list[LoadedModel]()

    async def start() -> None:
        number = len(loaded)
        wanted = Wanted("team", f"d{number}", artifact, "witness-fp32", f"m:{number}", "e", isolation="shared")
        loaded.append(await workers.start(wanted, places[number]))

    def told() -> list[dict[str, Any]]:
        assert options.log is not None
        return [json.loads(line) for line in options.log.read_text().splitlines() if line.startswith("{")]

    try:
        await start()
        channel = await Channel.connect(places[0].route.socket, places[0].route.token)
        answers = []
        while len(loaded) <= MOST_LOADS and max(load["steps"] for load in told()) < ENOUGH:
            loading = asyncio.create_task(start())
            while not loading.done():
                answer = await channel.call(Call(channel.next_id(), CONTENT, 60.0), 9, timeout_s=60.0)
                assert isinstance(answer, Answer)
                answers.append(bytes(answer.body))
            await loading
        channel.close()
        assert len({model.pid for model in loaded}) == 1
        assert max(load["steps"] for load in told()) >= ENOUGH, "no call was answered between the beginning and the end of a load"
        assert len(set(answers)) == 1, "what loads beside it changes no answer"
        assert {(load["count"], load["pinning"], load["threads"], load["num_streams"]) for load in told()} == {(2, "off", 1, 1)}
    finally:
        for model in loaded:
            await model.stop()
        await workers.close()
        for place in places:
            place.close()
