"""MiniLM behind BentoML as its documentation has users write it."""

import os

import bentoml
import numpy as np


@bentoml.service(workers=1, traffic={"timeout": 60}, resources={"cpu": "2"})
class Embed:
    def __init__(self) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(2)
        self.model = SentenceTransformer(os.environ["MODEL_DIR"], device="cpu")

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def embed(self, text: list[str]) -> np.ndarray:
        return self.model.encode(text, batch_size=64, show_progress_bar=False)
