"""The same as JSON."""

from fastapi import APIRouter

DESCRIPTION = "x"
router = APIRouter(prefix="/api")
