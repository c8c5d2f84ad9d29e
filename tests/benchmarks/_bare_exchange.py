"""The whole installation, with the embedded sandbox exchange also called bare at `/fhir/R4/...`: for the gateway benchmark only.

`python -m tests.benchmarks._bare_exchange PORT`; data and URLs come from `GOZAR_*`.
"""

from __future__ import annotations

import sys

import uvicorn

from portal.app import create_app
from portal.gateway.upstream import Receive, Scope, Send
from portal.settings import from_env


def main(port: int) -> None:
    gozar = create_app(from_env())
    exchange = gozar.exchanges["sandbox"].app
    if exchange is None:
        raise SystemExit("the benchmark wants the embedded exchange")

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/fhir/"):
            await exchange({**scope, "state": {}}, receive, send)
        else:
            await gozar.asgi(scope, receive, send)

    uvicorn.run(
        both,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        log_config=None,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
