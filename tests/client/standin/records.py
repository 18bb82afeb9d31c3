"""What the stand-in shows: a dataset, a model with its variants, and their reports."""

from __future__ import annotations

KEY = "hl_" + "k" * 43
NOW = "2026-01-02T03:04:05+00:00"
REPORT = {
    "rows_read": 100,
    "rows_kept": 90,
    "bad_rows": {"total": 2, "first": [{"file": "a.csv", "line": 7, "problem": "no label"}]},
    "duplicates": 5,
    "conflicts": {"total": 3, "first": [{"file": "a.csv", "line": 9}]},
    "conflict_rows": 7,
    "leaks": {"total": 1, "first": [{"file": "a.csv", "line": 4, "split": "test"}]},
    "labels": {"neg": {"train": 30, "validation": 5, "test": 5}, "pos": {"train": 40, "validation": 5, "test": 5}},
    "lengths": {"p5": 3, "p50": 12, "p95": 60, "p99": 90, "max": 200},
    "columns": {"text": "review", "label": "y"},
    "encoding": "gb18030",
    "digest": "d" * 64,
    "language": "zh",
}
METRICS = {
    "accuracy": 0.91,
    "macro_f1": 0.9,
    "micro_f1": 0.91,
    "ece": 0.03,
    "interval": [0.89, 0.93],
    "labels": ["neg", "pos"],
    "confusion": [[45, 5], [4, 46]],
    "per_class": {
        "neg": {"precision": 0.918, "recall": 0.9, "f1": 0.909, "support": 50},
        "pos": {"precision": 0.902, "recall": 0.92, "f1": 0.911, "support": 50},
    },
}
COMPRESSION = {
    "target": "latency",
    "budget": 0.5,
    "reference": "torch-fp32",
    "chosen": "openvino-int8",
    "machine": {"cpu": "Test CPU", "cores": 2, "flags": ["amx"]},
    "is_reference_kept": False,
    "variants": [
        {
            "variant": "torch-fp32",
            "status": "ok",
            "reason": "",
            "validation": {"metric": 0.91, "drop_points": 0.0},
            "test": {"metric": 0.9, "interval": [0.88, 0.92]},
            "latency_ms": {"p50": 8.0, "p99": 9.5},
            "throughput_rows_s": 200.0,
            "memory_bytes": 300_000_000,
            "size_bytes": 90_000_000,
            "max_score_difference": 0.0,
            "batch_invariant": True,
        },
        {
            "variant": "openvino-int8",
            "status": "ok",
            "reason": "",
            "validation": {"metric": 0.909, "drop_points": 0.1},
            "test": {"metric": 0.9, "interval": [0.88, 0.92]},
            "latency_ms": {"p50": 1.5, "p99": 2.0},
            "throughput_rows_s": 900.0,
            "memory_bytes": 120_000_000,
            "size_bytes": 23_000_000,
            "max_score_difference": 0.04,
            "batch_invariant": True,
        },
        {
            "variant": "onnxruntime-int8",
            "status": "over budget",
            "reason": "loses 1.20 points, budget 0.5",
            "said": {"code": "points_lost", "params": {"points": "1.20", "budget": "0.5"}},
            "validation": {"metric": 0.898, "drop_points": 1.2},
            "test": None,
            "latency_ms": {"p50": 1.2, "p99": 1.9},
            "throughput_rows_s": 950.0,
            "memory_bytes": 110_000_000,
            "size_bytes": 23_000_000,
            "max_score_difference": 0.2,
            "batch_invariant": False,
        },
        {"variant": "openvino-fp32", "status": "failed", "reason": "no such operator"},
    ],
}
FILE = b"weights" * 1000
MODEL = {
    "name": "sentiment-zh",
    "task": "text-classification",
    "notes": "",
    "aliases": {"production": 1},
    "versions": [
        {
            "number": 1,
            "state": "published",
            "is_base": False,
            "labels": ["neg", "pos"],
            "metrics": METRICS,
            "created_at": NOW,
            "published_at": NOW,
            "lineage": {"dataset": "reviews-zh:1", "seed": 0},
            "variants": [
                {"variant": "torch-fp32", "is_chosen": False, "size_bytes": 90_000_000, "evidence": COMPRESSION["variants"][0]},
                {"variant": "openvino-int8", "is_chosen": True, "size_bytes": 23_000_000, "evidence": COMPRESSION["variants"][1]},
            ],
            "certificates": [
                {
                    "variant": "openvino-int8",
                    "is_passed": True,
                    "created_at": NOW,
                    "report": {
                        "rows": 400,
                        "label_agreement": 0.995,
                        "label_agreement_interval": [0.972, 0.9991],
                        "max_score_difference": 0.04,
                        "tolerance": 0.1,
                    },
                }
            ],
            "pictures": ["confusion", "curve", "pareto"],
        },
        {"number": 2, "state": "candidate", "labels": ["neg", "pos"]},
    ],
}
