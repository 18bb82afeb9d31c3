"""Which JSON schemas answers can be held to, and whether what is written then is valid: some 2,600 real ones (`schema_sets.py`).

usage: python bench/constraints.py [--quick] [--keep FILE] [--documents 2] [--only SOURCE …] [--peers]

Each schema is compiled as a call's would be, for a tokenizer of 420 pieces of bytes. Where it is taken, documents are written by drawing
tokens at random among those that the form allows (no model), and judged by the validator of `jsonschema-rs`, formats included; documents
of the test suites are put to the form as they stand. Prints a Markdown table; --keep writes a line of JSON for each schema. --quick: every
tenth. --peers puts the suites' documents to xgrammar and outlines-core too, where they are installed beside. Ends with 1 when a document
is invalid.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import constraint_peers
from hanlin.engines.constraints import Constraints
from hanlin.errors import HanlinError
from hanlin.generation import Constraint
from hanlin.networks.generation.form import Form
from hanlin.types import JsonObject
from schema_sets import Sample, samples

TEXTS = ['{"name": "Li Bai", "age": 61, "tags": ["red", "green"], "is_poet": true, "none": null, "score": -1.5e3}', "2024-05-06T07:08:09Z"]
END, MOST_TOKENS = 1, 800
VALIDATORS = {
    "draft4": jsonschema_rs.Draft4Validator, "draft7": jsonschema_rs.Draft7Validator, "draft2020-12": jsonschema_rs.Draft202012Validator,
}  # fmt: skip
CLOSING = (b'"', b"}", b"]")
IMPOSSIBLE = ("Unsatisfiable", "allows no document", "a schema is an object")


class Bench:
    """The forms of one tokenizer, and what was found."""

    def __init__(self, folder: Path) -> None:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=420, special_tokens=["<pad>", "<end>"], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
        tokenizer.train_from_iterator(TEXTS * 3, trainer)
        tokenizer.save(str(folder / "tokenizer.json"))
        self.tokenizer, self.size = tokenizer, tokenizer.get_vocab_size()
        self.forms = Constraints(folder / "tokenizer.json", num_tokens=self.size, stop_ids=[END])
        spelt = {character: byte for byte, character in _bytes().items()}
        self.mask_s: list[float] = []
        self.bytes = [bytes(spelt.get(each, 0x3F) for each in tokenizer.id_to_token(token)) for token in range(self.size)]

    def judge(self, sample: Sample, documents: int) -> JsonObject:
        """What is to be said of one schema."""
        begun_s, constraint = time.perf_counter(), Constraint("json_schema", json.dumps(sample.schema))
        found: JsonObject = {"source": sample.source, "name": sample.name, "taken": False, "beside": sample.num_beside}
        try:
            self.forms.form(constraint).result()
        except HanlinError as error:
            return found | {"reason": str(error.params["reason"]), "seconds": round(time.perf_counter() - begun_s, 4)}
        found |= {"taken": True, "seconds": round(time.perf_counter() - begun_s, 4)}
        validator = _validator(sample)
        texts = [self.write(self.forms.form(constraint).result(), random.Random(seed)) for seed in range(documents)]
        ended = [text for text in texts if isinstance(text, bytes)]
        invalid: list[str] = [
            text.decode(errors="replace") for text in ended if validator and not validator.is_valid(json.loads(text, parse_float=_finite))
        ]
        known = Counter((valid, self.accepts(self.forms.form(constraint).result(), data)) for data, valid in sample.tests)
        return found | {
            "written": len(texts), "ended": len(ended), "invalid": [*invalid], "stuck": sum(text is None for text in texts),
            "valid_taken": known[True, True], "valid_refused": known[True, False], "invalid_taken": known[False, True],
            "invalid_refused": known[False, False],
        }  # fmt: skip

    def write(self, form: Form, chance: random.Random) -> bytes | str | None:
        """A document; "": it did not end in time; None: nothing could follow, or a token took more work than is allowed."""
        try:
            return self.write_on(form, chance)
        except HanlinError:
            return None

    def write_on(self, form: Form, chance: random.Random) -> bytes | str | None:
        """As `write`, but raises the error of a form that is given up."""
        written: list[int] = []
        while len(written) < MOST_TOKENS:
            begun_s = time.perf_counter()
            bits = form.allowed(written)
            self.mask_s.append(time.perf_counter() - begun_s)
            allowed = [token for token in range(self.size) if bits[token >> 3] >> (token & 7) & 1]
            if form.may_end(written) and (not allowed or chance.random() < 0.3):
                return b"".join(self.bytes[token] for token in written)
            if not allowed:
                return None
            closing = [token for token in allowed if self.bytes[token].startswith(CLOSING)]
            is_late = chance.random() < 0.1 + len(written) / MOST_TOKENS
            written.append(chance.choice(closing if closing and is_late else allowed))
            if form.must_end(written):
                return b"".join(self.bytes[token] for token in written)
        return ""

    def accepts(self, form: Form, data: object) -> bool:
        """Whether a document may be written as it stands."""
        written: list[int] = []
        try:
            for token in self.tokenizer.encode(json.dumps(data, ensure_ascii=False)).ids:
                bits = form.allowed(written)
                if not bits[token >> 3] >> (token & 7) & 1:
                    return False
                written.append(token)
            return form.may_end(written)
        except HanlinError:
            return False


def _validator(sample: Sample) -> Any:
    """None: some patterns (in Java's words), and references by relative addresses, it cannot read."""
    make: Any = VALIDATORS.get(sample.draft, jsonschema_rs.validator_for)
    try:
        return make(sample.schema, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError):
        return None


def _bytes() -> dict[int, str]:
    """The characters that stand for bytes. Source: openai/gpt-2, encoder.py."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + number) for number, byte in enumerate(others)}


def _finite(text: str) -> float:
    """1e999 is a number of JSON; what Python would make of it is none."""
    return max(-sys.float_info.max, min(sys.float_info.max, float(text)))


def table(rows: Sequence[JsonObject]) -> str:
    """A line for each source, and one for all."""
    by_source: dict[str, list[JsonObject]] = defaultdict(list)
    for row in rows:
        by_source[str(row["source"])].append(row)
        by_source["all"].append(row)
    by_source["all"] = by_source.pop("all")
    lines = [
        "| schemas of | number | with others beside | allow nothing | refused | documents written | ended | **invalid** | stuck |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for source, found in by_source.items():
        refused = [row for row in found if not row["taken"]]
        nothing = [row for row in refused if any(word in str(row["reason"]) for word in IMPOSSIBLE)]
        share, sums = (len(refused) - len(nothing)) / len(found), {key: _sum(found, key) for key in ("written", "ended", "stuck")}
        invalid = sum(len(row.get("invalid", [])) for row in found)  # type: ignore[arg-type]
        lines.append(
            f"| {source} | {len(found)} | {sum(bool(row['beside']) for row in found)} | {len(nothing)} "
            f"| {len(refused) - len(nothing)} ({share:.1%}) | {sums['written']} "
            f"| {sums['ended']} | {invalid} | {sums['stuck']} |"
        )
    return "\n".join(lines)


def times(rows: Sequence[JsonObject], mask_s: Sequence[float]) -> str:
    """How long schemas take to be compiled, and tokens to be masked."""
    made = [float(str(row["seconds"])) * 1e3 for row in rows]
    return f"compiled in ms: {_ranks(made)}\nmask of a token in µs: {_ranks([each * 1e6 for each in mask_s])}"


def _ranks(values: Sequence[float]) -> str:
    ordered = sorted(values) or [0.0]
    at = {"median": 0.5, "90th in 100": 0.9, "99th": 0.99, "longest": 1.0}
    ranks = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in at.items()}
    return ", ".join(f"{name} {value:.0f}" for name, value in ranks.items()) + f", mean {sum(ordered) / len(ordered):.0f}"


def _sum(rows: Sequence[JsonObject], key: str) -> int:
    return sum(int(row.get(key, 0)) for row in rows)  # type: ignore[arg-type]


def reasons(rows: Sequence[JsonObject]) -> str:
    """Why schemas are refused, the most frequent first."""
    found = Counter(str(row["reason"]).partition(" at ")[0][:60] for row in rows if not row["taken"])
    return "\n".join(f"- {count}: {reason}" for reason, count in found.most_common(12))


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--documents", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--peers", action="store_true")
    chosen = parser.parse_args()
    wanted = [sample for sample in samples() if any(sample.source.startswith(name) for name in chosen.only)][:: 10 if chosen.quick else 1]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows = [bench.judge(sample, chosen.documents) for sample in wanted]
        bench.forms.close()
        if chosen.keep:
            chosen.keep.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"## Forms of answers\n\n{table(rows)}\n\nrefused:\n\n{reasons(rows)}\n")
        known = {key: _sum(rows, key) for key in ("valid_taken", "valid_refused", "invalid_taken", "invalid_refused")}
        print(times(rows, bench.mask_s))
        print(f"documents of the suites: {json.dumps(known)}")
        if chosen.peers:
            print(constraint_peers.table([sample for sample in wanted if sample.tests], bench.tokenizer))
    return int(known["invalid_taken"] > 0 or any(row.get("invalid") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
