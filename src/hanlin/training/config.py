"""`TrainConfig`: every choice of a training run, checked, with defaults that depend on the model. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.base import TASKS
from hanlin.tasks.given_meanings import GivenMeanings
from hanlin.tasks.text import TextSettings
from hanlin.training.option_rules import (
    CHOICES,
    MAX_DIMS,
    MAX_PROMPT,
    PREFERENCE,
    RANGES,
    REACHES,
    RELATED,
    SCRATCH_MODELS,
    Case,
    applies,
    check_effects,
    check_needs,
    objectives,
    poolings,
    typed,
    watched,
    wrong,
)  # fmt: skip
from hanlin.training.presets import CLASSIFICATION, usual, usual_besides
from hanlin.types import JsonObject, JsonValue, nearest, shorten

DEFAULT_TEXT = TextSettings(("html", "control", "width", "simplify", "lower", "space"))


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One run. Rates are per step; sizes count units; `tokens` always include padding.

    Attributes:
        model: `rnn`, `lstm`, `gru`, `transformer`, or `base` for fine-tuning the weights that `train` is given.
        batch_tokens: upper bound of rows x longest row of a batch; batch_size: upper bound of its rows.
        schedule: `constant`, `linear`, `cosine` or `onecycle`; warmup: share of all steps that the rate rises.
        class_weights: `none`, or `balanced` to weigh every class alike whatever its rows.
        patience: end after this many evaluations without a better metric; 0 runs all epochs.
        scale: the labels of sentiment in their order, `bad<fair<good`; empty: numbers and usual words tell theirs themselves.
        average: decay of the running mean of the weights that is evaluated and saved; 0 saves the last weights themselves.
        precision: `fp32`, `bf16`, or `auto`: the faster of the two, measured on this machine before the first step.
        evaluations: evaluations on the validation rows per epoch.
        max_length: tokens a text may have when serving; train_length: longer texts are cut to this many when training.
        vocab_size, tokenizer, min_count: of the tokenizer trained on the data; a base brings its own.
        ngrams: whether our networks also look at hashed runs of 2 and 3 tokens; ngram_dropout: share of these vectors dropped.
        wide: whether the network gets a linear model over runs of tokens beside it, as strong as the validation rows choose.
        decoder_layers: layers of the part that writes; of networks that write only.
        max_target_length: tokens of an answer that is written, the one that ends it included; longer ones are cut when training.
        layer_decay: each layer below the head learns by this factor slower (fine-tuning).
        head_rate: factor on the rate of the new head (fine-tuning).
        adapter: `none` teaches all weights; `lora` low-rank matrices beside them, and the head; `head` the head alone (fine-tuning).
        lora_rank, lora_alpha, lora_dropout: of these matrices, whose product counts alpha / rank times.
        lora_targets: `auto`, `all`, or last parts of the names of the layers that get them, with commas between.
        accumulation: batches whose gradients make one step.
        recompute: whether activations are computed again for the gradient instead of kept: less memory, a third more time.
        curriculum: `length` shows the batches of the first epoch from short to long.
        tags: how runs of tokens are told apart by a tagger: `bio`, or `bioes`, which also marks last and single tokens.
        crf: whether a tagger learns which labels follow each other, and answers with the best row of labels.
        loss: of embeddings and rankings; `auto` chooses by the examples, see docs/training.md.
        temperature: of in-batch negatives and CoSENT; margin: of triplets; symmetric: whether texts also look for their queries.
        matryoshka: numbers of leading dimensions that are trained to stand alone; matryoshka_weights: their weights, all alike when empty.
        pooling: of embeddings `mean` or `cls`, empty leaves it to the base; of our classifiers `max-mean` (empty too), `attention`, or
            `max-mean-attention`.
        bidirectional: whether recurrent networks read a text from both ends.
        query_prompt, passage_prompt: words that go before the two sides of a search; empty leaves them to the base.
        negatives: texts beside each right one that are looked up among all others where the examples bring none (embedding, reranking).
        objective: of pretraining `mlm` (masked words, rows full of text) or `mlm+nsp` (and next sentence, pairs of sentences); of
            generation `clm` (what comes next) or `dpo` (of preference pairs the better answer, see docs/text-generation.md).
        beta: how dearly an answer pays for leaving what the base thinks of it (`dpo`).
        packing: whether raw texts fill rows on disk, one behind the other: for more texts than memory holds (generation).
        mask_share: share of the tokens that are hidden in a step of pretraining.
        processes: that train together, each on its share of every batch and with its share of the threads.
        schema: of meanings, which answers then keep to beside what the rows show; of semantic parsing only.
        seed, threads: the same two give the same weights, bit for bit, with the same number of processes.
    """

    model: str
    task: str = CLASSIFICATION
    epochs: int = 3
    batch_tokens: int = 16_384
    batch_size: int = 64
    optimizer: str = "adamw"
    rate: float = 2e-3
    schedule: str = "linear"
    warmup: float = 0.1
    weight_decay: float = 0.02
    momentum: float = 0.9
    clip: float = 1.0
    label_smoothing: float = 0.05
    class_weights: str = "none"
    patience: int = 0
    metric: str = "accuracy"
    scale: str = ""
    evaluations: int = 1
    average: float = 0.0
    precision: str = "auto"
    max_length: int = 512
    train_length: int = 256
    tokenizer: str = "character"
    vocab_size: int = 8000
    min_count: int = 2
    text: TextSettings = DEFAULT_TEXT
    embedding_size: int = 64
    hidden_size: int = 96
    layers: int = 1
    heads: int = 4
    dropout: float = 0.4
    embedding_dropout: float = 0.2
    ngrams: bool = True
    ngram_buckets: int = 2**17
    ngram_dropout: float = 0.5
    wide: bool = True
    positions: str = "sinusoidal"
    decoder_layers: int = 3
    max_target_length: int = 128
    layer_decay: float = 1.0
    head_rate: float = 1.0
    adapter: str = "none"
    lora_rank: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    lora_targets: str = "auto"
    accumulation: int = 1
    recompute: bool = False
    curriculum: str = "none"
    tags: str = "bio"
    crf: bool = True
    loss: str = "auto"
    temperature: float = 0.05
    margin: float = 0.3
    symmetric: bool = True
    matryoshka: tuple[int, ...] = ()
    matryoshka_weights: tuple[float, ...] = ()
    pooling: str = ""
    bidirectional: bool = True
    query_prompt: str = ""
    passage_prompt: str = ""
    negatives: int = 4
    objective: str = "mlm"
    beta: float = 0.1
    packing: bool = False
    mask_share: float = 0.15
    schema: GivenMeanings | None = None
    seed: int = 0
    threads: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also false for NaN
                raise wrong(name, value, f"{low:g} to {high:g}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise wrong(name, getattr(self, name), ", ".join(choices))
        for name in ("query_prompt", "passage_prompt"):
            if len(getattr(self, name)) > MAX_PROMPT:
                raise wrong(name, getattr(self, name), f"at most {MAX_PROMPT} characters")
        self._check_matryoshka()
        if not self.lora_targets.strip() or len(self.lora_targets) > 1000:
            raise wrong("lora_targets", self.lora_targets, "auto, all, or names of layers with commas between")
        if self.pooling not in poolings(self.model, self.task):
            raise wrong("pooling", self.pooling, ", ".join(poolings(self.model, self.task)[1:]))
        if self.objective not in objectives(self.task):
            raise wrong("objective", self.objective, ", ".join(objectives(self.task)))
        if self.metric not in watched(self.task, self.objective):
            raise wrong("metric", self.metric, ", ".join(watched(self.task, self.objective)))
        if self.objective == PREFERENCE and (self.is_scratch or self.packing):
            raise InvalidInput("preferences_need_base", model=self.model)

    def check_adapter(self) -> None:
        """Raises InvalidInput (`invalid_training_option`) where an adapter cannot hold what is asked for."""
        if self.adapter != "none" and self.wide:
            raise wrong("wide", True, "false beside an adapter")

    def check_decoder(self, *, is_new: bool) -> None:
        """Of a base for a task that reads and writes. Raises InvalidInput (`invalid_training_option`) for what does not fit its decoder.

        Args:
            is_new: whether the base is an encoder, which gets one.
        """
        if is_new and self.adapter != "none":
            raise wrong("adapter", self.adapter, "none: this base gets a new decoder, which an adapter would leave as it is drawn")
        usual = preset(self.model, self.task)
        for name in ("decoder_layers", "head_rate"):
            if not is_new and getattr(self, name) != getattr(usual, name):
                raise wrong(name, getattr(self, name), "left out: this base brings its own decoder")

    def _check_matryoshka(self) -> None:
        dims, weights = self.matryoshka, self.matryoshka_weights
        if len(dims) > MAX_DIMS or len(set(dims)) < len(dims) or not all(2 <= size <= 65_536 for size in dims):
            raise wrong("matryoshka", dims, f"a list of at most {MAX_DIMS} different numbers, 2 to 65536")
        if weights and (len(weights) != len(dims) or not all(0 < weight <= 1000 for weight in weights)):
            raise wrong("matryoshka_weights", weights, "as many numbers above 0 as matryoshka has, or none")

    @property
    def is_scratch(self) -> bool:
        """Whether the network starts from random weights."""
        return self.model in SCRATCH_MODELS

    @property
    def is_streamed(self) -> bool:
        """Whether its rows are raw text, of which there may be more than fits into memory; other rows are looked at in any order."""
        return self.packing or TASKS.get(self.task).head == "masks"

    def to_json(self) -> JsonObject:
        """The stored form, every default written out."""
        return cast("JsonObject", asdict(self) | {"text": self.text.to_json(), "schema": self.schema and self.schema.to_json()})

    @classmethod
    def from_json(cls, options: Mapping[str, JsonValue], *, model: str, task: str = CLASSIFICATION) -> TrainConfig:
        """The preset with `options` on top.

        Raises:
            InvalidInput: `unknown_training_option`, `invalid_training_option`, `option_without_effect`, `network_for_another_task`,
                `meanings_not_understood`.
        """
        if task in RELATED and model in SCRATCH_MODELS and model != "transformer":
            raise InvalidInput("network_for_another_task", model=model, task=task, choices="transformer")
        config = preset(model, task)
        known = {field.name: field for field in fields(cls)}
        changes: dict[str, object] = {}
        for name, value in options.items():
            if name in {"model", "task"}:
                beside = getattr(config, name)
                if value != beside:
                    raise wrong(name, value, f"{beside}, as beside")
                continue
            if name not in known:
                choices = sorted(known.keys() - {"model", "task"})
                raise InvalidInput("unknown_training_option", name=shorten(name), near=nearest(name, choices), choices=", ".join(choices))
            if name == "schema":
                changes[name] = None if value is None else GivenMeanings.from_json(value)
                continue
            changes[name] = TextSettings.from_json(value) if name == "text" else typed(name, value, getattr(config, name))
        changes = {**usual_besides(changes), **changes}
        case = config.case._replace(has_crf=bool(changes.get("crf", config.crf)))
        check_effects(changes, {name: getattr(config, name) for name in changes}, case)
        check_needs(changes, {field.name: getattr(config, field.name) for field in fields(config)})
        return replace(config, **changes)  # type: ignore[arg-type]  # each value has the type of its default

    @property
    def case(self) -> Case:
        """What its options are for."""
        return Case(self.model, self.task, self.crf)


def preset(model: str, task: str = CLASSIFICATION) -> TrainConfig:
    """What works well for `model` when nothing else is said, without what would do nothing."""
    found = TrainConfig(**usual(model, task))
    plain = {field.name: field.default for field in fields(TrainConfig)}
    idle = {name: reach.off for name, reach in REACHES.items() if name in plain and not applies(name, found.case)}
    return replace(found, **{name: plain[name] if off is None else off for name, off in idle.items()})  # type: ignore[arg-type]  # as above
