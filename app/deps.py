"""What routes depend on: the parts of the service, and who is asking."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth import METRICS, MODELS, Key
from app.catalog.catalog import Catalog
from app.core.settings import Settings
from app.files.artifact_store import ArtifactStore
from app.queue.notifications import Notifier
from app.queue.queue import Queue
from app.services import Services
from app.sessions import COOKIE


async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_settings(services: ServicesDep) -> Settings:
    return services.settings


async def get_queue(services: ServicesDep) -> Queue:
    return services.queue


async def get_notifier(services: ServicesDep) -> Notifier:
    return services.notifier


async def get_store(services: ServicesDep) -> ArtifactStore:
    return services.store


async def get_catalog(services: ServicesDep) -> Catalog:
    """The models, as the folder of checkpoints has them now."""
    await services.catalog.refresh()
    return services.catalog


async def get_key(request: Request, services: ServicesDep) -> Key:
    """Returns the key that the request has, or that began its session. Raises Unauthenticated.

    A session counts for reading only, and an Authorization header wins over it.
    """
    authorization = request.headers.get("authorization")
    cookie = request.cookies.get(COOKIE)
    reads = request.method == "GET"  # HEAD is GET here: app/http/middleware.py
    if services.keys.required and authorization is None and cookie is not None and reads:
        session = await services.sessions.read(cookie)
        key = session.key
        request.state.session = session
    else:
        key = services.keys.key_of(authorization)
    request.state.owner = key.name
    return key


KeyDep = Annotated[Key, Depends(get_key)]


async def get_owner(key: KeyDep) -> str:
    """Returns whose jobs and files are asked for or made. Raises Unauthenticated."""
    return key.name


async def check_metrics_scope(key: KeyDep) -> None:
    """Raises Unauthenticated, and Forbidden for a key that may not read everybody's figures."""
    key.require(METRICS)


async def check_models_scope(key: KeyDep) -> None:
    """Raises Unauthenticated, and Forbidden for a key that may not load and unload models."""
    key.require(MODELS)


SettingsDep = Annotated[Settings, Depends(get_settings)]
QueueDep = Annotated[Queue, Depends(get_queue)]
NotifierDep = Annotated[Notifier, Depends(get_notifier)]
StoreDep = Annotated[ArtifactStore, Depends(get_store)]
CatalogDep = Annotated[Catalog, Depends(get_catalog)]
OwnerDep = Annotated[str, Depends(get_owner)]
