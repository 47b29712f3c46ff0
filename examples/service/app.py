"""A detector behind HTTP: POST /score, and /health, /version, /metrics for who watches it.

Settings come from the environment: DETECTOR (its file), MAX_BYTES of a request, MAX_ITEMS in it,
and RATE, requests a second that one process takes (0: any number).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import items
import numpy as np
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from starlette.requests import ClientDisconnect

import vae_lib
from vae_lib.command import facts, load, scored, shape_of

SLOWEST = 10.0  # seconds that a request's body may take to arrive

REQUESTS = Counter("detector_requests_total", "Requests to /score", ["status"])
ITEMS = Counter("detector_items_total", "Items scored", ["decision"])
SECONDS = Histogram("detector_seconds", "From the whole body to the answer", unit="seconds")
P_VALUES = Histogram("detector_p_value", "p-values", buckets=[0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1])


class Refused(Exception):
    """A request that is answered with this status and sentence."""

    def __init__(self, status: int, sentence: str, **headers: str):
        self.status, self.sentence, self.headers = status, sentence, headers


class Bucket:
    """Lets `rate` requests a second pass, and as many at once (one at least) after a quiet time."""

    def __init__(self, rate: float):
        if not 0 <= rate < math.inf:
            raise ValueError(f"RATE is {rate}; expected a number of at least 0")
        self.rate, self.most, self.last = rate, max(rate, 1.0), time.monotonic()
        self.tokens, self.lock = self.most, threading.Lock()

    def take(self) -> None:
        """Raises `Refused` when it is empty."""
        if not self.rate:
            return
        with self.lock:
            now = time.monotonic()
            self.tokens = min(self.most, self.tokens + (now - self.last) * self.rate)
            self.last = now
            if self.tokens < 1:
                wait = math.ceil((1 - self.tokens) / self.rate)
                raise Refused(
                    429, f"more than {self.rate:g} a second", **{"Retry-After": str(wait)}
                )
            self.tokens -= 1


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Load the detector once a process, and score once, so that the first request is as quick."""
    path = Path(os.environ["DETECTOR"])
    app.state.detector = load(str(path))
    app.state.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    app.state.bucket = Bucket(float(os.environ.get("RATE", "0")))
    app.state.max_bytes = int(os.environ.get("MAX_BYTES", "1000000"))
    app.state.max_items = int(os.environ.get("MAX_ITEMS", "64"))
    if app.state.detector.columns is None:
        scored(app.state.detector, np.zeros((1, *shape_of(app.state.detector)), "float32"))
    app.state.ready = True
    yield
    app.state.ready = False


app = FastAPI(title="Anomaly detector", lifespan=lifespan, docs_url=None, redoc_url=None)


@app.exception_handler(Refused)
async def refuse(request: Request, error: Refused) -> JSONResponse:
    """A status of 4xx and a sentence."""
    REQUESTS.labels(str(error.status)).inc()
    return JSONResponse({"error": error.sentence}, error.status, headers=error.headers)


@app.exception_handler(Exception)
async def fail(request: Request, error: Exception) -> JSONResponse:
    """What nobody thought of: a status of 500, and no word of the inside."""
    REQUESTS.labels("500").inc()
    return JSONResponse({"error": "the service failed; its log says more"}, 500)


@app.post("/score")
async def score(request: Request) -> dict:
    """Score, p-value and decision of a PNG or JPEG, or of {"items": [...]} in JSON."""
    app.state.bucket.take()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in items.KINDS:
        raise Refused(415, f"Content-Type is {kind[:80]!r}; expected one of {items.KINDS}")
    try:
        body = await asyncio.wait_for(_body(request), SLOWEST)
    except asyncio.TimeoutError:
        raise Refused(408, f"the body took longer than {SLOWEST:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "the client went away in the middle of the body") from None
    start = time.perf_counter()
    try:
        results = await run_in_threadpool(_scored, kind, body)
    except ValueError as error:  # the library's own sentence
        raise Refused(422, str(error)) from error
    SECONDS.observe(time.perf_counter() - start)
    REQUESTS.labels("200").inc()
    return {"version": app.state.digest, "results": results}


@app.get("/health")
async def health() -> dict:
    """200 when it takes requests."""
    if not getattr(app.state, "ready", False):
        raise HTTPException(503, "not ready")
    return {"status": "ok"}


@app.get("/version")
async def version() -> dict:
    """What scores here: log it beside each decision."""
    own = {"vae_lib": vae_lib.__version__, "detector": app.state.digest}
    return own | facts(app.state.detector)


@app.get("/metrics")
async def metrics() -> Response:
    """Prometheus's text format; of all processes where PROMETHEUS_MULTIPROC_DIR is set."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _body(request: Request) -> bytes:
    """The body, as long as it is no longer than allowed, whatever its headers say."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > app.state.max_bytes:
            raise Refused(413, f"the body has more than {app.state.max_bytes} bytes")
    if not body:
        raise Refused(422, "the body is empty; expected a picture, or JSON")
    return bytes(body)


def _scored(kind: str, body: bytes) -> list[dict]:
    detector, found = app.state.detector, []
    given = items.read(kind, body, detector, app.state.max_items)
    for value, p_value, is_anomaly in scored(detector, given):
        found.append({"score": value, "p_value": p_value, "is_anomaly": bool(is_anomaly)})
        ITEMS.labels("anomaly" if is_anomaly else "normal").inc()
        P_VALUES.observe(p_value)
    return found
