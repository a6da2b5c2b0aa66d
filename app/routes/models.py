"""/models: what can be asked for, and how it stands."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from app.core.schemas import ModelCard, ModelList
from app.deps import CatalogDep, OwnerDep, QueueDep, check_models_scope
from app.http.compression import compressed
from app.http.openapi_examples import SHA256, errors, reply
from app.http.responses import json_reply
from app.operations.model_loading import load_model, unload_model

router = APIRouter(tags=["models"])

ModelId = Annotated[str, Path(description="The id of a model.", examples=["vae-fashion"])]
CARD_EXAMPLE: dict[str, Any] = {
    "id": "vae-fashion",
    "object": "model",
    "modality": "image",
    "family": "vae",
    "title": "Clothes, by a variational autoencoder",
    "description": "Draws pieces of clothing, 28 by 28 pixels.",
    "limitations": "Soft edges; grey only.",
    "state": "ready",
    "progress": None,
    "determinism": "bitwise",
    "params": {"type": "object", "properties": {"temperature": {"type": "number"}}},
    "labels": [],
    "attributes": [],
    "samplers": [],
    "process": {"likelihood": "bernoulli"},
    "sha256": SHA256,
    "bytes": 1204224,
    "memory_bytes": 1204224,
    "licence": "MIT",
    "data": "Fashion-MNIST",
    "data_licence": "MIT",
    "recipe": {"epochs": 20},
    "quality": {"elbo": -236.1},
    "sample": {"url": "/models/vae-fashion/sample", "content_type": "image/webp"},
}


@router.get(
    "/models",
    summary="List models",
    response_model=ModelList,
    responses={
        200: reply("The models.", {"object": "list", "data": [CARD_EXAMPLE]}),
        **errors(401, 503),
    },
)
async def list_models(
    request: Request, owner: OwnerDep, catalog: CatalogDep, queue: QueueDep
) -> Response:
    """Every model that can be asked for: its card, its parameters, and whether it is loaded.

    A model in state `importing` takes requests already: its jobs wait."""
    leases = await queue.leases()
    cards = [catalog.card(entry, leases) for _, entry in catalog.of()]
    return compressed(request, json_reply(ModelList(data=cards)))


@router.get(
    "/models/{model_id}",
    summary="Look at a model",
    response_model=ModelCard,
    responses={200: reply("Its card.", CARD_EXAMPLE), **errors(401, 404, 503)},
)
async def get_model(
    owner: OwnerDep, catalog: CatalogDep, queue: QueueDep, model_id: ModelId
) -> Response:
    """The card of one model. A file that can't be used is 404, with the reason."""
    entry = catalog.find(model_id)
    leases = await queue.leases()
    return json_reply(catalog.card(entry, leases))


@router.post(
    "/models/{model_id}/load",
    summary="Load a model",
    status_code=202,
    response_model=ModelCard,
    responses={
        202: reply("A worker has it, or will.", {**CARD_EXAMPLE, "state": "loading"}),
        **errors(401, 403, 404, 409, 503),
    },
    dependencies=[Depends(check_models_scope)],
)
async def load_a_model(catalog: CatalogDep, queue: QueueDep, model_id: ModelId) -> Response:
    """Has a worker load the model before a job needs it; nothing where one has it or loads it.

    Of the workers that have its file, the one with the most memory free loads it, in the place of
    idle models if need be. It waits while models with items in flight take the room. Poll the
    card: its `state` is `loading`, and then `ready` or `failed`. Needs the scope `models`.
    """
    entry = catalog.find(model_id)
    await load_model(queue, entry)
    return json_reply(catalog.card(entry, await queue.leases()), 202)


@router.post(
    "/models/{model_id}/unload",
    summary="Unload a model",
    status_code=202,
    response_model=ModelCard,
    responses={
        202: reply("No worker keeps it.", {**CARD_EXAMPLE, "state": "unloaded"}),
        **errors(401, 403, 404, 503),
    },
    dependencies=[Depends(check_models_scope)],
)
async def unload_a_model(catalog: CatalogDep, queue: QueueDep, model_id: ModelId) -> Response:
    """Has every worker free the model's memory; nothing where none has it.

    A worker with items of it in flight finishes them first, and starts no other job of it
    meanwhile. Jobs that wait load it again. Needs the scope `models`.
    """
    entry = catalog.find(model_id)
    await unload_model(queue, entry)
    return json_reply(catalog.card(entry, await queue.leases()), 202)
