"""Command: perform one scenario, as `gozar conformance run --command` calls it."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import httpx

from .app import open_app
from .state import State


def main() -> None:
    """`gozar-reference-client --url URL SCENARIO INPUTS`; credentials come from GOZAR_CLIENT_ID and GOZAR_CLIENT_SECRET."""
    parser = argparse.ArgumentParser(prog="gozar-reference-client")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--state", type=Path, default=Path("gozar-reference-client.json"))
    parser.add_argument("scenario")
    parser.add_argument("inputs", help="JSON object")
    given = parser.parse_args()
    state = State.load(given.state)
    with httpx.Client(timeout=30) as http:
        app = open_app(
            given.url.rstrip("/"), os.environ["GOZAR_CLIENT_ID"], os.environ["GOZAR_CLIENT_SECRET"], state, http
        )
        try:
            app.perform(given.scenario, json.loads(given.inputs))
        finally:
            state.save(given.state)


if __name__ == "__main__":
    main()
