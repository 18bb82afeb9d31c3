"""A model of texts whose talks only its own template can write: imported, served, and asked as openai's client asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.engines.constraint_forms import make_writer
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils.chat_template_utils import render_jinja_template

from hanlin.client import Hanlin

pytestmark = pytest.mark.e2e
TEMPLATE = (
    "{%- for each in messages %}{%- if not loop.first and each.role == messages[loop.index0 - 1].role %}"
    "{{ raise_exception('Speakers take turns') }}{%- endif %}"
    "«{{ each.role | upper }} {{ loop.index }}» {{ each.content | trim }}\n{% endfor %}"
    "{%- if add_generation_prompt %}«REPLY» {% endif %}"
)
TALK: list[Any] = [
    {"role": "system", "content": " Be short. "}, {"role": "user", "content": "你好"}, {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Where is the hall?\n"},
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of random weights."""
    made = make_writer(tmp_path_factory.mktemp("writer"))
    words = Tokenizer.from_file(str(made / "tokenizer.json"))
    folder = tmp_path_factory.mktemp("mannered")
    words.save(str(folder / "tokenizer.json"))
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=words.get_vocab_size(), max_position_embeddings=512, **sizes, **ends)).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def openai_client(client: Hanlin, server: Any, folder: Path) -> Iterator[openai.OpenAI]:
    client.jobs.wait(client.models.add("mannered", folder, task="text-generation").id, timeout=300)
    client.deployments.wait(client.deployments.create("mannered", "mannered"), timeout=120)
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as found:
        yield found


def test_a_talk_is_written_as_the_template_says(openai_client: openai.OpenAI, folder: Path) -> None:
    (theirs,), _ = render_jinja_template([TALK], chat_template=TEMPLATE, add_generation_prompt=True)
    wanted = len(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(theirs, add_special_tokens=False).ids)
    answer = openai_client.chat.completions.create(model="mannered", messages=TALK, max_tokens=5, temperature=0)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == wanted
    assert openai_client.responses.input_tokens.count(model="mannered", input=TALK).input_tokens == wanted
    *_, last = openai_client.chat.completions.create(
        model="mannered", messages=TALK, max_tokens=5, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    assert last.usage is not None
    assert last.usage.prompt_tokens == wanted


def test_what_the_template_refuses_is_the_callers_to_mend(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="Speakers take turns"):
        openai_client.chat.completions.create(model="mannered", messages=[*TALK, TALK[-1]], max_tokens=5)
