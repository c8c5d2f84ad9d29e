"""The walks of the documentation, run over HTTP against a served exchange: they print what the pages say."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import orjson
import pytest
import uvicorn

from sandbox.fhir.validation import errors, validate
from sandbox.workflows import notifications, personas
from sandbox.workflows.operations.answering import OPERATIONS
from tests.factories import exchange
from tests.factories.exchange import World
from tests.factories.postgres import free_port
from tests.sandbox.workflows import test_task_machine

MACHINES = (*test_task_machine.MACHINES, notifications.MACHINE)
ROOT = Path(__file__).parents[3]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walk", ROOT / "docs/examples/walk.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WALK = load()


class Served(uvicorn.Server):
    """The exchange on a port of its own, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.path, self.port = path, free_port()
        self.world: World | None = None
        self.ready = threading.Event()
        super().__init__(
            uvicorn.Config(self._app, port=self.port, log_level="warning", lifespan="off", interface="asgi3")
        )

    async def _app(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        assert self.world is not None
        await self.world.app(scope, receive, send)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    def run_in_thread(self) -> None:
        asyncio.run(self._life())

    async def _life(self) -> None:
        population = [orjson.dumps(resource) for resource in personas.resources()]
        self.world = await exchange.start(f"sqlite+aiosqlite:///{self.path}", population=population)
        await self.serve()
        await self.world.app.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("walks") / "exchange.sqlite3")
    thread = threading.Thread(target=server.run_in_thread)
    thread.start()
    assert server.ready.wait(60)
    yield server
    server.should_exit = True
    thread.join(30)


def expected(name: str, language: str) -> list[str]:
    """The lines that a documentation page shows under the walk's command."""
    text = (ROOT / f"docs/{language}/workflows/{name}.md").read_text()
    block = re.search(rf"walk\.py {name}\n```\n+```text\n(.*?)```", text, re.S)
    assert block is not None, f"the {language} page of {name} lacks its command with output"
    return block[1].rstrip("\n").split("\n")


@pytest.mark.parametrize("name", list(WALK.WALKS))
def test_each_walk_prints_what_its_page_says(served: Served, name: str) -> None:
    assert served.world is not None
    token = served.world.token(WALK.scope_of(name), tenant=f"walk-{name}")
    reading = {"authorization": f"Bearer {served.world.token(tenant=f'walk-{name}')}"}
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}/fhir/R4/", headers=headers, timeout=60) as client:
        said = list(WALK.lines(name, WALK.Sandbox(client)))
        stored = client.get("_history?_count=200", headers=reading).json().get("entry", [])
    assert said == expected(name, "en")
    assert said == expected(name, "fa")
    for entry in stored:  # what a Workflow stores, an App can read and write back under strict validation
        found = errors(validate(entry["resource"])) if "resource" in entry else []
        assert not found, (entry["fullUrl"], [(e.text.en, e.expression) for e in found])


def test_every_persona_is_valid_fhir() -> None:
    for resource in personas.resources():
        found = errors(validate(resource))
        assert not found, (resource["resourceType"], resource["id"], [(e.text.en, e.expression) for e in found])


def test_the_pages_show_every_state_step_operation_and_persona() -> None:
    for language in ("en", "fa"):
        pages = "".join(page.read_text() for page in (ROOT / f"docs/{language}/workflows").glob("*.md"))
        for machine in MACHINES:
            for step in machine.transitions:
                sources = " ".join(f"`{s.name}`" for s in machine.states if s.name in step.sources)
                assert f"| `{step.name}` | {sources} | `{step.target}` |" in pages, (language, machine.name, step.name)
        for operation in OPERATIONS:
            instance = "[id]/" if operation.level == "instance" else ""
            assert f" {operation.kind}/{instance}${operation.name}`" in pages, (language, operation.name)
        for persona in personas.PERSONAS:
            assert f"`Patient/{persona.id}`" in pages, (language, persona.id)
