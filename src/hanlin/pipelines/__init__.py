"""One file per kind of job: the only place where datasets, models, training, compression, registry and control meet."""
