"""The settings of a network, stored as `config.json` in the convention of pretrained encoders. No torch here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.types import shorten

MODEL_TYPES = ("hanlin-rnn", "hanlin-lstm", "hanlin-gru", "hanlin-transformer")  # they read a text and judge it
RECURRENT_WRITERS = ("hanlin-rnn-decoder", "hanlin-lstm-decoder", "hanlin-gru-decoder")
GENERATOR_TYPES = ("hanlin-decoder", "hanlin-seq2seq", *RECURRENT_WRITERS)  # they write one
POSITIONS = ("sinusoidal", "learned", "rotary")
POOLINGS = ("max-mean", "attention", "max-mean-attention")
OUTPUTS = ("logits", "token_logits")  # one answer a text, one a token
ENCODERS = ("own", "bert")
ARCHITECTURES = {
    "hanlin-decoder": "CausalDecoder", "hanlin-seq2seq": "EncoderDecoder", **dict.fromkeys(RECURRENT_WRITERS, "RecurrentDecoder"),
}  # fmt: skip
HEAD_KEY = "hanlin_head"  # what `networks/head.py` reads
MAX_POSITIONS = 2**20
MAX_CONFIG_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What `build` needs to make a network. Sizes are counts of units; dropouts are probabilities.

    Attributes:
        ngram_buckets: rows of the table that hashed neighbours share; 0 switches the n-gram features off.
        ngram_sizes: which runs of tokens get a row of that table, such as (2, 3).
        wide_sizes: which runs of tokens count in the linear road beside the encoder; empty for none.
        wide_buckets: rows of each of its hashed tables.
        positions: `sinusoidal`, `learned` or `rotary`; only Transformers read it.
        pooling: how token vectors become features of the text; only classifiers read it.
        max_position_embeddings: longest sequence in tokens, on either side; 0 means that the network sets no limit.
        num_hidden_layers: of the encoder, or of a decoder that has none beside it.
        num_decoder_layers: of the decoder beside an encoder.
        encoder: the form of the encoder beside a decoder: `own`, or `bert` with weights of a pretrained one.
        encoder_positions: longest source in tokens of one of BERT's form; `max_position_embeddings` is the decoder's alone then.
        layer_norm_eps: what its norms add to the variance.
        tie_word_embeddings: whether one table of token vectors serves source, target and output of a network that writes.
        bos_token_id: what a target begins with.
        eos_token_id: what ends it.
        output: whether the network that reads answers once a text (`logits`) or once a token (`token_logits`).
        num_types: kinds of tokens that a row tells apart, such as the predicate and all others; 0 for a network that is told none.
        labels: none where a network writes.
    """

    model_type: str
    vocab_size: int
    labels: tuple[str, ...] = ()
    embedding_size: int = 128
    hidden_size: int = 128
    num_hidden_layers: int = 1
    num_attention_heads: int = 4
    intermediate_size: int = 512
    max_position_embeddings: int = 0
    positions: str = "sinusoidal"
    bidirectional: bool = True
    ngram_buckets: int = 0
    ngram_sizes: tuple[int, ...] = ()
    dropout: float = 0.3
    embedding_dropout: float = 0.1
    ngram_dropout: float = 0.0
    wide_sizes: tuple[int, ...] = ()
    wide_buckets: int = 0
    pad_token_id: int = 0
    pooling: str = "max-mean"
    num_decoder_layers: int = 0
    tie_word_embeddings: bool = True
    bos_token_id: int = 0
    eos_token_id: int = 0
    output: str = "logits"
    num_types: int = 0
    encoder: str = "own"
    encoder_positions: int = 0
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        sizes = {"vocab_size": self.vocab_size, "embedding_size": self.embedding_size, "hidden_size": self.hidden_size}
        sizes |= {"num_hidden_layers": self.num_hidden_layers, "num_attention_heads": self.num_attention_heads}
        _check(self.model_type in MODEL_TYPES + GENERATOR_TYPES, "model_type", self.model_type)
        for name, size in sizes.items():
            _check(0 < size <= 2**22, name, size)
        _check(0 <= self.ngram_buckets <= 2**22, "ngram_buckets", self.ngram_buckets)
        _check(all(2 <= size <= 5 for size in self.ngram_sizes), "ngram_sizes", list(self.ngram_sizes))
        _check(not self.ngram_sizes or self.ngram_buckets > 0, "ngram_buckets", self.ngram_buckets)
        _check(max(self.ngram_sizes, default=0) * self.ngram_buckets < 2**24, "ngram_buckets", self.ngram_buckets)
        check_wide(self.wide_sizes, self.wide_buckets)
        _check(0 <= self.pad_token_id < self.vocab_size, "pad_token_id", self.pad_token_id)
        _check(len(self.labels) >= 1 or self.is_generator, "labels", len(self.labels))
        _check(self.positions in POSITIONS, "positions", self.positions)
        _check(self.pooling in POOLINGS, "pooling", self.pooling)
        _check(self.output in OUTPUTS and not (self.is_tagger and (self.is_generator or self.wide_sizes)), "output", self.output)
        _check(0 <= self.num_types <= 16 and (self.is_tagger or not self.num_types), "num_types", self.num_types)
        self._check_attention()
        self._check_generator()
        self._check_encoder()
        for name, rate in {
            "dropout": self.dropout,
            "embedding_dropout": self.embedding_dropout,
            "ngram_dropout": self.ngram_dropout,
        }.items():
            _check(0 <= rate < 1, name, rate)

    @property
    def is_generator(self) -> bool:
        """Whether it writes sequences of tokens."""
        return self.model_type in GENERATOR_TYPES

    @property
    def is_tagger(self) -> bool:
        """Whether it answers for every token."""
        return self.output == "token_logits"

    @property
    def longest_source(self) -> int:
        """Most tokens that it can read at once; 0 where it sets no limit."""
        return self.encoder_positions or self.max_position_embeddings

    def _head(self) -> dict[str, object]:
        return {"output": self.output, "pooling": "", "is_normalized": False, "has_types": self.num_types > 0}

    def _check_attention(self) -> None:
        if self.model_type in RECURRENT_WRITERS or not (self.is_generator or self.model_type == "hanlin-transformer"):
            _check(0 <= self.max_position_embeddings <= MAX_POSITIONS, "max_position_embeddings", self.max_position_embeddings)
            return
        _check(self.hidden_size % (2 * self.num_attention_heads) == 0, "hidden_size", self.hidden_size)
        _check(0 < self.max_position_embeddings <= MAX_POSITIONS, "max_position_embeddings", self.max_position_embeddings)
        _check(0 < self.intermediate_size <= 2**22, "intermediate_size", self.intermediate_size)

    def _check_generator(self) -> None:
        if not self.is_generator:
            return
        _check(not self.labels, "labels", len(self.labels))
        _check(self.embedding_size == self.hidden_size, "embedding_size", self.embedding_size)
        _check(self.model_type != "hanlin-seq2seq" or 0 < self.num_decoder_layers <= 2**22, "num_decoder_layers", self.num_decoder_layers)
        for name, number in {"bos_token_id": self.bos_token_id, "eos_token_id": self.eos_token_id}.items():
            _check(0 <= number < self.vocab_size, name, number)
        _check(self.eos_token_id != self.pad_token_id, "eos_token_id", self.eos_token_id)
        _check(not self.ngram_sizes and not self.wide_sizes, "ngram_sizes", list(self.ngram_sizes))

    def _check_encoder(self) -> None:
        is_bert = self.encoder == "bert"
        _check(self.encoder in ENCODERS and (self.model_type == "hanlin-seq2seq" or not is_bert), "encoder", self.encoder)
        _check(
            0 < self.encoder_positions <= MAX_POSITIONS if is_bert else not self.encoder_positions,
            "encoder_positions",
            self.encoder_positions,
        )
        _check(0 < self.layer_norm_eps <= 0.1, "layer_norm_eps", self.layer_norm_eps)

    def save(self, folder: Path) -> None:
        """Write `folder/config.json`."""
        values = asdict(self)
        labels = values.pop("labels")
        if labels:
            values |= {
                "id2label": {str(i): label for i, label in enumerate(labels)},
                "label2id": {name: i for i, name in enumerate(labels)},
            }
            values["num_labels"] = len(labels)
        values["architectures"] = ["TokenTagger" if self.is_tagger else ARCHITECTURES.get(self.model_type, "TextClassifier")]
        if self.is_tagger:
            values[HEAD_KEY] = self._head()
        text = json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> NetworkConfig:
        """Read `folder/config.json`. Raises InvalidInput (`invalid_network_config`) for unknown, missing or wrong values."""
        values = read_config(folder)
        id2label = values.pop("id2label", {} if values.get("model_type") in GENERATOR_TYPES else None)
        _check(isinstance(id2label, dict), "id2label", type(id2label).__name__)
        assert isinstance(id2label, dict)
        _check(sorted(id2label) == sorted(str(i) for i in range(len(id2label))), "id2label", len(id2label))
        for name in ("label2id", "num_labels", "architectures"):
            values.pop(name, None)
        head = values.pop(HEAD_KEY, None)
        known = {field.name: field for field in fields(cls)}
        for name, value in values.items():
            _check(name in known, name, value)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        labels = tuple(str(id2label[str(i)]) for i in range(len(id2label)))
        try:
            found = cls(labels=labels, **values)  # type: ignore[arg-type]  # checked field by field in __post_init__
        except TypeError as error:
            raise InvalidInput("invalid_network_config", name="config.json", value=shorten(str(error))) from error
        _check(head == (found._head() if found.is_tagger else None), HEAD_KEY, head)
        return found


def check_wide(sizes: tuple[int, ...], buckets: int) -> None:
    """Whether a linear road can have this shape. Raises InvalidInput (`invalid_network_config`)."""
    _check(0 <= buckets <= 2**22, "wide_buckets", buckets)
    _check(all(1 <= size <= 5 for size in sizes), "wide_sizes", list(sizes))
    _check(not sizes or buckets > 0, "wide_buckets", buckets)
    _check(max(sizes, default=0) * buckets < 2**24, "wide_buckets", buckets)


def read_config(folder: Path) -> dict[str, object]:
    """The JSON object in `folder/config.json`. Raises InvalidInput (`invalid_network_config`)."""
    path = folder / "config.json"
    _check(path.is_file(), "config.json", "missing")
    _check(path.stat().st_size <= MAX_CONFIG_BYTES, "config.json", path.stat().st_size)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("invalid_network_config", name="config.json", value="not JSON") from error
    _check(isinstance(values, dict), "config.json", type(values).__name__)
    assert isinstance(values, dict)
    return values


def _check(is_right: bool, name: str, value: object) -> None:
    if not is_right:
        raise InvalidInput("invalid_network_config", name=name[:64], value=shorten(str(value)))
