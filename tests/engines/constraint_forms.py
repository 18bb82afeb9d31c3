"""Schemas that answers can be held to, and a decoder that would rather write something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hanlin.generation import Constraint, Generated, GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network

TEXTS = [
    '{"name": "Li Bai", "age": 61, "tags": ["red", "green"], "is_poet": true, "none": null, "score": -1.5e3}',
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。", '{"城市": "长安", "年": 742}', "2024-05-06T07:08:09Z a@b.org \\n\\t",
] * 3  # fmt: skip
END = 1

SHORT: dict[str, Any] = {"type": "string", "maxLength": 5}
LAST = {"a4000": SHORT}
POINT: dict[str, Any] = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": -9, "maximum": 9}, "y": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["x", "y"], "additionalProperties": False,
}  # fmt: skip


def closed(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


SCHEMAS: list[Any] = [
    {"type": "boolean"},
    {"type": "null"},
    {"enum": ["red", "green", 3, None, {"a": [1]}]},
    {"const": {"b": [1, 2.5, None, "x"]}},
    {"enum": ["李白", "杜甫", "白居易"]},
    SHORT,
    {"type": "string", "minLength": 2, "maxLength": 4},
    {"type": "string", "pattern": "^[a-c]{2,4}$"},
    {"type": "string", "pattern": "^\\d{3}-\\d{2}$"},
    {"type": "string", "pattern": "^[\u4e00-\u9fff]{5}$"},
    {"type": "string", "pattern": "^(春|夏|秋|冬)(天|日)$"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "ipv4"},
    {"type": "integer", "minimum": 3, "maximum": 17},
    {"type": "integer", "exclusiveMinimum": -5, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 7, "maximum": 700},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0.1, "maximum": 0.25},
    {"type": ["integer", "null"], "maximum": 10, "minimum": 0},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 4},
    {"type": "array", "prefixItems": [SHORT, {"type": "boolean"}], "items": False, "minItems": 2},
    {"type": "array", "items": {"type": "array", "items": {"type": "null"}, "maxItems": 2}, "minItems": 1, "maxItems": 2},
    POINT,
    closed(name=SHORT, age={"type": "integer", "minimum": 0, "maximum": 150}),
    closed(["a"], a={"type": "boolean"}, b={"type": "null"}, c={"type": "boolean"}),
    closed(corner=POINT, size=closed(w={"type": "boolean"})),
    closed(姓名={"enum": ["李白", "杜甫"]}, 朝代={"const": "唐"}),
    closed(**{'a "quoted" key\\': {"type": "boolean"}}),
    {"anyOf": [POINT, {"type": "boolean"}]},
    {"oneOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 9}]},
    closed(**{f"k{number}": {"type": "string", "pattern": f"^[a-{letter}]{{1,3}}$"} for number, letter in enumerate("bcdefg")}),
    {"allOf": [closed(["a"], a={"type": "integer"}), {"properties": {"a": {"minimum": 5, "maximum": 8}}}]},
    {"$defs": {"color": {"enum": ["red", "blue"]}}, **closed(a={"$ref": "#/$defs/color"}, b={"$ref": "#/$defs/color"})},
    {"definitions": {"n": closed([], next={"$ref": "#/definitions/n"})}, "$ref": "#/definitions/n"},
    {
        "$defs": {"tree": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}]}},
        "$ref": "#/$defs/tree",
    },
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2, "propertyOrdering": ["a"]},
    {"type": "object", "patternProperties": {"^x[0-9]$": {"type": "null"}}, "additionalProperties": False, "maxProperties": 2},
    {"type": "object", "required": ["k"], "properties": {"k": {"type": ["boolean", "null"]}}, "additionalProperties": False},
    {"title": "t", "description": "d", "default": 1, "examples": [2], "$comment": "c", "type": "integer", "minimum": 0, "maximum": 9},
    {"properties": {"a": {"type": "boolean"}}, "required": ["a"], "type": "object", "additionalProperties": False, "minProperties": 1},
    {
        "$defs": {"cat": closed(kind={"const": "cat"}, lives={"enum": [1, 7, 9]}), "dog": closed(kind={"const": "dog"})},
        "discriminator": {"propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}, {"type": "null"}],
    },
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": False, "maxItems": 2, "unevaluatedItems": True, "not": False},
    {**closed(uniqueItems={"const": False}, format={"enum": ["password"]}), "dependentRequired": {}, "propertyNames": {"type": "string"}},
    {"type": "array", "items": {"enum": ["ab", "ac", "b", "a"]}, "uniqueItems": True, "minItems": 3},
    {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 12}, "uniqueItems": True, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": closed(a={"type": "boolean"}, b={"enum": [1, 2]}), "uniqueItems": True, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"type": "boolean"}, "contains": {"const": True}, "maxItems": 3},
    {**closed([], a={"type": "boolean"}, b={"type": "null"}), "dependentRequired": {"a": ["b"]}, "minProperties": 1},
    {**closed(k={"enum": ["x", "y"]}, n={"type": "integer", "minimum": 0, "maximum": 99}), "if": {"properties": {"k": {"const": "x"}}},
     "then": {"properties": {"n": {"maximum": 9}}}, "else": {"properties": {"n": {"minimum": 10}}}},
    {"type": "string", "maxLength": 6, "not": {"enum": ["", "ab", "abc"]}},
    {**closed([], a={"type": "null"}, b={"type": "null"}), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"type": "object", "propertyNames": {"pattern": "^[a-c]{1,2}$"}, "additionalProperties": {"type": "boolean"}, "maxProperties": 2},
    {"allOf": [closed(["a"], a={"type": "boolean"})], "$defs": {"n": {"properties": {"b": {"type": "null"}}}}},
    {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"b": {"type": "null"}}, "required": ["b"]}}, "unevaluatedProperties": False},
    {"type": "string", "pattern": "^(?!ab)[a-c]{2,4}$"},
    {"oneOf": [{"type": "boolean"}], "if": {"type": "null"}, "contains": {"type": "null"}, "minContains": 0},
]  # fmt: skip


def make_writer(folder: Path) -> Path:
    """A tiny decoder that has learned nothing, over pieces of bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<pad>", "<end>", "<begin>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(8)
    config = NetworkConfig(
        "hanlin-decoder", tokenizer.get_vocab_size() + 5, embedding_size=16, hidden_size=16, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=1024, bos_token_id=2, eos_token_id=END,
    )  # fmt: skip
    save_network(build_generator(config), folder)
    return folder


def asking(constraint: Constraint, seed: int = 0, **more: Any) -> GenerationSettings:
    return GenerationSettings(**{"max_new_tokens": 300, "temperature": 1.5, "seed": seed, "constraint": constraint, **more})


def text_of(folder: Path, written: Generated) -> str:
    return str(Tokenizer.from_file(str(folder / "tokenizer.json")).decode(list(written.ids), skip_special_tokens=False))
