"""The service, really started, by a real client: answers, refusals, load, and killed workers."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vae_lib import AnomalyDetector, data

HERE = Path(__file__).parent
PNG, JSON = "image/png", "application/json"


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Forty digits of uint8, (40, 28, 28)."""
    images = data.split("mnist-5k", normal=3, seed=0).test.items[::25]
    return np.round(255 * images[..., 0]).astype("uint8")


def png(picture: np.ndarray, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def serve(start, detector_file, tmp_path):
    """Start the service with some workers; returns its process and a client."""
    clients = []

    def run(workers: int = 1, **environment: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        metrics = tmp_path / f"metrics{port}"
        metrics.mkdir()
        command = f"-m uvicorn app:app --port {port} --workers {workers} --log-level warning"
        process = start(
            HERE,
            *command.split(),
            "--timeout-graceful-shutdown=10",
            **{"DETECTOR": str(detector_file), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
            | environment,
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        clients.append(client)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if client.get("/health").status_code == 200:
                    return process, client
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError("it did not start")

    yield run
    for client in clients:
        client.close()


def post(client: httpx.Client, content: bytes | str, kind: str = PNG) -> httpx.Response:
    return client.post("/score", content=content, headers={"Content-Type": kind})


def text(items: object) -> str:
    return json.dumps({"items": items})


ITEM = np.zeros((28, 28, 1)).tolist()
BAD = {  # body, Content-Type, status, word of the sentence
    "nothing": (b"", PNG, 422, "empty"),
    "no picture": (b"hello", PNG, 422, "cannot be read"),
    "half a picture": (lambda p: png(p)[:100], PNG, 422, "cannot be read"),
    "a GIF called PNG": (lambda p: png(p, "GIF"), PNG, 422, "cannot be read"),
    "another size": (lambda p: png(p[:20]), PNG, 422, "20 pixels high and 28 wide"),
    "a large picture": (lambda p: png(np.tile(p, (9, 9))), PNG, 422, "252 pixels high"),
    "too many bytes": (b"x" * 1_000_001, PNG, 413, "more than 1000000 bytes"),
    "another type": (b"x", "text/plain", 415, "text/plain"),
    "no type": (b"x", "", 415, "Content-Type is ''"),
    "no JSON": ("{", JSON, 422, "no JSON"),
    "no object": ("[1]", JSON, 422, "items"),
    "no items": ('{"images": []}', JSON, 422, "items"),
    "items that are none": ('{"items": 3}', JSON, 422, "items"),
    "no item": (text([]), JSON, 422, "shape (0,)"),
    "texts": (text([["a"]]), JSON, 422, "dtype <U1"),
    "nulls": (text([[None]]), JSON, 422, "dtype object"),
    "bools": (text([[True]]), JSON, 422, "dtype bool"),
    "unequal rows": (text([[1], [1, 2]]), JSON, 422, "unequal"),
    "another shape": (text([[0.5] * 784]), JSON, 422, "shape (1, 784)"),
    "NaN": (text([ITEM]).replace("0.0", "NaN", 1), JSON, 422, "NaN or infinite"),
    "levels": (text((np.array([ITEM]) + 200).tolist()), JSON, 422, "divide by 255"),
    "too many items": (text([0] * 65), JSON, 422, "64 at most"),
    "a deep nest": ("[" * 100_000, JSON, 422, "no JSON"),
    "bytes that are no text": (b"\xff\xfe\x00", JSON, 422, "no JSON"),
}


def test_answers_and_refusals(serve, pictures, detector_file):
    """One start for all of it, since a start takes seconds."""
    _, client = serve()
    detector = AnomalyDetector.load(detector_file)
    items = pictures[..., None] / np.float32(255)
    expected = [detector.score(items), detector.p_value(items), detector.is_anomaly(items)]
    whole = post(client, text(items.tolist()), JSON).json()
    single = [post(client, png(p)).json()["results"][0] for p in pictures]
    for results in (whole["results"], single):
        for name, values in zip(("score", "p_value", "is_anomaly"), expected, strict=True):
            np.testing.assert_allclose([r[name] for r in results], values, rtol=1e-6)
    version = client.get("/version").json()
    assert version["detector"] == whole["version"] and version["score"] == "relative"

    for name, (body, kind, status, word) in BAD.items():
        answer = post(client, body(pictures[0]) if callable(body) else body, kind)
        assert answer.status_code == status, name
        sentence = answer.json()["error"]
        assert word in sentence and "/" not in sentence.replace(kind, "").replace(
            "image/jpeg", ""
        ).replace("image/png", "").replace("application/json", ""), (name, sentence)
        assert "Traceback" not in answer.text and len(answer.text) < 600, name
    with socket.create_connection((client.base_url.host, client.base_url.port)) as half:
        head = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
        half.sendall(head + b"Content-Length: 99\r\n\r\nhalf")  # and goes away
    assert client.get("/score").status_code == 405
    assert client.get("/nothing").status_code == 404
    assert client.get("/health").json() == {"status": "ok"}

    lines = client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['detector_requests_total{status="200"}']) == 41
    refused = sum(status == 422 for _, _, status, _ in BAD.values())
    assert float(values['detector_requests_total{status="422"}']) == refused
    assert 'detector_requests_total{status="500"}' not in values
    anomalies = float(values['detector_items_total{decision="anomaly"}'])
    assert anomalies == 2 * expected[2].sum()
    assert float(values["detector_seconds_count"]) == 41


def test_rows_of_a_table(serve, tmp_path):
    random = np.random.RandomState(0)
    table = pd.DataFrame({"load": random.normal(size=90), "kind": np.resize(["a", "b"], 90)})
    detector = AnomalyDetector(false_alarm_rate=0.1, epochs=2, hidden=(6,)).fit(table)
    detector.save(tmp_path / "rows.detector")
    _, client = serve(DETECTOR=str(tmp_path / "rows.detector"))
    rows = table[:20].to_dict("records")
    answer = post(client, text([dict(reversed(row.items())) for row in rows]), JSON).json()
    expected = detector.judge(table[:20])
    for name in ("score", "p_value", "is_anomaly"):
        found = [result[name] for result in answer["results"]]
        np.testing.assert_allclose(found, expected[name], rtol=1e-6)
    assert client.get("/version").json()["columns"] == ["load", "kind"]
    for wrong, word in (
        ([1.0, 2.0], "load"),
        ({"load": 1.0}, "kind"),
        ({"load": [1.0], "kind": "a"}, "'load'"),
        ({"load": 10**400, "kind": "a"}, "'load'"),
        ({"load": "much", "kind": "a"}, "load"),
    ):
        answer = post(client, text([wrong]), JSON)
        assert answer.status_code == 422 and word in answer.json()["error"], answer.text
    assert post(client, text([]), JSON).status_code == 422


def test_a_rate(serve, pictures):
    _, slow = serve(RATE="0.5")  # less than one a second, and not none at all
    assert [post(slow, png(pictures[0])).status_code for _ in range(3)] == [200, 429, 429]
    _, client = serve(RATE="3")
    answers = [post(client, png(pictures[0])) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 5 and refused[0].headers["Retry-After"] == "1"
    time.sleep(1.1)
    assert post(client, png(pictures[0])).status_code == 200


def load(client: httpx.Client, bodies: list[bytes], n: int, retries: int, busy=None):
    """n requests, eight at once: results, seconds each, and how often one was sent again."""
    again = []

    def one(i: int):
        start = time.perf_counter()
        for attempt in range(retries + 1):
            try:
                answer = post(client, bodies[i % len(bodies)])
                assert answer.status_code == 200, answer.text
                return answer.json()["results"][0], time.perf_counter() - start
            except httpx.TransportError:
                if attempt == retries:
                    raise
                again.append(i)
                time.sleep(0.1 * 2**attempt)
        return None

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(one, i) for i in range(n)]
        if busy:
            busy(futures)
        found = [future.result() for future in futures]
    return [r for r, _ in found], np.array([s for _, s in found]), len(again)


def test_ten_thousand_requests_at_eight_at_once(serve, pictures, detector_file):
    _, client = serve(workers=2)
    bodies = [png(p) for p in pictures]
    expected = AnomalyDetector.load(detector_file).score(pictures[..., None] / np.float32(255))
    start = time.perf_counter()
    found, seconds, again = load(client, bodies, 10_000, retries=0)
    total = time.perf_counter() - start
    scores = np.array([result["score"] for result in found])
    np.testing.assert_allclose(scores, np.resize(expected, 10_000), rtol=1e-6)
    p50, p99 = 1000 * np.percentile(seconds, [50, 99])
    print(f"\n10,000 of {len(found)} right, {10_000 / total:.0f} a second, ", end="")
    print(f"median {p50:.1f} ms, p99 {p99:.1f} ms, sent again: {again}")
    assert again == 0


def children(pid: int) -> list[int]:
    """Processes below one, those of Python's own bookkeeping left out."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in found if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_a_worker_killed_under_load(serve, pictures, detector_file):
    process, client = serve(workers=2)
    bodies = [png(p) for p in pictures]
    expected = AnomalyDetector.load(detector_file).score(pictures[..., None] / np.float32(255))
    before = children(process.pid)
    assert len(before) == 2

    def kill(futures) -> None:
        futures[500].result()
        os.kill(before[0], signal.SIGKILL)

    found, _, again = load(client, bodies, 3000, retries=8, busy=kill)
    scores = np.array([result["score"] for result in found])
    np.testing.assert_allclose(scores, np.resize(expected, 3000), rtol=1e-6)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(set(children(process.pid)) - set(before)) == 0:
        time.sleep(0.2)
    after = children(process.pid)
    print(f"\none of two workers killed: {len(found)} of 3,000 answered, {again} sent again")
    assert len(after) == 2 and before[0] not in after


def test_it_stops_when_it_is_asked_to_and_finishes_its_work(serve, pictures):
    process, client = serve()
    items = np.zeros((60, 28, 28, 1)).tolist()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(post, client, text(items), JSON) for _ in range(4)]
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGTERM)
        answers = [future.exception() or future.result() for future in futures]
    assert process.wait(timeout=30) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    done = [a for a in answers if isinstance(a, httpx.Response)]
    assert done and all(answer.status_code == 200 for answer in done)
    with pytest.raises(httpx.TransportError):
        client.get("/health")
