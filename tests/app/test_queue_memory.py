"""A server that is nearly full takes no more jobs, and ends those that it has."""

import httpx
import redis

from tests.app.queue.test_jobs import make
from tests.app.test_generate import URL, error_of
from tests.app.working import Worker

KEY = {"Idempotency-Key": "k"}


def test_no_job_is_accepted_near_the_limit_and_those_in_flight_end(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    waiting, going = make(api, 2)
    first = api.post(URL, json={}, headers=KEY)
    worker.claim()
    used = int(connection.info("memory")["used_memory"])
    connection.config_set("maxmemory", int(used / 0.92))
    try:
        refused = api.post(URL, json={})
        assert (refused.status_code, error_of(refused)["code"]) == (503, "queue_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        again = api.post(URL, json={}, headers=KEY)
        assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
        worker.finish(going)
        assert api.post(f"/jobs/{waiting}/cancel").status_code == 200
        worker.finish(waiting)
        assert api.get(f"/jobs/{going}").json()["status"] == "completed"
        assert api.get(f"/jobs/{waiting}").json()["status"] == "canceled"
    finally:
        connection.config_set("maxmemory", 0)
    assert api.post(URL, json={}).status_code == 202
