"""Writing: what transformers writes with the same weights and settings; each row as it would be alone; nothing that a rule forbids."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from hanlin.generation import Generated, GenerationSettings
from hanlin.networks.config import GENERATOR_TYPES, RECURRENT_WRITERS, NetworkConfig
from hanlin.networks.generation.limits import repeated
from hanlin.networks.generation.run import generate, step_model
from hanlin.networks.generation.tokens import draw
from hanlin.networks.loading import build_generator

ROWS = [[7, 8, 9], [5, 6, 7, 8, 9, 10, 11, 4], [12], [20, 21, 9, 3, 4]]
SEQ2SEQ = ["t5", "bart", "marian"]
CAUSAL = ["llama", "gpt2", "qwen2"]
VOCABULARY = 40


def shaken(module: nn.Module) -> nn.Module:
    """With weights large enough that what is written depends on what is read."""
    torch.manual_seed(5)
    for name, weight in module.named_parameters():
        if weight.dim() > 1 and "norm" not in name:
            nn.init.normal_(weight, std=0.35)
    return module.eval()


def pretrained(kind: str) -> nn.Module:
    import transformers as hf

    ids = {"vocab_size": VOCABULARY, "pad_token_id": 0, "eos_token_id": 1}
    side = {
        "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64, "bos_token_id": 2,
    }  # fmt: skip
    stack = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    if kind == "t5":
        model = hf.T5ForConditionalGeneration(
            hf.T5Config(**ids, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0, dropout_rate=0)
        )  # fmt: skip
    elif kind == "bart":
        model = hf.BartForConditionalGeneration(hf.BartConfig(**ids, **side, decoder_start_token_id=1, forced_eos_token_id=None))
    elif kind == "marian":
        model = hf.MarianMTModel(hf.MarianConfig(**ids, **side, decoder_start_token_id=0, forced_eos_token_id=None))
    elif kind == "llama":
        model = hf.LlamaForCausalLM(hf.LlamaConfig(**ids, **stack, max_position_embeddings=64))
    elif kind == "qwen2":
        model = hf.Qwen2ForCausalLM(hf.Qwen2Config(**ids, **stack, max_position_embeddings=64))
    else:
        model = hf.GPT2LMHeadModel(hf.GPT2Config(**ids, n_embd=16, n_layer=2, n_head=2, n_positions=64))
    return shaken(model)


def own(kind: str, **changes: object) -> nn.Module:
    sizes = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_decoder_layers": 2, "num_attention_heads": 2}
    values = {**sizes, "intermediate_size": 32, "max_position_embeddings": 64, "bos_token_id": 2, "eos_token_id": 1, **changes}
    return shaken(build_generator(NetworkConfig(kind, VOCABULARY, **values)))  # type: ignore[arg-type]


def theirs(model: nn.Module, row: list[int], asked: GenerationSettings) -> list[int]:
    """What transformers' own generate writes for one row."""
    found = model.generate(  # type: ignore[operator]
        torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long), do_sample=False, num_beams=asked.num_beams,
        max_new_tokens=asked.max_new_tokens, min_new_tokens=asked.min_new_tokens or None, length_penalty=asked.length_penalty,
        early_stopping=asked.early_stopping, repetition_penalty=asked.repetition_penalty, no_repeat_ngram_size=asked.no_repeat_ngram,
        bad_words_ids=[[one] for one in asked.banned_ids] or None, pad_token_id=0, eos_token_id=list(asked.stop_ids or ()),
    )[0].tolist()  # fmt: skip
    written = found[1:] if model.config.is_encoder_decoder else found[len(row) :]  # type: ignore[union-attr]
    end = next((at for at, token in enumerate(written) if token in (asked.stop_ids or ())), None)
    return written[:end]


def write(model: nn.Module, rows: list[list[int]], *settings: GenerationSettings) -> list[Generated]:
    return generate(step_model(model), rows, settings if len(settings) > 1 else settings * len(rows))


ALIKE = [
    GenerationSettings(max_new_tokens=12),
    GenerationSettings(max_new_tokens=10, repetition_penalty=1.4, min_new_tokens=4, banned_ids=(3,)),
    GenerationSettings(max_new_tokens=12, no_repeat_ngram=2),
    GenerationSettings(max_new_tokens=12, num_beams=3),
    GenerationSettings(max_new_tokens=9, num_beams=4, early_stopping=True, length_penalty=0.6),
    GenerationSettings(max_new_tokens=12, num_beams=2, length_penalty=2.0, no_repeat_ngram=2, min_new_tokens=3),
]


