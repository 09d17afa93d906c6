"""Read models: what the page and the HTTP interface show, whole and ready to be shown."""

from edge.service.browsing.activity import Activity, Series, activity
from edge.service.browsing.cameras import Camera, cameras
from edge.service.browsing.detail import Detail, detail, one_picture
from edge.service.browsing.listing import Changes, Order, Page, Wish, changes, matches, page
from edge.service.browsing.reviewing import Judged, Queue, choices, judge, queue

__all__ = [
    "Activity",
    "Camera",
    "Changes",
    "Detail",
    "Judged",
    "Order",
    "Page",
    "Queue",
    "Series",
    "Wish",
    "activity",
    "cameras",
    "changes",
    "choices",
    "detail",
    "judge",
    "matches",
    "one_picture",
    "page",
    "queue",
]
