"""Writing with any network that scores the next token: greedily, with beams, by chance, within limits and grammars.

    steps = step_model(module)
    generated = generate(steps, rows, settings)

`protocol` says what a network must be able to do, `own` and `pretrained` make ours and those of transformers so; `tokens` and `beams`
choose, `limits` forbids. Knows rows of ids, no text and no task. Import the modules, not this package: it loads no torch.
"""
