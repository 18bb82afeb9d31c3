"""Chat templates of models, run in a sandbox: bounded in steps and size, with what of the text is whose words. See `sandbox.py`."""
