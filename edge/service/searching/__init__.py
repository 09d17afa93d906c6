"""Finding and naming: words or pictures in, images on record or names out.

``Desk`` is what a command or a page holds on to: it opens models and index when they are first needed.
``Searcher`` answers from one database. ``Judge`` names what was seen by a label set, or says that it is
none of it.
"""

from edge.service.searching.answers import Answer, Hit, Wanted
from edge.service.searching.classifying import TOP, Classified, Guess, Judge, class_labels, labels_of
from edge.service.searching.desk import Desk
from edge.service.searching.eyes import BundleEyes, Eyes, Looked, Space
from edge.service.searching.searcher import Searcher

__all__ = [
    "TOP",
    "Answer",
    "BundleEyes",
    "Classified",
    "Desk",
    "Eyes",
    "Guess",
    "Hit",
    "Judge",
    "Looked",
    "Searcher",
    "Space",
    "Wanted",
    "class_labels",
    "labels_of",
]
