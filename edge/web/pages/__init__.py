"""The pages for people."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from edge.web.problems import Problem

router = APIRouter()


def problem_page(_request: Request, problem: Problem) -> Response:
    """Why a request wasn't answered as asked."""
    text = f"<!doctype html><title>edge</title><h1>{escape(problem.title)}</h1><p>{escape(problem.hint)}</p>"
    return HTMLResponse(text, problem.status, problem.headers)


def login_page(_request: Request, problem: Problem | None) -> Response:
    """The form that asks for the token."""
    told = f"<p>{escape(problem.title)}</p>" if problem else ""
    form = '<form method="post" action="/login"><input type="password" name="token"><button>Log in</button>'
    return HTMLResponse(
        f"<!doctype html><title>edge</title>{told}{form}",
        problem.status if problem else 200,
        problem.headers if problem else None,
    )
