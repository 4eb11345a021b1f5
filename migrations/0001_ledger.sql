-- One portable set for SQLite and PostgreSQL: TEXT, BIGINT and DOUBLE PRECISION only.
-- Times are fixed-width RFC 3339 UTC text, so that they sort as text; lists and maps are JSON text.

CREATE TABLE nights (
    id              TEXT PRIMARY KEY,
    pipeline        TEXT NOT NULL,
    kind            TEXT NOT NULL,
    commit_id       TEXT NOT NULL,
    started         TEXT NOT NULL,
    ended           TEXT,
    error           TEXT,
    epoch           TEXT NOT NULL,
    requested       TEXT NOT NULL,
    with_dependants BIGINT NOT NULL,
    requested_by    TEXT,
    plan_commit     TEXT,
    outside         TEXT,
    pins            TEXT,
    feeds           TEXT NOT NULL,
    notes           TEXT,
    planned         BIGINT NOT NULL,
    released        BIGINT NOT NULL,
    held            BIGINT NOT NULL,
    failed          BIGINT NOT NULL,
    blocked         BIGINT NOT NULL,
    reused          BIGINT NOT NULL,
    skipped         BIGINT NOT NULL
);
CREATE INDEX nights_by_time ON nights (pipeline, started, id);

-- What judging an image gave, stored once however many nights give the same.
CREATE TABLE verdicts (
    digest TEXT PRIMARY KEY,
    body   TEXT NOT NULL
);

-- An image of a pipeline as it stands: how often it was judged, and its last build.
CREATE TABLE images (
    pipeline     TEXT NOT NULL,
    image        TEXT NOT NULL,
    seq          BIGINT NOT NULL,
    present      BIGINT NOT NULL,
    build_night  TEXT NOT NULL,
    build_key    TEXT NOT NULL,
    build_parts  TEXT NOT NULL,
    build_digest TEXT NOT NULL,
    succeeded    BIGINT,
    PRIMARY KEY (pipeline, image)
);

-- The judgements of an image, counted from 1; intervals below are counted in them, because nights
-- may overlap and clocks may be set back.
CREATE TABLE judgements (
    pipeline TEXT NOT NULL,
    image    TEXT NOT NULL,
    seq      BIGINT NOT NULL,
    night    TEXT NOT NULL REFERENCES nights (id),
    at       TEXT NOT NULL,
    digest   TEXT NOT NULL,
    verdict  TEXT NOT NULL REFERENCES verdicts (digest),
    PRIMARY KEY (pipeline, image, seq)
);

-- One row for each image of a night; `seq` is the judgement that stands after it, 0 for none.
CREATE TABLE night_images (
    night           TEXT NOT NULL REFERENCES nights (id),
    image           TEXT NOT NULL,
    position        BIGINT NOT NULL,
    plan            TEXT,
    broken          TEXT,
    owners          TEXT NOT NULL,
    built_id        TEXT,
    built_size      BIGINT,
    built_log       TEXT,
    built_ms        BIGINT,
    ended           TEXT,
    outcome         TEXT,
    reason          TEXT,
    stage           TEXT,
    error           TEXT,
    blocked_by      TEXT,
    held_by         TEXT,
    score           DOUBLE PRECISION,
    grade           TEXT,
    digest          TEXT,
    counts          TEXT,
    vulnerabilities BIGINT,
    took_ms         BIGINT,
    build_key       TEXT,
    result_owners   TEXT,
    sbom            TEXT,
    log             TEXT,
    verdict         TEXT REFERENCES verdicts (digest),
    unassessed      TEXT,
    warnings        TEXT,
    seq             BIGINT NOT NULL,
    PRIMARY KEY (night, image)
);

-- A finding of an image from one judgement until, exclusively, another.
CREATE TABLE findings (
    pipeline    TEXT NOT NULL,
    image       TEXT NOT NULL,
    mark        TEXT NOT NULL,
    from_seq    BIGINT NOT NULL,
    until_seq   BIGINT,
    fingerprint TEXT NOT NULL,
    data        TEXT NOT NULL,
    PRIMARY KEY (pipeline, image, mark, from_seq)
);

CREATE INDEX findings_open ON findings (pipeline, image) WHERE until_seq IS NULL;

-- A package of an image from one judgement until, exclusively, another.
CREATE TABLE components (
    pipeline       TEXT NOT NULL,
    image          TEXT NOT NULL,
    mark           TEXT NOT NULL,
    from_seq       BIGINT NOT NULL,
    until_seq      BIGINT,
    name           TEXT NOT NULL,
    version        TEXT NOT NULL,
    ecosystem      TEXT NOT NULL,
    purl           TEXT NOT NULL,
    purl_name      TEXT NOT NULL,
    source         TEXT NOT NULL,
    source_version TEXT NOT NULL,
    PRIMARY KEY (pipeline, image, mark, from_seq)
);
CREATE INDEX components_open ON components (pipeline, image) WHERE until_seq IS NULL;
CREATE INDEX components_by_name ON components (name);
CREATE INDEX components_by_source ON components (source);
CREATE INDEX components_by_purl ON components (purl_name);

-- Mails to be delivered; `state` is pending, sent or dead.
CREATE TABLE outbox (
    message_id TEXT PRIMARY KEY,
    night      TEXT NOT NULL REFERENCES nights (id),
    recipient  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    blob       TEXT NOT NULL,
    not_before TEXT NOT NULL,
    deadline   TEXT NOT NULL,
    state      TEXT NOT NULL,
    due        TEXT NOT NULL,
    tries      BIGINT NOT NULL,
    sent       TEXT,
    error      TEXT
);
CREATE INDEX outbox_due ON outbox (state, due);
CREATE INDEX outbox_by_night ON outbox (night);

CREATE TABLE suppressed (
    address TEXT PRIMARY KEY,
    reason  TEXT NOT NULL,
    since   TEXT NOT NULL
);

CREATE TABLE schedules (
    pipeline     TEXT PRIMARY KEY,
    next_run_at  TEXT,
    last_started TEXT
);
