"""A version of each task, and what its network might answer: for tests that are about no network."""

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from hanlin.generation import Generated, GenerationSettings, Seen
from hanlin.tasks import Encoded, ModelSpec, VectorSettings
from hanlin.tasks.chat_form import CHATML
from hanlin.tasks.meanings import MeaningSchema, Slot
from hanlin.tasks.predicates import PredicateFinder
from hanlin.tasks.sequences import to_arrays
from hanlin.tasks.sql.schema import Column, SqlSchema, Table
from hanlin.tasks.sql.settings import SqlSettings

MEANINGS = MeaningSchema({"turn_on": {"room": Slot(is_spoken=True), "kind": Slot(("light",))}, "stop": {}})
QUERIES = SqlSettings(SqlSchema((Table("foxes", (Column("age", "number"), Column("paws", "number"))),)), first=9, end=4)


def bert_tokenizer():
    """Words and signs, unknown ones too, framed as BERT frames them."""
    made = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "fox": 4}, unk_token="[UNK]"))
    made.add_special_tokens(["[MASK]"])
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    frame = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return made


def specs_of(task):
    """Every kind of version that the task serves."""
    vectors = ModelSpec(task.name, (), 128, 0, vectors=VectorSettings(6))
    if task.name == "text-to-sql":
        return [ModelSpec(task.name, (), 128, 0, generation=GenerationSettings(num_beams=2), queries=QUERIES)]
    if task.name == "question-answering":
        return [ModelSpec(task.name, ("start", "end"), 128, 0)]
    if task.name == "semantic-parsing":
        return [
            ModelSpec(
                task.name, ("O", "B-room", "I-room", "intent=turn_on", "intent=stop", "kind=", "kind=light"), 128, 0, meanings=MEANINGS
            )
        ]
    made = {
        "labels": lambda: [ModelSpec(task.name, ("a", "b", "c"), 128, 0, scale=(-1.0, 0.0, 1.0) if task.name == "sentiment" else ())],
        "roles": lambda: [ModelSpec(task.name, ("B-V", "B-A"), 128, 0, finder=PredicateFinder(frozenset({"fox", "wrote", "lives"})))],
        "tokens": lambda: [ModelSpec(task.name, ("O", "B-X", "I-X"), 128, 0)],
        "vectors": lambda: [vectors],
        "pairs": lambda: [ModelSpec(task.name, ("LABEL_0",), 128, 0), vectors],
        "masks": lambda: [ModelSpec(task.name, (), 128, 0, mask_id=5)],
        "targets": lambda: [ModelSpec(task.name, (), 128, 0, generation=GenerationSettings(num_beams=2))],
        "continuations": lambda: [ModelSpec(task.name, (), 128, 0, generation=GenerationSettings(stop_ids=(3,)), chat=CHATML)],
    }
    return made[task.head]()


def outputs_of(task, spec, encoded: Encoded, *, seed: int = 0):
    """What an engine might answer: numbers that hang on nothing but the row."""
    if spec.prompt is not None or task.head == "continuations":
        return to_arrays([_continued(row, each, seed) for row, each in zip(encoded.rows, encoded.generation, strict=True)])
    if task.head == "targets":
        if encoded.generation[0].tells:
            pairs = zip(encoded.generation, encoded.rows, strict=True)
            return to_arrays([Generated(each.prefix, "length", seen=_seen(row, len(each.prefix), seed)) for each, row in pairs])
        if encoded.generation[0].grammar is not None:
            pairs = zip(encoded.generation, encoded.rows, strict=True)
            return to_arrays([Generated(obeying(settings, seed, row), "stop") for settings, row in pairs])
        drawn = [np.random.default_rng([seed, *row]).integers(1, 5, size=3) for row in encoded.rows]
        return to_arrays([Generated(tuple(ids.tolist()), "stop") for ids in drawn])
    width = spec.vectors.dimensions if spec.vectors else len(spec.labels) or 6
    kinds = {"tokens": "token_logits", "roles": "token_logits", "masks": "mask_logits"}
    name = "embeddings" if spec.vectors else kinds.get(task.head, "logits")
    longest = max(map(len, encoded.rows))
    rows = []
    for row, types in zip(encoded.rows, encoded.types or [[]] * len(encoded.rows), strict=True):
        shape = (longest, width) if task.head in {"tokens", "roles"} else width
        of_row, of_types = (np.random.default_rng([seed, *ids]).normal(size=shape) for ids in (row, types))
        rows.append((of_row + 0.1 * of_types).astype(np.float32))
    return {name: np.stack(rows)}


def obeying(settings, seed, row):
    """Tokens drawn among those that the row's grammar allows."""
    chance, ids = np.random.default_rng([seed, *row]), []
    while (token := int(chance.choice(sorted(settings.grammar.allowed(ids, settings.max_new_tokens - len(ids)))))) not in settings.stop_ids:
        ids.append(token)
    return tuple(ids)


def _continued(row, settings, seed):
    if settings.reads:
        return Generated((), "stop", seen=_seen(row, len(row) - 1, seed, settings.likeliest))
    return Generated(tuple(np.random.default_rng([seed, *row]).integers(1, 5, size=3).tolist()), "stop")


def _seen(row, count, seed, likeliest=0):
    logs = [-float(log) for log in np.random.default_rng([seed, *row]).uniform(0.1, 3, count)]
    best = [tuple((token, log - token) for token in range(likeliest)) for log in logs]
    return tuple(Seen(log, log > -1, own) for log, own in zip(logs, best, strict=True))