@pytest.mark.parametrize("kind", SEQ2SEQ + CAUSAL)
def test_answers_are_those_of_transformers(kind: str) -> None:
    model = pretrained(kind)
    stop = write(model, ROWS, ALIKE[0])[1].ids[5]  # one that comes
    ends = set()
    for settings in (replace(each, stop_ids=(1, stop)) for each in ALIKE):
        found = write(model, ROWS, settings)
        assert [list(one.ids) for one in found] == [theirs(model, row, settings) for row in ROWS], settings
        ends |= {one.finish for one in found}
    assert ends == {"stop", "length"}


def test_scores_of_beams_are_those_of_transformers() -> None:
    model, settings = pretrained("bart"), ALIKE[3]
    found = model.generate(  # type: ignore[operator]
        torch.tensor([ROWS[1]]), do_sample=False, num_beams=3, max_new_tokens=12, pad_token_id=0, output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    assert write(model, ROWS[1:2], settings)[0].score == pytest.approx(found.sequences_scores.item(), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "positions"),
    [
        *product(["hanlin-seq2seq", "hanlin-decoder"], ["sinusoidal", "learned", "rotary"]),
        *product(RECURRENT_WRITERS, ["sinusoidal"]),  # which they do not look at
    ],
)
@pytest.mark.parametrize("num_beams", [1, 3])
def test_ours_write_for_each_row_what_they_write_for_it_alone(kind: str, positions: str, num_beams: int) -> None:
    model = own(kind, positions=positions)
    varied = [
        GenerationSettings(max_new_tokens=12, num_beams=num_beams),
        GenerationSettings(max_new_tokens=3, num_beams=num_beams, min_new_tokens=2),
        GenerationSettings(max_new_tokens=15, num_beams=num_beams, no_repeat_ngram=1, length_penalty=0.5),
        GenerationSettings(max_new_tokens=15, num_beams=num_beams, stop_ids=(5, 6, 7, 8, 9), early_stopping=True),
    ]
    together = write(model, ROWS, *varied)
    for row, settings, found in zip(ROWS, varied, together, strict=True):
        alone = write(model, [row], settings)[0]
        assert (alone.ids, alone.finish) == (found.ids, found.finish)
        assert alone.score == pytest.approx(found.score, abs=1e-4)
    assert len(together[1].ids) <= 3


def whole_pass(model: nn.Module, row: list[int], count: int) -> list[int]:
    """Greedy writing without any cache: everything is read anew for every token."""
    written: list[int] = []
    for _ in range(count):
        with torch.inference_mode():
            ids = torch.tensor([row])
            if model.config.model_type == "hanlin-seq2seq":  # type: ignore[union-attr]
                target = torch.tensor([[2, *written]])
                scores = model(ids, torch.ones_like(ids), target, torch.ones_like(target))
            else:
                ids = torch.tensor([row + written])
                scores = model(ids, torch.ones_like(ids))
        token = int(scores[0, -1].argmax())
        if token == 1:
            break
        written.append(token)
    return written


@pytest.mark.parametrize("kind", GENERATOR_TYPES)
def test_the_cache_changes_nothing(kind: str) -> None:
    model = own(kind)
    assert [list(one.ids) for one in write(model, ROWS, GenerationSettings(max_new_tokens=20))] == [
        whole_pass(model, row, 20) for row in ROWS
    ]


def every_pass(model: nn.Module, row: list[int], settings: GenerationSettings) -> list[int]:
    """The best of all beams, each read anew from its first token at every step; by the same rule as `BeamSearch`."""
    width, chosen, ended = settings.num_beams, [([], 0.0)], []
    for _ in range(settings.max_new_tokens):
        found: list[tuple[list[int], int, float]] = []
        for written, total in chosen:
            with torch.inference_mode():
                ids = torch.tensor([row + written])
                logs = model(ids, torch.ones_like(ids))[0, -1].log_softmax(-1)
            found += [(written, token, total + float(log)) for token, log in enumerate(logs)]
        found.sort(key=lambda one: -one[2])
        chosen = []
        for rank, (written, token, total) in enumerate(found[: 2 * width]):
            if token == 1 and rank < width:
                ended.append((written, total / (len(written) + 1)))
            elif token != 1 and len(chosen) < width:
                chosen.append(([*written, token], total))
        if len(ended) >= width and chosen[0][1] / len(chosen[0][0]) <= sorted(one[1] for one in ended)[-width]:
            return max(ended, key=lambda one: one[1])[0]
    return max([*ended, *((written, total / len(written)) for written, total in chosen)], key=lambda one: one[1])[0]


