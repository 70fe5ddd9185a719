"""Makes the application, and so its OpenAPI document, without connecting to anything."""

from typing import Any

from fastapi import FastAPI

from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.view.parts import view_parts
from services.enrollment.ingress.wiring import Ingress
from shared.process import Process


def document() -> dict[str, Any]:
    """Give the document, as every ingress serves it at /openapi.json."""
    return unconnected_app().openapi()


def unconnected_app() -> FastAPI:
    """Give the application of an ingress that never runs."""
    nowhere = IngressSettings(
        database_url="postgresql://127.0.0.1/ingress",
        kafka_bootstrap_servers="127.0.0.1",
        jwt_jwks_url="https://127.0.0.1/jwks",
    )
    return Ingress(Process(view_parts(nowhere), nowhere), nowhere).app()
