"""Makes the answers of a running engine the first examples of the Postman collection.

python -m tests.clients.record [BASE_URL]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.clients.postman import COLLECTION, Answer, Json, collection, requests_of, run_with_newman


def record(url: str) -> None:
    """Replaces the first example of each request. Exits with newman's output unless the run is green."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_with_newman(url, Path(folder))
    if run.code != 0:
        sys.exit(run.output)
    kept = collection()
    for item in requests_of(kept):
        item["response"][:1] = [example(item, run.answers[item["name"]])]
    COLLECTION.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def example(item: Json, answer: Answer) -> Json:
    """A saved example in Postman's format."""
    return {
        "name": f"{answer.code} {answer.status}",
        "originalRequest": {name: value for name, value in item["request"].items() if name != "description"},
        "status": answer.status,
        "code": answer.code,
        "_postman_previewlanguage": "json",
        "header": answer.header,
        "cookie": [],
        "body": answer.body,
    }


if __name__ == "__main__":
    record(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:3000")
