"""Compression: a trained version in, runnable variants out, measured on this machine under an accuracy budget.

`convert` makes one variant's files; `search` makes, measures and chooses; `pictures` draws the report. Sees token ids and label
indices, never text, registry or network. torch, onnx, openvino and nncf load inside functions. Import the modules, not this package.
"""
