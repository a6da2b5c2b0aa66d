"""/v1/models: what can be asked for, in OpenAI's shape; and a base URL for chats alone.

A chat front end offers every model that the list has. `/text/v1` is a base URL whose list has the
models that write text and whose routes are those that they answer.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from app.catalog.catalog import CatalogEntry
from app.core.schemas import ModalityName, OpenAIModel, OpenAIModelList
from app.deps import CatalogDep, OwnerDep
from app.http.openapi_examples import errors, reply
from app.http.responses import json_reply
from app.openai.text import routes as openai_text
from app.routes.models import ModelId

router = APIRouter(tags=["openai"])
text_only = APIRouter(prefix="/text", include_in_schema=False)

EXAMPLE: dict[str, Any] = {
    "id": "vae-fashion",
    "object": "model",
    "created": 1790000000,
    "owned_by": "atelier",
    "modality": "image",
    "alias_of": None,
}
OfModality = Annotated[
    ModalityName | None, Query(description="Only models that make this.", examples=["story"])
]


@router.get(
    "/v1/models",
    summary="List models, as OpenAI does",
    response_model=OpenAIModelList,
    responses={
        200: reply("The models.", {"object": "list", "data": [EXAMPLE]}),
        **errors(401, 422),
    },
)
async def list_models_openai(
    owner: OwnerDep, catalog: CatalogDep, modality: OfModality = None
) -> Response:
    """The same models in the shape that OpenAI's clients read, or those of one modality; then the
    aliases."""
    named = [*catalog.of(modality), *catalog.aliases_of(modality)]
    return json_reply(OpenAIModelList(data=[_openai(i, x) for i, x in named]))


@router.get(
    "/v1/models/{model_id}",
    summary="Look at a model, as OpenAI does",
    response_model=OpenAIModel,
    responses={200: reply("The model.", EXAMPLE), **errors(401, 404)},
)
async def get_model_openai(owner: OwnerDep, catalog: CatalogDep, model_id: ModelId) -> Response:
    """One model in the shape that OpenAI's clients read."""
    return json_reply(_openai(model_id, catalog.find(model_id)))


@text_only.get("/v1/models")
async def list_text_models(owner: OwnerDep, catalog: CatalogDep) -> Response:
    """The models that write text."""
    return await list_models_openai(owner, catalog, "story")


@text_only.get("/v1/models/{model_id}")
async def get_text_model(owner: OwnerDep, catalog: CatalogDep, model_id: ModelId) -> Response:
    """A model that writes text."""
    return json_reply(_openai(model_id, catalog.find(model_id, "story")))


text_only.include_router(openai_text.router)


def _openai(name: str, entry: CatalogEntry) -> OpenAIModel:
    return OpenAIModel(
        id=name,
        created=entry.file.modified,
        modality=entry.family.modality,
        alias_of=None if name == entry.id else entry.id,
    )
