"""The application: its paths, and the OpenAPI document that describes them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vitrail.core.errors import MachineError
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.serve.admission import Admission, Upload
from vitrail.delivery.serve.classifier import Classifier
from vitrail.delivery.serve.guard import Guard, list_headers
from vitrail.delivery.serve.metrics import Metrics
from vitrail.delivery.serve.refused import BODY_SECONDS, MOST_BODY_BYTES, MOST_IMAGES, Reply, RequestRefused
from vitrail.delivery.serve.replies import (
    UNREADABLE,
    CertifiedFacts,
    ErrorText,
    Failure,
    Health,
    RequestLimits,
    Results,
    ServedModel,
    Status,
    as_json,
)
from vitrail.delivery.serve.static_files import INDEX, read_page
from vitrail.delivery.serve.uploads import FIELD, MULTIPART, read_images

Done = TypeVar("Done")

JSON = "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
NONE_READABLE = "None of the images could be read; each result says why."
REFUSALS = {
    400: "The request is damaged, or has no image, or too many.",
    401: "The API key is missing or wrong.",
    403: "The request comes from another page.",
    408: "The body did not arrive in time.",
    411: "The body does not state its length.",
    413: "The body is over the limit.",
    415: "The content is not of a type that is read.",
    421: "The service answers on this machine only.",
    429: "This client has as many images waiting, bytes arriving or connections as it may have.",
    503: "The service has as many images as it can answer soon, or is stopping.",
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
PREDICT_BODY = {
    "required": True,
    "content": {
        "image/*": BINARY,
        MULTIPART: {
            "schema": {
                "type": "object",
                "properties": {
                    FIELD: {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "minItems": 1,
                        "maxItems": MOST_IMAGES,
                    }
                },
                "required": [FIELD],
                "additionalProperties": False,
            }
        },
    },
}


class Service:
    """Everything behind the paths of one server."""

    def __init__(self, model: ModelFolder, *, api_key: str | None, is_loopback: bool) -> None:
        self.model = model
        self.admission = Admission(images_per_s=model.certificate.speed.best.images_per_s)
        self.metrics = Metrics(self.admission)
        self.classifier = Classifier(model, self.metrics)
        self.guard = Guard(self._make_application(), self.metrics, api_key, is_loopback)

    async def predict(self, request: Request) -> Response:
        """The answers for the images of a request."""
        client = request.client.host if request.client else ""
        self.admission.require_room(client)
        with Upload(self.admission, client) as upload:
            images = await read_images(request.headers, request.stream(), upload)
            with self.admission.admitted(client, len(images)):
                results = await _while_connected(request, self.classifier.answer(images))
        errors = [result.error for result in results if result.error is not None]
        if len(errors) < len(results):
            return Response(as_json(Results(results=results)), media_type=JSON)
        error = errors[0] if len(errors) == 1 else ErrorText(code=UNREADABLE, text=NONE_READABLE)
        return Response(as_json(Results(results=results, error=error)), 422, media_type=JSON)

    def describe_model(self) -> ServedModel:
        """What is served."""
        facts, certificate = self.model.facts, self.model.certificate
        return ServedModel(
            name=facts.backbone,
            format=facts.format,
            precision=facts.precision,
            classes=facts.classes,
            crop=facts.preprocessing.crop,
            licence=facts.weights.licence,
            limits=RequestLimits(
                bytes=MOST_BODY_BYTES, pixels=facts.max_pixels, images=MOST_IMAGES, seconds=BODY_SECONDS
            ),
            certificate=CertifiedFacts(
                images=certificate.fidelity.images,
                largest_difference=certificate.fidelity.largest_difference,
                conclusion=certificate.shift.conclusion,
                promises=certificate.shift.promises,
                images_per_s=certificate.speed.best.images_per_s,
                best_batch=certificate.speed.best.batch,
            ),
            run=facts.run,
        )

    def describe_health(self) -> Health:
        """Whether images are answered, and by what."""
        facts = self.model.facts
        return Health(
            status="stopping" if self.guard.is_stopping else "ready",
            model=facts.backbone,
            runtime=facts.format,
            precision=facts.precision,
            certificate=self.model.certificate.shift.conclusion,
        )

    def _make_application(self) -> FastAPI:
        from importlib.metadata import version

        application = FastAPI(
            title="vitrail serve",
            version=version("vitrail"),
            description=f"Answers of {self.model.facts.backbone} for images, with calibrated probabilities.",
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json",
            redirect_slashes=False,  # it would send people to whatever the Host header says
        )
        _add_errors(application)
        _add_page(application)
        self._add_api(application)
        return application

    def _add_api(self, application: FastAPI) -> None:
        model = Response(as_json(self.describe_model()), media_type=JSON)

        @application.get("/v1/model", responses=_replies(401, 403, 421) | {200: {"model": ServedModel}})
        async def read_model() -> Response:
            """What is served: classes, limits, licence, and what its certificate says."""
            return model

        @application.post(
            "/v1/predict",
            responses=_replies(*REFUSALS)
            | {
                200: {"model": Results},
                422: {"model": Results, "description": "None of the images could be read."},
            },
            openapi_extra={"requestBody": PREDICT_BODY},
        )
        async def predict(request: Request) -> Response:
            """Classify one image, or several: a result for each, in order."""
            return await self.predict(request)

        @application.get("/v1/health/live", responses=_replies(403, 421) | {200: {"model": Status}})
        async def read_liveness() -> Response:
            """Whether the process answers at all."""
            return Response(as_json(Status(status="alive")), media_type=JSON)

        @application.get(
            "/v1/health/ready",
            responses=_replies(403, 421) | {200: {"model": Status}, 503: {"model": Status, "description": "Stopping."}},
        )
        async def read_readiness() -> Response:
            """Whether images may be sent: not any more once the service is stopping."""
            stopping = self.guard.is_stopping
            status = Status(status="stopping" if stopping else "ready")
            return Response(as_json(status), 503 if stopping else 200, media_type=JSON)

        @application.get("/v1/health", responses=_replies(403, 421) | {200: {"model": Health}})
        async def read_health() -> Response:
            """Which model, runtime and precision answer, and what the certificate concluded."""
            return Response(as_json(self.describe_health()), media_type=JSON)

        @application.get(
            "/metrics",
            responses=_replies(401, 403, 421)
            | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "For Prometheus."}},
        )
        async def read_metrics() -> Response:
            """Counters in Prometheus' text format."""
            return Response(self.metrics.text(), headers={"Content-Type": PROMETHEUS})


