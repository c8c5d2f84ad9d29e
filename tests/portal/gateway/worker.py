"""One worker process of a gateway over a stub exchange: `python -m tests.portal.gateway.worker PORT FOLDER DATABASE_URL [REDIS_URL]`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from portal.gateway.runtime import Runtime
from portal.gateway.upstream import InProcessUpstream, Receive, Scope, Send
from portal.kernel.clock import SystemClock
from portal.kernel.database import create_engine, session_maker
from portal.oauth.service import OAuth
from tests.factories.oauth import PUBLIC_URL
from tests.portal.gateway.rig import echo


async def exchange(scope: Scope, receive: Receive, send: Send) -> None:
    """`echo`; but `Patient/drip` answers a piece every 20 ms, and `Patient/mute` one piece and then nothing, for half a minute."""
    kind = scope["path"].rpartition("/")[2]
    if kind not in ("drip", "mute"):
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1500 if kind == "drip" else 1):
        await send({"type": "http.response.body", "body": b"drop ", "more_body": True})
        await asyncio.sleep(0.02 if kind == "drip" else 30)
    await send({"type": "http.response.body", "body": b"end"})


async def main(port: int, folder: Path, database: str, redis_url: str) -> None:
    engine = create_engine(database)
    maker = session_maker(engine)
    oauth = OAuth(
        public_url=PUBLIC_URL,
        keys_dir=folder / "keys",
        engine=engine,
        maker=maker,
        clock=SystemClock(),
        tidy_every=3600,
    )
    await oauth.start()
    runtime = Runtime(
        maker=maker,
        tokens=oauth.tokens,
        feed=oauth.feed,
        clock=SystemClock(),
        exchanges={"sandbox": InProcessUpstream(exchange)},
        data_dir=folder,
        redis_url=redis_url,
        redis_budget=5,  # the suite's machine may be busy; the fallback has tests of its own
    )
    await runtime.start()
    config = uvicorn.Config(runtime.gateway, port=port, log_level="error", access_log=False, lifespan="off")
    await uvicorn.Server(config).serve()
    await runtime.stop()
    await oauth.stop()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], [*sys.argv[4:], ""][0]))
