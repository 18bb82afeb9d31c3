"""A GGUF file at another precision, for llama.cpp: every matrix of SOURCE widened, then kept in fp32 or in 8 bits.

usage: PYTHON gguf_of.py SOURCE.gguf OUT.gguf f32|q8_0        in an environment with gguf 0.19
"""

from __future__ import annotations

import sys

import gguf
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, quants

source, out, precision = GGUFReader(sys.argv[1]), sys.argv[2], GGMLQuantizationType[sys.argv[3].upper()]
writer = GGUFWriter(out, source.fields["general.architecture"].contents())
for name, field in source.fields.items():
    if name.startswith("GGUF.") or name == "general.architecture":
        continue
    inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
    value = int(gguf.LlamaFileType.ALL_F32) if name == "general.file_type" else field.contents()
    writer.add_key_value(name, value, field.types[0], sub_type=inner)
for tensor in source.tensors:
    wide = quants.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist())))
    kept = precision if wide.ndim == 2 else GGMLQuantizationType.F32
    writer.add_tensor(tensor.name, quants.quantize(wide, kept), raw_dtype=kept)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
