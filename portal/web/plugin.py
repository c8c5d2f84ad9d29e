"""The pieces that an application of these rooms hands to Litestar; `configure` makes them, the composition root spreads them.

shell = Shell(sessions=..., clock=..., mailer=..., keyring=load_keyring(settings.data_dir / "keys"), public_url=...)
parts = configure(shell)
Litestar(
    route_handlers=[*parts.routes, *users.api.routes, *users.pages.routes, ...],
    middleware=[AuthenticationMiddleware],              # portal.users.authentication
    dependencies={**parts.dependencies, **users.dependencies.DEPENDENCIES},
    exception_handlers=parts.exception_handlers,
    template_config=parts.template_config,
    before_send=parts.before_send,
    state=parts.state,
    plugins=parts.plugins,
)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins import PluginProtocol
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig
from litestar.types import BeforeMessageSendHookHandler

from portal.web.dependencies import DEPENDENCIES
from portal.web.headers import add_headers
from portal.web.openapi import StrictStructs
from portal.web.pages import problem_page
from portal.web.problems import ProblemMapper, ProblemShapes
from portal.web.shell import Shell
from portal.web.static import load_assets
from portal.web.templating import environment


@dataclass(frozen=True, slots=True)
class Parts:
    """Arguments of Litestar, by their names there."""

    routes: list[Router]
    dependencies: dict[str, Provide]
    exception_handlers: dict[int | type[Exception], Any]
    template_config: TemplateConfig[JinjaTemplateEngine]
    before_send: list[BeforeMessageSendHookHandler]
    state: State
    plugins: list[PluginProtocol]


def configure(shell: Shell, *, shapes: ProblemShapes = ()) -> Parts:
    """Parts for `shell`; `shapes` are (path prefix, renderer) of protocols with their own error form."""
    assets = load_assets()
    engine = JinjaTemplateEngine.from_environment(environment(assets, shell.navigation))
    return Parts(
        routes=[assets.router()],
        dependencies=dict(DEPENDENCIES),
        exception_handlers={Exception: ProblemMapper(problem_page, shapes)},
        template_config=TemplateConfig(instance=engine),
        before_send=[add_headers],
        state=State({"shell": shell}),
        plugins=[StrictStructs()],
    )
