"""Pretrained models and importers: foreign folders become ours; tokenizers and word vectors are made here.

Knows file formats and what of them is allowed; knows nothing of training loops, the registry or serving.
"""
