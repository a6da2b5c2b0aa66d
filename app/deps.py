"""What routes ask for: the services of the app, and who is asking."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth import METRICS
from app.services import Services


async def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def owner_of(request: Request) -> str:
    """The owner of what is asked for or made. Raises Unauthenticated."""
    services: Services = request.app.state.services
    owner = services.keys.owner(request.headers.get("authorization"))
    request.state.owner = owner
    return owner


async def metrics_reader_of(request: Request) -> None:
    """Raises Unauthenticated, and Forbidden for a key that may not read everybody's figures."""
    services: Services = request.app.state.services
    services.keys.require(request.headers.get("authorization"), METRICS)


Has = Annotated[Services, Depends(services_of)]
Owner = Annotated[str, Depends(owner_of)]
