"""Wires the HTTP front end together; `python -m app.main` runs it."""

import ipaddress
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from app.anthropic import message_errors
from app.anthropic import routes as anthropic
from app.auth import Keys
from app.core import log, parent_watch
from app.core.settings import EX_CONFIG, Misconfigured, Settings, read_settings
from app.core.version import VERSION
from app.http import exception_handlers
from app.http.dialect_errors import DialectErrors
from app.http.middleware import BodyLimit, BodyLimits, HeadRequests, RequestContext
from app.http.origins import Cors, Hosts, Origins
from app.http.protocol import BACKLOG, ConnectionLimits, Connections, affordable
from app.http.proxies import Proxies
from app.mcp import routes as mcp
from app.mcp.endpoint import McpEndpoint
from app.openai import models as openai_models
from app.openai.embeddings import routes as openai_embeddings
from app.openai.images import edit_routes as openai_edits
from app.openai.images import routes as openai_images
from app.openai.music import routes as openai_music
from app.openai.responses import routes as openai_responses
from app.openai.text import routes as openai_text
from app.openai.videos import routes as openai_videos
from app.openapi import Api
from app.queue.connections import check_credentials
from app.routes import (
    archives,
    artifacts,
    events,
    health,
    jobs,
    models,
    samples,
    session,
    status,
)
from app.routes.generate import generate_router
from app.sdapi import option_routes as sdapi_options
from app.sdapi import route as sdapi_route
from app.sdapi import routes as sdapi
from app.services import Services
from app.web import reference_route
from app.web import routes as web

TICKS = 10  # of uvicorn's loop a second
FORM = 2**16  # bytes that a form may add to the file in it
WITH_FILES = ("/artifacts", "/v1/videos", "/v1/images/edits", "/v1/images/variations")
WITH_PICTURES = ("/sdapi/v1/img2img", "/sdapi/v1/png-info")
PICTURES = 2**24  # bytes of a JSON body that holds pictures, at most
ROUTERS = (
    events.router,  # before `/jobs/{job_id}`
    jobs.router,
    artifacts.router,
    archives.router,
    models.router,
    samples.router,
    session.router,
    status.router,
    openai_models.router,
    openai_models.text_only,
    openai_images.router,
    openai_edits.router,
    openai_videos.router,
    openai_music.router,
    openai_text.router,
    openai_responses.router,
    openai_embeddings.router,
    anthropic.router,
    mcp.router,
    health.router,
    web.router,
    reference_route.router,
)
SDAPI_ROUTERS = (sdapi.router, sdapi_options.outside)


def create_app(settings: Settings) -> Api:
    """The API over these settings. Redis may be away; it is found when it comes."""
    services = Services(settings)
    endpoint = McpEndpoint(services, VERSION)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with services.running():
            yield
            await endpoint.close()

    app = Api(
        title="Atelier",
        version=VERSION,
        lifespan=lifespan,
        openapi_url=None,  # FastAPI makes it in the event loop; app/openapi.py does not
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # a generated client's method
    )
    app.state.services = services
    app.state.mcp = endpoint
    app.include_router(generate_router())
    for router in (*ROUTERS, *(SDAPI_ROUTERS if settings.sdapi else ())):
        app.include_router(router)
    exception_handlers.install(app)
    _surround(app, services)
    return app


def _surround(app: Api, services: Services) -> None:
    """Add what every request passes, the innermost first.

    The Host is checked as it came and, behind a proxy, as the proxy says it was: a page whose name
    was rebound to this machine can send a proxy's headers too.
    """
    settings = services.settings
    largest = dict.fromkeys(WITH_FILES, settings.max_upload + FORM)
    pictures = max(settings.max_body, min(PICTURES, settings.max_upload))
    limits = BodyLimits(settings.max_body, largest | dict.fromkeys(WITH_PICTURES, pictures))
    app.add_middleware(HeadRequests)
    app.add_middleware(BodyLimit, limits=limits)
    if settings.allowed_origins:
        app.add_middleware(Cors, allowed=settings.allowed_origins)
    app.add_middleware(Origins, allowed=settings.allowed_origins)
    if settings.keys_file is None:
        app.add_middleware(Hosts, allowed=settings.allowed_hosts)
    if settings.trusted_proxies:
        app.add_middleware(Proxies, trusted=settings.trusted_proxies)
        if settings.keys_file is None:
            app.add_middleware(Hosts, allowed=settings.allowed_hosts)
    app.add_middleware(RequestContext, metrics=services.metrics)
    if settings.sdapi:
        app.add_middleware(DialectErrors, paths=sdapi_route.PATHS, translate=sdapi_route.translated)
    app.add_middleware(
        DialectErrors, paths=message_errors.PATHS, translate=message_errors.translated
    )


class Server(uvicorn.Server):
    """Holds connections to their limits, and ends the streams that would otherwise keep a
    stopping server waiting."""

    def __init__(self, app: Api, settings: Settings) -> None:
        self._services: Services = app.state.services
        self._connections = Connections(
            ConnectionLimits(
                affordable(settings.max_connections),
                settings.header_timeout,
                settings.body_timeout,
            )
        )
        config = uvicorn.Config(
            app,
            http=self._connections.protocol,
            ws="none",
            backlog=BACKLOG,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # app/http/proxies.py
            timeout_graceful_shutdown=10,
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            self._connections.tick(1.0)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._services.notifier.close()
        await super().shutdown(sockets)


def exposure(settings: Settings) -> str | None:
    """What is wrong with binding where the settings say, if anything is."""
    if settings.keys_file is not None:
        readable = settings.keys_file.is_file() and Keys(settings.keys_file).read()
        return None if readable else "ATELIER_KEYS_FILE names no file with a key in it"
    if settings.host == "localhost":
        return None
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    if loopback:
        return None
    return (
        f"to bind {settings.host or 'every address'}, which others can reach, set keys: "
        "`atelier keys new NAME` and ATELIER_KEYS_FILE"
    )


def read_served_settings() -> Settings:
    """The settings of the environment. Raises Misconfigured where they can't be served."""
    settings = read_settings()
    if problem := exposure(settings):
        raise Misconfigured(problem)
    return settings


def check_aliases(services: Services) -> None:
    """Raises Misconfigured for an alias of no model, or one that has a model's name.

    Blocks: it looks at the checkpoints. One whose file can't be used counts as a model.
    """
    if services.settings.aliases:
        services.catalog.scan()
        if problem := services.catalog.problem_of_aliases():
            raise Misconfigured(f"ATELIER_ALIASES: {problem}")


def main() -> None:
    """Serve until a signal comes; exit code 78 where the settings can't be served."""
    try:
        settings = read_served_settings()
        log.configure(settings.log_level)
        parent_watch.watch()
        app = create_app(settings)
        check_aliases(app.state.services)
        check_credentials(settings)
        server = Server(app, settings)
    except Misconfigured as error:
        print(f"atelier: {error}", file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None
    server.run()


if __name__ == "__main__":
    main()