async def _while_connected(request: Request, work: Coroutine[Any, Any, Done]) -> Done:
    """Do work for a client as long as it waits; raises ClientDisconnect if it leaves."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())  # after the body comes nothing but the end of the connection
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait((working,))


def _replies(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the document says of refusals."""
    return {status: {"model": Failure, "description": REFUSALS[status]} for status in statuses}


def _add_page(application: FastAPI) -> None:
    page = read_page()

    async def send_file(request: Request) -> Response:
        file = page.get(request.path_params.get("name", INDEX))
        if file is None:
            raise HTTPException(404)
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=file.headers)
        return Response(file.content, headers=file.headers | {"Content-Type": file.media_type})

    application.add_api_route("/", send_file, methods=["GET"], include_in_schema=False)
    application.add_api_route("/page/{name}", send_file, methods=["GET"], include_in_schema=False)


def _add_errors(application: FastAPI) -> None:
    """Every error as JSON with a code and a sentence."""

    def respond(reply: Reply, headers: dict[str, str] | None = None) -> Response:
        body = as_json(Failure(error=ErrorText(code=reply.code, text=reply.text)))
        own = {name.decode(): value.decode() for name, value in list_headers(reply, body)}
        return Response(body, reply.status, headers=own | (headers or {}))

    @application.exception_handler(RequestRefused)
    async def refuse(_: Request, error: RequestRefused) -> Response:
        return respond(error.reply)

    @application.exception_handler(HTTPException)
    async def name_status(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            text = f"This path is not used with {request.method}. /openapi.json lists what there is."
            return respond(Reply(405, "wrong_method", text), dict(error.headers or {}))
        return respond(Reply(404, "not_found", "There is nothing at this path. /openapi.json lists what there is."))

    @application.exception_handler(ClientDisconnect)
    async def leave(_: Request, __: ClientDisconnect) -> Response:
        return respond(Reply(400, "cut_off", "The request ended before its body did."))  # nobody reads it

    @application.exception_handler(MachineError)  # no thread could start
    @application.exception_handler(MemoryError)
    async def refuse_for_memory(_: Request, __: MemoryError | MachineError) -> Response:
        text = "There is not enough memory for this image now. Send it again a little later."
        return respond(Reply(503, "busy", text, retry_after=1))

    @application.exception_handler(Exception)
    async def apologise(_: Request, __: Exception) -> Response:
        text = "This is a fault of the service. Its log says what happened."
        return respond(Reply(500, "internal", text))
