"""Server of the gateway benchmark: one stub exchange, called bare and through the gateway, in process and over HTTP.

    /bare/fhir/R4/...     the stub, behind nothing
    /sandbox/fhir/R4/...  the stub in process, behind the gateway: real token, three policies, Quota, metering into SQLite
    /token                an access token

`python -m tests.benchmarks._gateway_server PORT FOLDER [UPSTREAM_URL] [REDIS_URL]`
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn

from portal.gateway.front import front
from portal.gateway.http_upstream import HttpUpstream
from portal.gateway.runtime import Runtime
from portal.gateway.upstream import InProcessUpstream, Receive, Scope, Send, Upstream
from portal.kernel.clock import SystemClock
from portal.kernel.database import create_engine, session_maker
from portal.kernel.migrations import upgrade
from tests.factories.gateway import subscribe
from tests.factories.oauth import make_app, oauth_over

PATIENT = (
    b'{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","lastUpdated":"2026-11-22T09:00:00Z"},'
    b'"name":[{"family":"Karimi","given":["Sara"]}],"gender":"female","birthDate":"1990-01-01"}'
)
HEADERS = [
    (b"content-type", b"application/fhir+json"),
    (b"content-length", str(len(PATIENT)).encode()),
    (b"etag", b'W/"1"'),
]


async def stub(scope: Scope, receive: Receive, send: Send) -> None:
    """The cheapest exchange there can be, so that what is measured is the gateway."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": PATIENT})


async def main(port: int, folder: Path, upstream_url: str, redis_url: str) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{folder / 'portal.sqlite3'}")
    await upgrade(engine)
    maker = session_maker(engine)
    clock: Any = SystemClock()
    oauth = oauth_over(engine, maker, folder, clock)
    await oauth.start()
    upstream: Upstream = InProcessUpstream(stub)
    if upstream_url:
        upstream = HttpUpstream(upstream_url, ticks=time.monotonic_ns)
    runtime = Runtime(
        maker=maker,
        tokens=oauth.tokens,
        feed=oauth.feed,
        clock=clock,
        exchanges={"sandbox": upstream, "production": upstream},
        data_dir=folder,
        redis_url=redis_url,
    )
    await runtime.start()
    app = await make_app(maker, pepper=oauth.pepper, scopes=["system/Patient.cruds"], now=clock.now())
    limits = {"per_second": 10_000_000, "per_minute": 600_000_000, "quota": 2_000_000_000}
    await subscribe(maker, app.client_id, now=clock.now(), **limits)

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/token":
            token = oauth.tokens.mint(
                "sandbox",
                client_id=app.client_id,
                app=app.app_id,
                tenant="t",
                epoch=1,
                scope="system/Patient.cruds",
                now=clock.now(),
            )
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": token.encode()})
        elif scope["type"] == "http":
            await stub(scope, receive, send)

    config = uvicorn.Config(
        front(runtime.gateway, rest),
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="uvloop",
        proxy_headers=False,
    )
    await uvicorn.Server(config).serve()
    await runtime.stop()
    await oauth.stop()
    await engine.dispose()


if __name__ == "__main__":
    given = [*sys.argv[3:], "", ""]
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), given[0], given[1]))
