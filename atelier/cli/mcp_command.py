"""`atelier mcp`: the service's tools for programs that start their servers themselves."""

import asyncio

from atelier.cli.options import ApiKey, Url
from atelier.cli.output import fail


def mcp(url: Url = None, api_key: ApiKey = None) -> None:
    """Offer a running service's tools to an agent, by the Model Context Protocol on stdio."""
    try:
        from atelier.cli.mcp_bridge import Unreachable, serve_stdio
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("mcp"):
            raise
        raise fail("pip install 'atelier-service[mcp]' brings what this command needs") from None
    from atelier.client.drivers import LOCAL

    address = url or LOCAL
    try:
        asyncio.run(serve_stdio(address, api_key))
    except Unreachable as error:
        raise fail(f"{address} can't be used: {error}") from None
    except KeyboardInterrupt:
        raise fail("stopped", 130) from None
