"""Makes the Python of `src/hanlin/gateway/proto/*.proto`; with `--check`, says whether what is there is current.

The compiler is that of grpcio-tools, of the `dev` extra.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "src" / "hanlin" / "gateway" / "proto"


def generate(folder: Path) -> None:
    """Writes the modules into `folder`."""
    from grpc_tools import protoc

    known = str(files("grpc_tools") / "_proto")
    sources = sorted(path.name for path in FOLDER.glob("*.proto"))
    status = protoc.main(["protoc", f"-I{FOLDER}", f"-I{known}", f"--python_out={folder}", f"--pyi_out={folder}", *sources])
    if status:
        raise SystemExit(status)


def main() -> int:
    """0 when all is well."""
    if "--check" not in sys.argv[1:]:
        generate(FOLDER)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        made = {path.name: path.read_bytes() for path in Path(scratch).iterdir()}
    stale = sorted(name for name, content in made.items() if not (FOLDER / name).is_file() or (FOLDER / name).read_bytes() != content)
    for name in stale:
        print(f"{name} is stale: run python scripts/generate_proto.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
