"""FastAPI whose hot path is a route of Starlette's, which FastAPI neither serves nor describes."""

from fastapi import FastAPI

from loadtests.frameworks.apps.starlette_raw import route
from loadtests.frameworks.work import Work


def new_app(work: Work) -> FastAPI:
    """Make the application."""
    return FastAPI(lifespan=work.lifespan, routes=[route(work)])