@pytest.mark.parametrize("kind", RECURRENT_WRITERS)
def test_a_state_writes_what_reading_everything_anew_writes(kind: str) -> None:
    """With beams, and by chance: beams are left and doubled, so their states must move with them."""
    model = own(kind)
    beams = GenerationSettings(max_new_tokens=8, num_beams=3)
    assert [list(one.ids) for one in write(model, ROWS, beams)] == [every_pass(model, row, beams) for row in ROWS]
    drawn = GenerationSettings(max_new_tokens=10, temperature=1.3, top_k=20, seed=5)
    for row, found in zip(ROWS, write(model, ROWS, drawn), strict=True):
        chance, written = torch.Generator().manual_seed(5), []
        while len(written) < 10:
            with torch.inference_mode():
                ids = torch.tensor([row + written])
                token = draw(model(ids, torch.ones_like(ids))[0, -1], drawn, chance)
            if token == 1:
                break
            written.append(token)
        assert list(found.ids) == written


def test_draws_belong_to_their_row() -> None:
    model = own("hanlin-decoder")
    free = [GenerationSettings(max_new_tokens=10, temperature=1.5, top_k=20, top_p=0.9, seed=seed) for seed in (1, 2, 1, 3)]
    together = write(model, [ROWS[0], ROWS[0], ROWS[0], ROWS[1]], *free)
    assert together[0].ids == together[2].ids != together[1].ids
    assert write(model, [ROWS[0]], free[0])[0].ids == together[0].ids
    assert write(model, [ROWS[1]], free[3])[0].ids == together[3].ids
    mixed = write(model, ROWS[:2], free[0], GenerationSettings(max_new_tokens=10))  # one draws, the other does not
    assert mixed[0].ids == together[0].ids
    assert list(mixed[1].ids) == whole_pass(model, ROWS[1], 10)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (GenerationSettings(temperature=1.0), [0.5, 0.25, 0.15, 0.1]),
        (GenerationSettings(temperature=1.0, top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (GenerationSettings(temperature=1.0, top_p=0.8), [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
        (GenerationSettings(temperature=0.5), [0.25 / 0.345, 0.0625 / 0.345, 0.0225 / 0.345, 0.01 / 0.345]),
    ],
)
def test_draws_have_the_chances_they_should(settings: GenerationSettings, expected: list[float]) -> None:
    scores, chance = torch.tensor([0.5, 0.25, 0.15, 0.1]).log(), torch.Generator().manual_seed(0)
    counts = torch.bincount(torch.tensor([draw(scores, settings, chance) for _ in range(4000)]), minlength=4)
    torch.testing.assert_close(counts / 4000, torch.tensor(expected), atol=0.03, rtol=0)


@pytest.mark.parametrize("num_beams", [1, 2])
def test_a_row_that_nobody_wants_ends_and_its_neighbours_do_not_notice(num_beams: int) -> None:
    model, settings = own("hanlin-decoder"), GenerationSettings(max_new_tokens=12, num_beams=num_beams, min_new_tokens=6)
    asked: list[int] = []

    def is_wanted(number: int) -> bool:
        asked.append(number)
        return number != 1 or asked.count(1) < 4

    found = generate(step_model(model), ROWS, [settings] * 4, is_wanted=is_wanted)
    assert (found[1].finish, len(found[1].ids)) == ("cancelled", 3)
    plain = write(model, ROWS, settings)
    assert [found[number].ids for number in (0, 2, 3)] == [plain[number].ids for number in (0, 2, 3)]


def test_room_ends_a_row_and_a_full_one_is_not_read() -> None:
    model = own("hanlin-decoder", max_position_embeddings=10)
    found = write(model, [[3] * 10, [3] * 7, [3, 4]], GenerationSettings(max_new_tokens=20, stop_ids=()))
    assert [(len(one.ids), one.finish) for one in found] == [(0, "length"), (3, "length"), (8, "length")]


def test_scores_that_are_no_numbers_are_not_written_on() -> None:
    model = own("hanlin-decoder")
    with torch.no_grad():
        model.decoder.norm.weight.fill_(float("nan"))  # type: ignore[union-attr]
    for settings in (GenerationSettings(), GenerationSettings(num_beams=2)):
        with pytest.raises(RuntimeError, match="not finite"):
            write(model, ROWS, settings)


def test_repeated_runs() -> None:
    assert repeated([1, 2, 3, 1, 2], 3) == (3,)
    assert repeated([1, 2, 1, 3, 1], 2) == (2, 3)
    assert repeated([4, 5], 1) == (4, 5)
    assert repeated([1], 3) == ()
