"""/jobs: look, list, cancel, delete."""

import httpx
import pytest
import redis

from models.modalities import MODALITIES
from tests.app.serving import Running
from tests.app.test_generate import error_of
from tests.app.working import Worker

BAD_IDS = [
    "nope",
    "job_",
    "job_" + "0" * 25,
    "job_" + "0" * 27,
    "job_" + "U" * 26,
    "job_01M85PV44XW7J92MH8M7JRKTG8%0A",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "a%00b",
    "%ff%fe",
    "%C3%A9",
    "job_*",
    "a" * 4000,
]


def make(api: httpx.Client, count: int = 1) -> list[str]:
    return [api.post("/generate/image", json={"seed": i}).json()["id"] for i in range(count)]


@pytest.mark.parametrize("verb", ["GET /jobs/{}", "DELETE /jobs/{}", "POST /jobs/{}/cancel"])
def test_an_id_of_no_job_is_not_found(running: Running, verb: str) -> None:
    method, path = verb.split()
    for job in [*BAD_IDS, "job_" + "0" * 26]:
        answer = running.client.request(method, path.format(job))
        assert answer.status_code == 404, job
        assert error_of(answer)["code"] in ("job_not_found", "not_found")


def test_a_job_is_looked_at_as_it_goes(api: httpx.Client, worker: Worker) -> None:
    (job,) = make(api)
    assert api.get(f"/jobs/{job}").json()["queue_position"] == 0
    worker.claim()
    worker.progress(job, 1, 4)
    active = api.get(f"/jobs/{job}")
    assert active.json()["status"] == "in_progress"
    assert active.json()["progress"] == {"value": 0.25, "step": 1, "steps": 4}
    assert active.headers["retry-after"] == "1"
    worker.finish(job)
    ended = api.get(f"/jobs/{job}")
    assert ended.json()["status"] == "completed"
    assert ended.json()["determinism"] == "bitwise"
    assert "retry-after" not in ended.headers


def test_a_job_that_has_not_changed_is_304(api: httpx.Client, worker: Worker) -> None:
    (job,) = make(api)
    tag = api.get(f"/jobs/{job}").headers["etag"]
    for etags in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = api.get(f"/jobs/{job}", headers={"If-None-Match": etags})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    worker.claim()
    assert api.get(f"/jobs/{job}", headers={"If-None-Match": tag}).status_code == 200


def test_canceling_is_idempotent(api: httpx.Client, worker: Worker) -> None:
    waiting, going, ended = make(api, 3)
    assert api.post(f"/jobs/{waiting}/cancel").json()["status"] == "canceled"
    assert api.post(f"/jobs/{waiting}/cancel").json()["status"] == "canceled"
    worker.claim()
    worker.finish(ended)
    assert api.post(f"/jobs/{ended}/cancel").json()["status"] == "completed"
    assert api.post(f"/jobs/{going}/cancel").json()["status"] == "canceling"
    answer = api.post(f"/jobs/{going}/cancel")
    assert answer.json()["status"] == "canceling"
    assert answer.headers["retry-after"] == "1"
    worker.finish(going)
    assert api.get(f"/jobs/{going}").json()["status"] == "canceled"


def test_a_deleted_job_is_gone(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    waiting, going, ended = make(api, 3)
    worker.claim()
    worker.finish(ended)
    for job in (waiting, going, ended):
        answer = api.delete(f"/jobs/{job}")
        assert answer.json() == {"id": job, "object": "job.deleted", "deleted": True}
        assert api.delete(f"/jobs/{job}").status_code == 404
        assert api.get(f"/jobs/{job}").status_code == 404
    assert api.get("/jobs").json()["data"] == []
    assert connection.zcard("atelier:jobs:local") == 0


def test_a_failed_job_says_why(api: httpx.Client, worker: Worker) -> None:
    (job,) = make(api)
    worker.claim()
    worker.finish(job, "failed")
    seen = api.get(f"/jobs/{job}").json()
    assert seen["status"] == "failed"
    assert seen["error"]["code"] == "out_of_memory"


@pytest.mark.slow
def test_pages_hold_every_job_once_in_both_orders(running: Running, worker: Worker) -> None:
    api, jobs = running.client, make(running.client, 250)
    for order, expected in (("asc", sorted(jobs)), ("desc", sorted(jobs, reverse=True))):
        seen: list[str] = []
        more, after = True, {}
        while more:
            page = api.get("/jobs", params={"limit": 100, "order": order, **after}).json()
            seen += [j["id"] for j in page["data"]]
            assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], seen[-1])
            more, after = page["has_more"], {"after": page["last_id"]}
        assert seen == expected


def test_lists_are_filtered_by_status_and_type(api: httpx.Client, worker: Worker) -> None:
    first, second, third = make(api, 3)
    api.post(f"/jobs/{second}/cancel")
    worker.claim()
    worker.finish(first)

    def ids(**params: str) -> list[str]:
        return [j["id"] for j in api.get("/jobs", params=params).json()["data"]]

    assert ids(status="completed") == [first]
    assert ids(status="canceled", type="image") == [second]
    assert ids(status="in_progress") == [third]
    assert ids(type="image", order="asc") == [first, second, third]
    assert ids(status="queued") == []
    assert ids(status="completed", after=first) == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("status=done", "status"),
        ("type=song", "type"),
        ("type=text", "type"),  # a modality that no route makes
        ("after=nope", "after"),
        ("after=", "after"),
        ("page=2", "page"),
    ],
)
def test_a_bad_query_is_named(running: Running, query: str, param: str) -> None:
    answer = running.client.get(f"/jobs?{query}")
    assert answer.status_code == 422
    assert error_of(answer)["param"] == param


def test_there_is_a_type_of_job_for_every_route_that_makes_something(api: httpx.Client) -> None:
    for modality in MODALITIES:
        assert api.get("/jobs", params={"type": modality}).status_code == 200
    parameters = api.get("/openapi.json").json()["paths"]["/jobs"]["get"]["parameters"]
    (schema,) = [p["schema"] for p in parameters if p["name"] == "type"]
    assert schema["anyOf"][0]["enum"] == list(MODALITIES)


def test_an_empty_list_has_no_ends(api: httpx.Client) -> None:
    assert api.get("/jobs").json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
