"""/mcp: the tools, by the protocol's streamable HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.deps import OwnerDep
from app.mcp.endpoint import McpEndpoint, McpResponse

router = APIRouter(include_in_schema=False)


async def get_endpoint(request: Request) -> McpEndpoint:
    endpoint: McpEndpoint = request.app.state.mcp
    return endpoint


EndpointDep = Annotated[McpEndpoint, Depends(get_endpoint)]


@router.post("/mcp")
async def serve_mcp(request: Request, owner: OwnerDep, endpoint: EndpointDep) -> Response:
    """Answers a message of the protocol, for the owner of the key.

    There is no stream beside the answers (GET) and no session to end (DELETE): both are 405, as
    the protocol has it.
    """
    return McpResponse(await endpoint.manager(), request)
