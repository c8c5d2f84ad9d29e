"""One worker process of a gateway over a stub exchange: `python -m tests.portal.gateway.worker PORT FOLDER DATABASE_URL [REDIS_URL]`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from portal.gateway.runtime import Runtime
from portal.gateway.upstream import InProcessUpstream
from portal.kernel.clock import SystemClock
from portal.kernel.database import create_engine, session_maker
from portal.oauth.service import OAuth
from tests.factories.oauth import PUBLIC_URL
from tests.portal.gateway.rig import echo


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
        exchanges={"sandbox": InProcessUpstream(echo)},
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
