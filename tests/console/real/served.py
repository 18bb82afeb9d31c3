"""What the home of these tests holds: a version's figures, and an engine room without a worker."""

from __future__ import annotations

from types import SimpleNamespace

from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.tasks.few_rows import few_test_rows, stored
from hanlin.types import TeamId

TEAM = TeamId("default")
METRICS = {
    "rows": 10, "warnings": stored(few_test_rows(10)),
    "accuracy": 0.9, "macro_f1": 0.89, "micro_f1": 0.9, "ece": 0.05, "interval": [0.8, 0.95],
    "per_class": [
        {"label": "neg", "precision": 1.0, "recall": 0.8, "f1": 0.88, "support": 5},
        {"label": "pos", "precision": 0.83, "recall": 1.0, "f1": 0.9, "support": 5},
    ],
    "confusion": [[4, 1], [0, 5]],
}  # fmt: skip
CERTIFICATE = {
    "rows": 200,
    "label_agreement": 0.995,
    "label_agreement_interval": [0.972, 0.9991],
    "max_score_difference": 0.01,
    "tolerance": {"label_agreement": 0.99, "max_score_difference": 0.05},
}

COST = {"latency_p50_ms": 1.0, "latency_p99_ms": 2.0, "memory_bytes": 10**8, "size_bytes": 10**6}


class FakeDataplane(Dataplane):
    """Answers without a worker."""

    def find(self, principal, endpoint):
        return SimpleNamespace(info=None)

    async def predict(self, principal, endpoint, inputs, parameters, *, timeout_s, language, request_id, lane="interactive") -> Outcome:
        principal.require("predict")
        body = b'[{"label":"pos","score":0.9},{"label":"neg","score":0.1}]' if inputs != "odd" else b'{"entities": []}'
        return Outcome(body, "reviews:1", "openvino-int8", 1, 4, 0.1, 0.2, 1.3)
