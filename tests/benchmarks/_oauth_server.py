"""Our token endpoint for the benchmark: the portal's Litestar application with the authorization server, on SQLite, one worker.

Writes what a client needs to a JSON file, then serves.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar

from portal.kernel.clock import SystemClock
from portal.kernel.database import create_engine, session_maker
from portal.kernel.migrations import upgrade
from portal.oauth.api import routes, token_lane
from portal.oauth.service import OAuth
from tests.factories.oauth import make_app, new_key, real_now


async def main(folder: Path, port: int, told: Path) -> None:
    """Serve until stopped; `told` receives the JSON."""
    engine = create_engine(f"sqlite+aiosqlite:///{folder / 'portal.sqlite3'}")
    await upgrade(engine)
    maker = session_maker(engine)
    public_url = f"http://127.0.0.1:{port}"
    oauth = OAuth(public_url=public_url, keys_dir=folder / "keys", engine=engine, maker=maker, clock=SystemClock())
    await oauth.start()
    scopes = ["system/Patient.rs"]
    with_secret = await make_app(maker, pepper=oauth.pepper, scopes=scopes, now=real_now())
    key = new_key("ES384")
    with_key = await make_app(maker, pepper=oauth.pepper, scopes=scopes, key=key, now=real_now())
    setting = {
        "clientId": with_secret.client_id,
        "clientSecret": with_secret.secret,
        "keyClientId": with_key.client_id,
        "jwks": {"keys": [key.as_dict(private=False)]},
        "privateKey": key.as_dict(private=True),
    }
    await asyncio.to_thread(told.write_text, json.dumps(setting))
    rest: Any = Litestar(route_handlers=routes(oauth))
    app = token_lane(oauth, rest)
    # As `gozar serve` does: what start-up made lives on, and is not looked at again and again.
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    config = uvicorn.Config(
        app, port=port, log_level="warning", access_log=False, loop="uvloop", http="httptools", proxy_headers=False
    )
    await uvicorn.Server(config).serve()
    await oauth.stop()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
