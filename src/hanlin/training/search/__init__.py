"""The search over training options: a space, a study of trials, the processes that train them. Validation rows only."""
