"""The tables, and how one version of them becomes the next. Forward only.

``files`` is the ledger: one row for each path ever found in the drop folder, and what became of it.
``media`` has one row for each image by content. ``observations`` has what the models said of an image by
kind (animal, person, vehicle, blank); the rows of kind ``animal`` are what registrations are made of.
A registration's members are the animal observations of its deployment from its first to its last key, so
membership needs no table of its own. ``outbox`` numbers messages without gaps within an epoch; a
registration's ``change``, ``seq``, ``observed`` and ``bundle`` are those of its newest message.
``corrections`` has what people put right afterwards; ``media.taken - media.clock_shift`` is what intake
found, and ``media.shifted_by`` the correction that moved an image last; ``reviews`` keeps the models' word
on an image beside a person's, which is the one in ``observations``. ``commands`` remembers requests that
changed something, with their answers, so that one that comes twice is carried out once; ``reprocess`` is the
line of images that are to be looked at again. ``strays`` are registrations that subscribers may know from a
database whose place this one took, and that it doesn't have; ``removals`` says what was removed to make room,
and why. ``embeddings.id`` only ever grows, also when the newest rows are deleted, so that "after id n" is all
that is new; while one bundle takes another's place an image has vectors of both; ``reembed_attempts`` has the
image that is being embedded for that, and those that ended the process meanwhile. ``media.night`` is 1 for a
picture by infrared light, 0 for one by day, NULL where nobody has looked.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE files (
        folder TEXT NOT NULL,
        name TEXT NOT NULL,
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('attempted', 'processed', 'duplicate', 'incomplete', 'set_aside', 'quarantined', 'ignored',
             'gone')),
        reason TEXT NOT NULL DEFAULT '',
        media_id TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        first_seen INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        PRIMARY KEY (folder, name)
    ) WITHOUT ROWID;
    CREATE INDEX files_by_state ON files (state) WHERE state NOT IN ('processed', 'duplicate', 'ignored');
    CREATE INDEX files_by_media ON files (media_id) WHERE media_id IS NOT NULL;

    CREATE TABLE media (
        media_id TEXT PRIMARY KEY,
        file TEXT NOT NULL,
        deployment TEXT NOT NULL,
        taken INTEGER NOT NULL,
        offset_minutes INTEGER NOT NULL,
        time_source TEXT NOT NULL,
        clock_ok INTEGER NOT NULL,
        camera TEXT NOT NULL DEFAULT '',
        bytes INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        detections TEXT NOT NULL,
        snapshot TEXT NOT NULL DEFAULT '',
        bundle TEXT NOT NULL,
        received INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX media_by_time ON media (deployment, taken, media_id);
    CREATE INDEX media_by_arrival ON media (received);
    CREATE INDEX media_bad_clock ON media (deployment, taken, media_id) WHERE NOT clock_ok;

    CREATE TABLE bundles (sha256 TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE labels (label TEXT PRIMARY KEY, scientific_name TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE observations (
        media_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('animal', 'person', 'vehicle', 'blank')),
        deployment TEXT NOT NULL,
        t INTEGER NOT NULL,
        label TEXT,
        count INTEGER NOT NULL,
        confidence INTEGER NOT NULL,
        PRIMARY KEY (media_id, kind)
    ) WITHOUT ROWID;
    CREATE INDEX animals ON observations (deployment, t, media_id, label, count, confidence)
        WHERE kind = 'animal';

    CREATE TABLE embeddings (
        media_id TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('image', 'crop')),
        box TEXT NOT NULL DEFAULT '',
        bundle TEXT NOT NULL,
        vector BLOB NOT NULL,
        PRIMARY KEY (media_id, ordinal)
    );

    CREATE TABLE registrations (
        id TEXT PRIMARY KEY,
        living INTEGER NOT NULL,
        deployment TEXT NOT NULL,
        label TEXT NOT NULL,
        count INTEGER NOT NULL,
        first_t INTEGER NOT NULL,
        first_media TEXT NOT NULL,
        last_t INTEGER NOT NULL,
        last_media TEXT NOT NULL,
        media_count INTEGER NOT NULL,
        votes TEXT NOT NULL,
        confidence INTEGER NOT NULL,
        state TEXT NOT NULL,
        revision INTEGER NOT NULL,
        opened INTEGER NOT NULL,
        superseded_by TEXT,
        confidence_sums TEXT NOT NULL,
        change TEXT NOT NULL DEFAULT '',
        seq INTEGER NOT NULL DEFAULT 0,
        observed INTEGER NOT NULL DEFAULT 0,
        bundle TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID;
    CREATE INDEX registrations_by_time ON registrations (deployment, first_t, first_media) WHERE living;
    CREATE INDEX registrations_open ON registrations (deployment) WHERE living AND state = 'open';

    CREATE TABLE deployments (
        deployment TEXT PRIMARY KEY,
        watermark INTEGER,
        newest INTEGER,
        openings INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY,
        deployment TEXT NOT NULL,
        registration_id TEXT NOT NULL,
        payload BLOB NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'acked', 'set_aside')),
        reason TEXT NOT NULL DEFAULT '',
        created INTEGER NOT NULL,
        acked INTEGER
    );
    CREATE INDEX outbox_pending ON outbox (seq) WHERE state = 'pending';
    CREATE INDEX outbox_set_aside ON outbox (seq) WHERE state = 'set_aside';
    """,
    """
    CREATE TABLE corrections (
        id INTEGER PRIMARY KEY,
        made INTEGER NOT NULL,
        made_by TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('clock', 'label')),
        deployment TEXT NOT NULL,
        what TEXT NOT NULL,
        media_id TEXT,
        shift INTEGER,
        since INTEGER,
        until INTEGER,
        images INTEGER NOT NULL DEFAULT 0,
        messages INTEGER NOT NULL DEFAULT 0
    );
    ALTER TABLE media ADD COLUMN clock_shift INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE media ADD COLUMN shifted_by INTEGER;

    CREATE TABLE reviews (
        media_id TEXT PRIMARY KEY,
        label TEXT,
        count INTEGER NOT NULL,
        machine_label TEXT,
        machine_count INTEGER NOT NULL,
        machine_confidence INTEGER NOT NULL,
        correction INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE commands (
        id INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE,
        received INTEGER NOT NULL,
        answer BLOB NOT NULL
    );

    CREATE TABLE reprocess (
        id INTEGER PRIMARY KEY,
        media_id TEXT NOT NULL UNIQUE,
        attempts INTEGER NOT NULL DEFAULT 0
    );
    """,
    """
    CREATE TABLE strays (
        registration_id TEXT PRIMARY KEY,
        deployment TEXT NOT NULL,
        label TEXT NOT NULL,
        count INTEGER NOT NULL,
        first_t INTEGER NOT NULL,
        last_t INTEGER NOT NULL,
        media_id TEXT NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE removals (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('message', 'snapshot', 'original', 'damaged')),
        what TEXT NOT NULL,
        number INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE INDEX media_with_snapshot ON media (received) WHERE snapshot != '';
    """,
    """
    ALTER TABLE media ADD COLUMN night INTEGER;
    ALTER TABLE embeddings RENAME TO embeddings_without_ids;
    CREATE TABLE embeddings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        media_id TEXT NOT NULL,
        bundle TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('image', 'crop')),
        box TEXT NOT NULL DEFAULT '',
        vector BLOB NOT NULL,
        UNIQUE (media_id, bundle, ordinal)
    );
    INSERT INTO embeddings (media_id, bundle, ordinal, kind, box, vector)
        SELECT media_id, bundle, ordinal, kind, box, vector FROM embeddings_without_ids ORDER BY rowid;
    DROP TABLE embeddings_without_ids;
    CREATE INDEX embeddings_by_bundle ON embeddings (bundle);
    CREATE INDEX embeddings_of_images ON embeddings (bundle, media_id) WHERE ordinal = 0;

    CREATE TABLE reembed_attempts (
        media_id TEXT PRIMARY KEY,
        bundle TEXT NOT NULL,
        attempts INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX registrations_by_seq ON registrations (seq);
    CREATE INDEX registrations_by_label ON registrations (living, label, state);
    """,
)
"""Migration n takes the schema from version n to n + 1 (``PRAGMA user_version``)."""
