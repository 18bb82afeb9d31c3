"""A client of the whole API by openapi-python-client, without a warning; then it is used.

`python -I client.py FOLDER` in an environment that has the generator. HANLIN_URL, HANLIN_KEY.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def generate(folder: Path) -> None:
    """Writes the package `api` into `folder`."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{os.environ['HANLIN_URL']}/openapi.json"]
    config = folder / "config.yml"
    config.write_text("package_name_override: api\nproject_name_override: api\npost_hooks: []\n")
    done = subprocess.run(
        [*command, "--config", str(config), "--output-path", str(folder / "made"), "--overwrite"],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-6000:], done.stderr[-2000:])
    assert done.returncode == 0
    assert "WARNING" not in done.stdout.upper(), "the generator left something out"


def use(folder: Path) -> None:
    """Calls a few of its functions."""
    sys.path.insert(0, str(folder / "made"))
    from api import AuthenticatedClient  # type: ignore[import-not-found]
    from api.api.health import readyz
    from api.api.models import list_models
    from api.api.openai import create_embeddings, list_endpoints_as_models
    from api.models import CreateEmbeddingsBody, Error

    client = AuthenticatedClient(os.environ["HANLIN_URL"], os.environ["HANLIN_KEY"])
    assert readyz.sync(client=client).status == "ready"
    assert [model.name for model in list_models.sync(client=client).models] == ["mood"]
    assert "vectors" in [model.id for model in list_endpoints_as_models.sync(client=client).data]
    body = CreateEmbeddingsBody.from_dict({"input": ["good", "bad"], "model": "vectors", "dimensions": 4})
    answer = create_embeddings.sync(client=client, body=body)
    assert [len(item.embedding) for item in answer.data] == [4, 4]
    refused = create_embeddings.sync(client=client, body=CreateEmbeddingsBody.from_dict({"input": " ", "model": "vectors"}))
    assert isinstance(refused, Error)
    assert refused.error.code == "empty_text"


def main() -> None:
    """Both, then every module of the package."""
    folder = Path(sys.argv[1])
    generate(folder)
    files = sorted((folder / "made" / "api").rglob("*.py"))
    for file in files:
        compile(file.read_text(encoding="utf-8"), str(file), "exec")
    use(folder)
    print(f"{len(files)} files")


if __name__ == "__main__":
    main()
