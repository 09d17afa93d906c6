"""Pages that say one thing: that something went wrong, or that a token is wanted."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from edge.web.pages.render import page
from edge.web.problems import Problem


def problem_page(request: Request, problem: Problem) -> Response:
    """Why a request wasn't answered as asked, and what to do about it."""
    again = request.method == "GET"  # what was sent by a form is lost by opening its address
    answer = page(request, "problem.html", problem.status, problem=problem, again=again, device="")
    answer.headers.update(problem.headers)
    return answer


def login_page(request: Request, problem: Problem | None) -> Response:
    """The form for the token; with what was wrong about the last one."""
    to = request.query_params.get("next", "/")
    answer = page(
        request, "login.html", problem.status if problem else 200, problem=problem, to=to, device=""
    )
    answer.headers.update(problem.headers if problem else {})
    return answer
