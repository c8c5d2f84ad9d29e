"""What the client remembers between scenarios: a service would keep it in its database."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class State:
    """Token and its end (Unix seconds), withdrawn patients, resources seen (path -> resource and ETag), last look at results."""

    token: str = ""
    token_until: float = 0.0
    withdrawn: list[str] = field(default_factory=list)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    results_read_at: str = ""

    @classmethod
    def load(cls, path: Path) -> State:
        """From a file, or empty."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls()

    def save(self, path: Path) -> None:
        """Readable by its owner only: it holds a token."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
