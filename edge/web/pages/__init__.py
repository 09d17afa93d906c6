"""The pages for people: HTML that works without scripts, and better with them."""

from fastapi import APIRouter

from edge.web.pages import (
    activity,
    cameras,
    classify,
    files,
    live,
    registrations,
    review,
    search,
    stream,
    verdicts,
)
from edge.web.pages.plain import login_page, problem_page

router = APIRouter()
for part in (live, registrations, search, classify, activity, review, cameras, verdicts, stream, files):
    router.include_router(part.router)

__all__ = ["login_page", "problem_page", "router"]
