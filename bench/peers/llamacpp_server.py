"""llama.cpp's own server over HTTP, by xllamacpp.

usage: PYTHON llamacpp_server.py MODEL.gguf fp32|q8_0 THREADS PORT        in an environment with xllamacpp 2026.10

Places and precision as in `llamacpp_bare.py`. Answers on loopback until it is ended.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp

PLACES = 16
file, precision, threads, port = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
params = xllamacpp.CommonParams()
params.model.path, params.n_gpu_layers, params.n_parallel, params.n_ctx = file, 0, PLACES, 1024 * PLACES
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
params.cache_prompt, params.cache_ram_mib, params.verbosity, params.ui = False, 0, 0, False
params.hostnames, params.port = ["127.0.0.1"], port
if precision == "fp32":
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.pause()
