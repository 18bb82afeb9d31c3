"""llama.cpp's own server over HTTP, by xllamacpp.

usage: PYTHON llamacpp_server.py MODEL.gguf fp32|q8_0 THREADS PORT        in an environment with xllamacpp 2026.10

Places and precision are those of `settings.py`. Answers on loopback until it is ended.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import xllamacpp

from peers.settings import llamacpp_params

params = llamacpp_params(xllamacpp, sys.argv[1], sys.argv[2], int(sys.argv[3]))
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[4])
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.pause()
