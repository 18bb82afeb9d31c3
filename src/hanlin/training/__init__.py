"""Training and evaluation: our own small loop over torch.

Sees the protocols `Progress` and `Checkpoints`, folders and rows of text; knows nothing of jobs, registry or serving.
"""
