"""Collections: folders of people's own pictures, embedded for search without a daemon.

``home`` says where they lie and opens them; ``walk`` finds what is new in a folder; ``gather`` looks at one
file; ``keep`` puts outcomes on record; ``index`` runs it all.
"""

from edge.service.collecting.home import (
    Collection,
    CollectionInfo,
    collections,
    open_collection,
    remove_collection,
)

__all__ = ["Collection", "CollectionInfo", "collections", "open_collection", "remove_collection"]
