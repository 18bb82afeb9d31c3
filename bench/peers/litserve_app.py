"""MiniLM behind LitServe as its documentation has users write it."""

import os
import sys

import litserve
import torch
from sentence_transformers import SentenceTransformer


class Embed(litserve.LitAPI):
    def setup(self, device: str) -> None:
        torch.set_num_threads(2)
        self.model = SentenceTransformer(os.environ["MODEL_DIR"], device="cpu")

    def decode_request(self, request: dict) -> str:
        return request["text"]

    def predict(self, texts: list[str]):
        return self.model.encode(list(texts), batch_size=64, show_progress_bar=False)

    def encode_response(self, output) -> dict:
        return {"embedding": output.tolist()}


if __name__ == "__main__":
    api = Embed(max_batch_size=32, batch_timeout=0.002, api_path="/embed")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning", num_api_servers=1)
