"""MiniLM behind mosec as its documentation has users write it. ENGINE=st: sentence-transformers; ENGINE=ov: our own OpenVINO model."""

import os

from mosec import Server, Worker


class Embedder(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.embed = openvino_embedder() if os.environ["ENGINE"] == "ov" else sentence_embedder()

    def forward(self, data: list[dict[str, str]]) -> list[dict[str, list[float]]]:
        return [{"embedding": vector} for vector in self.embed([item["text"] for item in data]).tolist()]


def sentence_embedder():
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(2)
    model = SentenceTransformer(os.environ["MODEL_DIR"], device="cpu")
    return lambda texts: model.encode(texts, batch_size=64, show_progress_bar=False)


def openvino_embedder():
    import numpy as np
    import openvino
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.environ["MODEL_DIR"] + "/tokenizer.json")
    tokenizer.enable_padding(pad_id=0)
    tokenizer.enable_truncation(256)
    config = {
        "INFERENCE_NUM_THREADS": os.environ.get("THREADS", "2"),
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": os.environ.get("PRECISION", "bf16"),
    }
    request = openvino.Core().compile_model(os.environ["OPENVINO_MODEL"], "CPU", config).create_infer_request()

    def embed(texts: list[str]) -> np.ndarray:
        rows = tokenizer.encode_batch(texts)
        ids, mask = np.array([row.ids for row in rows]), np.array([row.attention_mask for row in rows])
        request.infer({"input_ids": ids, "attention_mask": mask})
        return request.get_output_tensor(0).data

    return embed


if __name__ == "__main__":
    server = Server()
    server.append_worker(Embedder, num=1, max_batch_size=32, max_wait_time=2)
    server.run()
