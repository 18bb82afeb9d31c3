"""A chat model asked for other tasks by a form of prompts, judged as the models are that are trained for them.

usage: python bench/prompted_tasks.py [--rows 40] [--only translation …] [--language en|zh] [--examples 3] [--threads 1]
                                      [--base FOLDER] [--learn N [--set OPTION=VALUE …] [--checkpoints FOLDER]]

SmolLM2-135M-Instruct (4 bits, widened to fp32), unless --base names another imported folder, on test rows of

    translation        package-translation-fr (gold)       summarization      package-synopsis (gold)
    question-answering help-questions-en (synthetic)       semantic-parsing   home-intents-en (synthetic)

or, with `--language zh`, of package-translation-zh (gold), help-headings-zh (gold), help-questions-zh and home-intents-zh (synthetic),
once without worked examples and once with some, which are training rows; the schema of meanings is what the training rows show. One JSON
object a task and number of examples, of summaries with the figures of the texts' first sentences. With --learn it is first fine-tuned, as
a user would, on talks: N training rows, asked as the form asks (texts cut to 300 characters) and answered as their rows say, the loss on
answers only.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from corpus_training import Told, add_options, checkpoints_of, corpus_splits, options_of
from hanlin.datasets import Split, bundled
from hanlin.models import gguf_folder
from hanlin.models.child import plain_guard
from hanlin.models.importing import import_folder
from hanlin.tasks import TASKS
from hanlin.tasks.prompt_form import PROMPT_FILE
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.train import train
from hanlin.types import JsonObject, JsonValue
from training_data import CACHE
from writing import first_sentences

CORPORA = {
    "translation": "package-translation-fr", "summarization": "package-synopsis", "question-answering": "help-questions-en",
    "semantic-parsing": "home-intents-en",
}  # fmt: skip
CHINESE = {
    "translation": "package-translation-zh", "summarization": "help-headings-zh", "question-answering": "help-questions-zh",
    "semantic-parsing": "home-intents-zh",
}  # fmt: skip
ASKED: dict[str, JsonObject] = {
    "translation": {"ask": "Translate into French. Answer with the translation alone.\n\n{text}"},
    "summarization": {
        "ask": "Say in at most eight words what this package is.\n\n{text}", "grammar": {"kind": "regex", "text": "[^\\n]{3,80}"},
    },
    "question-answering": {
        "ask": "{passages}\n\nWhich words above answer this? Say the passage's number in brackets and the words.\nQuestion: {question}",
    },
    "semantic-parsing": {
        "system": "You turn a sentence to a home into one of these calls, written as JSON:\n{intents}", "ask": "{text}",
    },
}  # fmt: skip
ASKED_CHINESE: dict[str, JsonObject] = {
    "translation": {"ask": "Translate into Chinese. Answer with the translation alone.\n\n{text}"},
    "summarization": {"ask": "用至多十二个字说明下文的主题。\n\n{text}", "grammar": {"kind": "regex", "text": "[^\\n]{2,40}"}},
    "question-answering": {"ask": "{passages}\n\n上文哪些词句回答了这个问题？写出方括号中的段落编号和这些词句。\n问题：{question}"},
    "semantic-parsing": {"system": "把对家居说的话变成下列调用之一，写成 JSON：\n{intents}", "ask": "{text}"},
}  # fmt: skip
MAX_EXAMPLE = 300  # characters
MAX_ENUM = 12
CORPUS_ROWS = 3000


def target(text: str, gold: JsonObject) -> JsonObject | None:
    """An example of the tasks that write texts."""
    return {"text": text, "answer": str(gold["target"])}


def answered(text: str, gold: JsonObject) -> JsonObject | None:
    """An example of a question that has an answer in a short context."""
    answers = cast("list[JsonObject]", gold["answers"])
    if not answers:
        return None
    return {"question": str(gold["question"]), "passages": f"[1] {text}", "answer": f"[1] {answers[0]['text']}"}


def meant(text: str, gold: JsonObject) -> JsonObject | None:
    """An example of a meaning."""
    return {"text": text, "answer": {"intent": gold["intent"], "slots": gold["slots"]}}


MAKERS: dict[str, Callable[[str, JsonObject], JsonObject | None]] = {
    "translation": target, "summarization": target, "question-answering": answered, "semantic-parsing": meant,
}  # fmt: skip


def examples_of(task: str, train: Split, count: int) -> list[JsonValue]:
    """Short training rows."""
    found: list[JsonValue] = []
    for text, gold in zip(train.texts, train.labels, strict=True):
        made = MAKERS[task](text, json.loads(gold)) if len(text) <= MAX_EXAMPLE else None
        if made is not None and len(found) < count:
            found.append(made)
    return found


def schema_of(train: Split) -> JsonObject:
    """Intents and slots as the training rows have them."""
    values: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for gold in train.labels:
        meaning = json.loads(gold)
        own = values[meaning["intent"]]
        for slot, value in meaning["slots"].items():
            own[slot][json.dumps(value)] = value
    return {"intents": {intent: {slot: _kind([*seen.values()]) for slot, seen in slots.items()} for intent, slots in values.items()}}


def _kind(values: Sequence[Any]) -> JsonObject:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"type": "number"}
    return {"enum": [*values]} if len(values) <= MAX_ENUM or not all(isinstance(value, str) for value in values) else {"type": "string"}


def learned(base: Path, task: str, splits: Sequence[Split], chosen: argparse.Namespace, work: Path) -> Path:
    """The base, fine-tuned on talks that ask as `ASKED` does."""
    talks, ask = TASKS.get("text-generation").examples, str((ASKED_CHINESE if chosen.language == "zh" else ASKED)[task]["ask"])
    parts = []
    for split, most in zip(splits[:2], (chosen.learn, 64), strict=True):
        rows = [MAKERS[task](text[:MAX_EXAMPLE], json.loads(gold)) for text, gold in zip(split.texts, split.labels, strict=True)]
        asked = [talks.read({"messages": _talk(ask, row)}) for row in rows[:most] if row]
        parts.append(Split([example.text for example in asked], [example.annotation for example in asked]))
    options = {"epochs": 1, "batch_size": 16, "train_length": 192, "threads": chosen.threads} | options_of(chosen)
    config = TrainConfig.from_json(options, model="base", task="text-generation")
    data = TrainData(parts[0], parts[1], ())
    train(config, data, base=base, out=work / "learned", progress=Told(), checkpoints=checkpoints_of(chosen, work, task))
    return work / "learned"


def _talk(ask: str, row: JsonObject) -> list[JsonValue]:
    asked = ask
    for name, value in row.items():
        asked = asked.replace(f"{{{name}}}", str(value))
    answer = row["answer"]
    return [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)},
    ]


def measured(base: Path, task: str, splits: Sequence[Split], count: int, chosen: argparse.Namespace) -> JsonObject:
    """The figures of one form."""
    train, _, test = splits
    asked, corpora = (ASKED_CHINESE, CHINESE) if chosen.language == "zh" else (ASKED, CORPORA)
    form = asked[task] | {"examples": examples_of(task, train, count)}
    form |= {"schema": schema_of(train)} if task == "semantic-parsing" else {}
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "prompt", Path(scratch) / "artifact"
        source.mkdir()
        (source / PROMPT_FILE).write_text(json.dumps(form, ensure_ascii=False), encoding="utf-8")
        import_folder(source, out, task=task, base=base)
        rows = Split(test.texts[: chosen.rows], test.labels[: chosen.rows])
        began_s = time.perf_counter()
        found = evaluate(out, rows, threads=chosen.threads)
    told: JsonObject = {"task": task, "corpus": corpora[task], "rows": len(rows.texts), "examples": count}
    if task == "summarization":
        lead: list[JsonValue] = [{"summary_text": text} for text in first_sentences(rows.texts)]
        told["first_sentence"] = TASKS.get(task).quality(lead, rows.labels, ()).to_json()
    return told | {"seconds": round(time.perf_counter() - began_s, 1), "metrics": found.to_json(), "first": found.answers[:3]}


def main() -> None:
    """Prints a JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--only", nargs="*", choices=[*CORPORA], default=[*CORPORA])
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--base", type=Path, help="an imported text-generation folder")
    parser.add_argument("--learn", type=int, default=0, metavar="N", help="training rows that it is fine-tuned on first")
    add_options(parser, with_checkpoints=True)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = chosen.base
        if base is None:
            folder, base = Path(scratch) / "folder", Path(scratch) / "base"
            gguf_folder.unpack(bundled.smollm_file(CACHE), folder, task="text-generation", guard=plain_guard)
            import_folder(folder, base, task="text-generation", max_length=4096)
        corpora = CHINESE if chosen.language == "zh" else CORPORA
        for task in chosen.only:
            work = Path(scratch) / task
            splits = corpus_splits(corpora[task], task, work, rows=max(CORPUS_ROWS, 2 * chosen.learn))
            asked = learned(base, task, splits, chosen, work) if chosen.learn else base
            for count in dict.fromkeys((0, chosen.examples)):
                print(json.dumps(measured(asked, task, splits, count, chosen), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
