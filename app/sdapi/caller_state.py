"""What the web UI keeps for its one user, kept here for each owner: a checkpoint, the last job."""

from dataclasses import dataclass
from typing import Any

from app.catalog.catalog import CatalogEntry
from app.core.errors import NotFound
from app.core.schemas import TERMINAL, Job
from app.openai.images.request import picture_model
from app.services import Services
from models.modalities import MODALITIES

KEPT_SECONDS = 30 * 86_400
"""Seconds that a choice outlives its last use."""


@dataclass(frozen=True)
class CallerState:
    """The choices of one owner, in Redis: every API process knows them."""

    services: Services
    owner: str

    @property
    def _key(self) -> str:
        return f"atelier:sdapi:{self.owner}"

    async def entry(self) -> CatalogEntry:
        """Returns the chosen model, or the default one where it is gone. Raises NotFound."""
        chosen: Any = await self.services.queue.connection.hget(self._key, "model")
        if chosen and (entry := self.services.catalog.entries.get(str(chosen))):
            return entry
        return self.services.catalog.find(self.services.settings.default_model("text-to-image"))

    async def choose(self, title: str) -> None:
        """Keeps a model's choice. Raises NotFound, as `model_of_title`."""
        entry = model_of_title(self.services, title)
        await self._keep("model", entry.id)

    async def begin(self, job: Job) -> None:
        """Notes the job that `progress` and `interrupt` mean from now on."""
        await self._keep("job", job.id)

    async def job(self) -> Job | None:
        """Returns the last job if it still runs or waits."""
        job_id: Any = await self.services.queue.connection.hget(self._key, "job")
        if not job_id:
            return None
        try:
            job = await self.services.queue.fetch(self.owner, str(job_id))
        except NotFound:
            return None
        return None if job.status in TERMINAL else job

    async def _keep(self, field: str, value: str) -> None:
        connection = self.services.queue.connection
        async with connection.pipeline(transaction=True) as pipe:
            pipe.hset(self._key, field, value)
            pipe.expire(self._key, KEPT_SECONDS)
            await pipe.execute()


def picture_models(services: Services) -> list[CatalogEntry]:
    """Returns the models of pictures, those that read a prompt first."""
    entries = [x for _, x in services.catalog.of() if MODALITIES[x.family.modality].has_pictures]
    return sorted(entries, key=lambda entry: (entry.family.modality != "text-to-image", entry.id))


def model_of_title(services: Services, title: str) -> CatalogEntry:
    """Returns the model of a title, an id, an alias or a hash. Raises NotFound."""
    for entry in picture_models(services):
        short = entry.sha256[:10]
        if title in (entry.id, short, entry.sha256, f"{entry.id} [{short}]"):
            return entry
    try:
        return picture_model(services.catalog, title)
    except NotFound as error:
        raise NotFound(error.message, code=error.code, param="sd_model_checkpoint") from None
