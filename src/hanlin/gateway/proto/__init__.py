"""The gRPC service's messages, made by `scripts/generate_proto.py` of `open_inference.proto`."""
