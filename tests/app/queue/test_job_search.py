"""GET /jobs by model, words and dates: as a naive filter finds them, with bounded work."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from app.core.job_record import job_key
from app.core.settings import Settings
from app.queue.job_search import MOST_EXAMINED, split_terms
from app.queue.jobs import Jobs, NewJob
from tests.app.serving import Running
from tests.app.test_generate import error_of
from tests.app.working import Worker

START = 1_790_000_000  # when the first of these jobs was created


def write_jobs(
    connection: "redis.Redis", settings: Settings, inputs: list[dict[str, Any]], model: str = "m"
) -> list[str]:
    """Records by the queue's own script, as if a second lay between them.

    Jobs of one millisecond sort by chance, so their fields are written once their order is known.
    """
    jobs = Jobs(connection, settings.model_copy(update={"queue_limit": 10**6}))
    new = NewJob("local", "image", model, "ab" * 32, {"n": 1}, 1, 1, {})
    ids = sorted(jobs.submit(new).job.id for _ in inputs)
    with connection.pipeline() as pipe:
        for number, job in enumerate(ids):
            fields = {"n": 1, "seed": 1, "output_format": "png", **inputs[number]}
            created = f"{START + number}.250000"
            pipe.hset(job_key(job), mapping={"input": json.dumps(fields), "created": created})
        pipe.execute()
    return ids


def pages(api: httpx.Client, **query: Any) -> Iterator[dict[str, Any]]:
    more = True
    while more:
        answer = api.get("/jobs", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield page
        more, query["after"] = page["has_more"], page["last_id"]


def ids_of(api: httpx.Client, **query: Any) -> list[str]:
    return [job["id"] for page in pages(api, **query) for job in page["data"]]


PROMPTS: list[dict[str, Any]] = [
    {"prompt": "a red Apple"},
    {"prompt": "a green apple", "negative_prompt": "red"},
    {"messages": [{"role": "user", "content": "Apple pie,\nplease"}]},
    {"theme": "STRASSE am Meer", "title": "红苹果"},
    {"texts": ["one", "two apples"], "class_label": "Bag"},
    {"prompt": None, "seed": 7},
]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("apple", [0, 1, 2, 4]),
        ("APPLE red", [0, 1]),
        ("red   apple  red", [0, 1]),
        ("pie, please", [2]),
        ("user", [2]),
        ("straße", [3]),
        ("苹果", [3]),
        ("two bag", [4]),
        ("applebag", []),
        ("prompt", []),  # the name of a field is no text of the job
        ("output_format", []),
    ],
)
def test_all_words_must_occur_in_the_texts(
    running: Running, connection: "redis.Redis", settings: Settings, query: str, numbers: list[int]
) -> None:
    jobs = write_jobs(connection, settings, PROMPTS)
    assert ids_of(running.client, q=query, order="asc") == [jobs[i] for i in numbers]
    assert ids_of(running.client, q=query, limit=1) == [jobs[i] for i in reversed(numbers)]


def test_titles_and_texts_of_outputs_are_searched(
    running: Running, connection: "redis.Redis", settings: Settings, worker: Worker
) -> None:
    first, second = write_jobs(connection, settings, [{}, {}])
    worker.claim()
    file = {"sha256": "cd" * 32, "content_type": "text/plain", "bytes": 9}
    worker.finish(first, output={**file, "title": "The Keeper", "text": "It was night."})
    worker.finish(second, output=file)
    assert ids_of(running.client, q="keeper NIGHT") == [first]
    assert ids_of(running.client, q="plain") == []
    assert ids_of(running.client, q="keeper", status="completed", type="image") == [first]
    assert ids_of(running.client, q="keeper", status="queued") == []


def test_a_model_is_named_exactly(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    first = write_jobs(connection, settings, [{"prompt": "apple"}], model="t2i")
    second = write_jobs(connection, settings, [{"prompt": "apple"}], model="t2i-emoji")
    assert ids_of(running.client, model="t2i") == first
    assert ids_of(running.client, model="t2i-emoji", q="apple") == second
    assert ids_of(running.client, model="t2") == []


def test_dates_are_inclusive_and_exclusive(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    """Of every pair of dates, as a naive filter finds them."""
    jobs = write_jobs(connection, settings, [{"prompt": str(i % 2)} for i in range(7)])
    dates = [None, 0, START, START + 3, START + 7]
    for after in dates:
        for before in dates:
            wanted = {"created_after": after, "created_before": before}
            query = {name: date for name, date in wanted.items() if date is not None}
            expected = [
                job
                for i, job in enumerate(jobs)
                if (after is None or START + i >= after) and (before is None or START + i < before)
            ]
            assert ids_of(running.client, **query, order="asc", limit=2) == expected
            assert ids_of(running.client, **query, limit=3) == expected[::-1]
            odd = [job for job in expected if jobs.index(job) % 2]
            assert ids_of(running.client, **query, q="1", type="image") == odd[::-1]


def test_a_cursor_before_the_dates_begins_with_them(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    jobs = write_jobs(connection, settings, [{} for _ in range(4)])
    api, since = running.client, START + 2
    assert ids_of(api, created_after=since, after=jobs[0], order="asc") == jobs[2:]
    assert ids_of(api, created_after=since, after=jobs[2], order="asc") == jobs[3:]
    assert ids_of(api, created_before=since, after=jobs[3]) == jobs[1::-1]
    assert ids_of(api, created_before=since, after=jobs[1]) == jobs[:1]


def test_one_request_examines_a_bounded_number(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    """A page can be empty while there is more, and its cursor goes on from there."""
    inputs = [{"prompt": "dull"} for _ in range(MOST_EXAMINED + 20)]
    jobs = write_jobs(connection, settings, [{"prompt": "rare"}, *inputs, {"prompt": "rare"}])
    first, second = pages(running.client, q="rare", limit=100)
    assert [job["id"] for job in first["data"]] == [jobs[-1]]
    assert (first["has_more"], first["last_id"]) == (True, jobs[-MOST_EXAMINED])
    assert [job["id"] for job in second["data"]] == [jobs[0]]
    assert (second["has_more"], second["last_id"]) == (False, jobs[0])
    empty, _ = pages(running.client, q="nowhere", status="queued")
    assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, True)


def copy_job(connection: "redis.Redis", job: str, count: int) -> None:
    """So many jobs more, which differ in their ids alone."""
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    ids = ["".join(letters[i // 32**k % 32] for k in (2, 1, 0)) for i in range(count)]
    indexes = ("atelier:jobs:local", "atelier:jobs:local:image:queued")
    with connection.pipeline(transaction=False) as pipe:
        for copied in {f"{job[:-3]}{text}" for text in ids} - {job}:
            pipe.copy(job_key(job), job_key(copied))
            for index in indexes:
                pipe.zadd(index, {copied: 0})
        pipe.execute()


def test_a_page_costs_as_much_of_ten_thousand_jobs_as_of_few(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    """In commands of the server; a date costs one for each halving of the list."""
    (job,) = write_jobs(connection, settings, [{"prompt": "apple"}])

    def calls(command: str, **query: Any) -> int:
        connection.config_resetstat()
        running.client.get("/jobs", params=query).raise_for_status()
        return int(connection.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))

    for count in (150, 10_000):
        copy_job(connection, job, count)
        assert calls("hgetall", limit=100) == 100
        assert calls("hgetall", limit=100, status="queued") == 100
    assert calls("hmget", q="nowhere") <= MOST_EXAMINED + 100  # the clock has some, too
    assert calls("hget", created_after=START + 1) <= 20


def test_large_records_end_a_request_sooner(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    jobs = write_jobs(connection, settings, [{"prompt": str(i)} for i in range(40)])
    texts = json.dumps([{"text": "x" * 1000} for _ in range(200)])
    for job in jobs[1:]:
        connection.hset(job_key(job), "outputs", texts)
    first, *others = pages(running.client, model="m", q="nowhere")
    assert first["has_more"]
    assert all(page["data"] == [] for page in (first, *others))
    assert ids_of(running.client, q="0", limit=1)[-1] == jobs[0]


def test_a_record_that_can_not_be_read_matches_nothing(
    running: Running, connection: "redis.Redis", settings: Settings
) -> None:
    jobs = write_jobs(connection, settings, [{"prompt": "apple"} for _ in range(4)])
    connection.hset(job_key(jobs[0]), "input", "{apple")
    connection.hset(job_key(jobs[1]), "outputs", '["apple"]')
    connection.delete(job_key(jobs[2]))
    assert ids_of(running.client, q="apple") == [jobs[3]]
    assert ids_of(running.client, model="m") == [jobs[3], jobs[1], jobs[0]]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("q=", "q"),
        ("q=%20", "q"),
        (f"q={'x' * 201}", "q"),
        ("q=" + "+".join("abcdefghijklmnopq"), "q"),
        ("model=", "model"),
        ("created_after=-1", "created_after"),
        ("created_after=today", "created_after"),
        (f"created_before={2**53}", "created_before"),
    ],
)
def test_a_bad_search_is_named(running: Running, query: str, param: str) -> None:
    answer = running.client.get(f"/jobs?{query}")
    assert answer.status_code == 422
    assert error_of(answer)["param"] == param


def test_words_count_once() -> None:
    assert split_terms("A b  a\tC") == ("a", "b", "c")
