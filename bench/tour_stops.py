"""The stops of the tour: which corpus is learned by which network, on how many rows, with which options. bench/tour.py visits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hanlin.datasets.corpora import CORPORA


@dataclass(frozen=True, slots=True)
class Stop:
    """One task on one corpus.

    Args:
        model: of our own networks, or a base: `minilm`, `e5`.
        figure: the metric in the model's metrics, a share of one; baseline: in bench/corpora.json, in per cent; empty: it has none of this
            figure, and bench/tour_baselines.py makes one of the stop's rows.
        rows: at most, of the corpus; None takes all.
        as_task: what the rows are learned for, where that is not what the corpus is told for.
        form: of `FORMS`: what the corpus's rows become before they are added.
        split: percents, where a tenth of few rows is too few to judge by.
    """

    corpus: str
    model: str
    figure: str
    baseline: str
    rows: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    as_task: str = ""
    form: str = ""
    split: str = ""

    @property
    def task(self) -> str:
        """The corpus's, unless said otherwise."""
        return self.as_task or CORPORA.get(self.corpus).task

    @property
    def name(self) -> str:
        """Of its dataset, its model and its endpoint."""
        return "-".join(part for part in (self.corpus, self.as_task, self.form) if part)


SHORT = {"epochs": 3}
CHARACTERS = {"cleaning": ["control", "width", "space"], "segmentation": "character"}
SMALL = {"epochs": 3, "batch_size": 16}  # few rows want many steps
CUT = {"train_length": 96, "max_length": 128}
WRITER = {
    "layers": 2,
    "decoder_layers": 2,
    "hidden_size": 128,
    "vocab_size": 4000,
    "train_length": 64,
    "batch_size": 16,
    "epochs": 4,
    "rate": 0.003,
}
READER = {"epochs": 1, "batch_size": 8, "rate": 0.0003} | CUT  # its head is new: some dozens of steps before it finds anything
BERT = {"epochs": 1, "layers": 2, "hidden_size": 128, "heads": 2, "train_length": 64, "batch_size": 16, "rate": 0.002}
STOPS = (
    Stop("reviews-zh", "lstm", "accuracy", "accuracy", 4000, SHORT, kind="one label"),
    Stop("reviews-en", "lstm", "accuracy", "accuracy", None, SHORT, kind="one label"),
    Stop("package-tags", "lstm", "micro_f1", "micro_f1", 2000, {"epochs": 6, "batch_size": 32, "rate": 0.004} | CUT, kind="several labels"),
    Stop("package-pairs", "minilm", "accuracy", "accuracy", 400, {"epochs": 1, "batch_size": 8, "rate": 0.0002} | CUT, kind="pairs"),
    Stop("answer-pairs-zh", "e5", "accuracy", "accuracy", 300, {"epochs": 2} | CUT, kind="pairs"),
    Stop("package-similarity", "minilm", "spearman", "spearman", 1000, {"epochs": 2}, kind="scores of pairs"),
    Stop("review-aspects-zh", "lstm", "accuracy", "accuracy", 2500, SHORT, kind="of aspects"),
    Stop("review-aspects-en", "lstm", "accuracy", "accuracy", None, {"epochs": 8}, kind="of aspects"),
    Stop("newspaper-entities", "lstm", "f1", "f1", 2000, SMALL, kind="entities"),
    Stop("brown-entities", "minilm", "f1", "f1", 600, SMALL | CUT, kind="entities"),
    Stop("brown-pos", "minilm", "accuracy", "accuracy", 600, SMALL | CUT | {"crf": False}, kind="parts of speech"),
    Stop("newspaper-pos", "lstm", "f1", "", 1500, SMALL | {"crf": False}, kind="words and parts of speech"),
    Stop("newspaper-pos", "lstm", "f1", "segmentation_f1", 2000, SHORT, kind="words", form="words"),
    Stop("brown-roles", "lstm", "f1", "f1", 1000, SMALL),
    Stop("home-intents-zh", "lstm", "exact_match", "exact", 2000, {"epochs": 6}),
    Stop("home-intents-en", "minilm", "exact_match", "exact", 1200, {"epochs": 4, "batch_size": 16}),
    Stop("library-queries-zh", "transformer", "execution_accuracy", "execution", None, {"epochs": 10}),
    Stop("library-queries-en", "transformer", "execution_accuracy", "execution", None, {"epochs": 10}),
    Stop("help-translation", "transformer", "chrf", "chrf", 1500, WRITER | {"max_target_length": 32}, kind="en → zh"),
    Stop("help-translation", "transformer", "chrf", "chrf_back", 1500, WRITER | {"max_target_length": 32}, "zh → en", form="back"),
    Stop("package-synopsis", "transformer", "rouge_l", "rouge_l", 1500, WRITER | {"max_target_length": 24}),
    Stop("help-headings-zh", "transformer", "rouge_l", "rouge_l", 1200, WRITER | {"max_target_length": 24}),
    Stop("question-answers-en", "minilm", "ndcg", "ndcg@10", 650, {"epochs": 1}),
    Stop("question-answers-zh", "e5", "ndcg", "ndcg@10", 200, {"epochs": 1} | CUT),
    Stop("question-answers-en", "minilm", "ndcg", "ndcg@10", 400, {"epochs": 1, "negatives": 1}, as_task="reranking"),
    Stop("question-answers-zh", "e5", "ndcg", "ndcg@10", 150, {"epochs": 1, "negatives": 1} | CUT, as_task="reranking"),
    Stop("newspaper-questions", "e5", "f1", "f1", 270, READER | {"rate": 0.0004}, split="70/10/20"),
    Stop("package-questions", "minilm", "f1", "f1", 300, READER, split="70/10/20"),
    Stop("brown-text", "transformer", "accuracy", "", 150, BERT),
    Stop("chinese-poems", "transformer", "accuracy", "", 4000, BERT | {"text": CHARACTERS}),
    Stop("chats-en", "transformer", "accuracy", "", None, SMALL | {"epochs": 2}),
    Stop("chats-zh", "transformer", "accuracy", "", None, SMALL),
)
FORMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "words": lambda row: {"segmented": " ".join(row["tokens"])},
    "back": lambda row: row | {"source": row["target"], "target": row["source"]},
}
BASES = {"minilm": "embedding", "e5": "embedding"}
