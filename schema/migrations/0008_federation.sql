-- SPDX-License-Identifier: Apache-2.0
-- Content that is kept elsewhere, and telling others what happens here.

-- One row per registry that a namespace's content comes from, asked in the order of
-- `position`. `cache` keeps what was pulled once; `foreign` keeps no objects: the catalogue
-- lists them, and who wants them is sent on. A package `x` of the namespace is the
-- repository `prefix/x` there.
create table upstreams (
    namespace text not null references namespaces (name),
    position bigint not null,
    mode text not null check (mode in ('cache', 'foreign')),
    host text not null,
    plain_http boolean not null,
    prefix text not null,
    tag_seconds bigint not null check (tag_seconds >= 0),
    created_at timestamptz not null,
    created_by text not null references accounts (name),
    primary key (namespace, position)
);

-- Where a blob of a repository is that is not kept here, or not yet. Its manifest may be
-- stored although its blobs are not.
create table remote_blobs (
    repository text not null references repositories (name),
    digest text not null,
    size_bytes bigint not null check (size_bytes >= 0),
    host text not null,
    plain_http boolean not null,
    source text not null,
    noted_at timestamptz not null,
    primary key (repository, digest)
);

-- One row per address that is told of a namespace's events. `secret` signs each message;
-- `failures` counts messages in a row that could not be delivered.
create table webhooks (
    id text not null primary key,
    namespace text not null references namespaces (name),
    url text not null,
    secret text not null,
    events text not null,
    created_at timestamptz not null,
    created_by text not null references accounts (name),
    disabled_at timestamptz,
    failures bigint not null
);
create index webhooks_by_namespace on webhooks (namespace, id);

-- One row per message to one webhook, delivered or not. `payload` is sent byte for byte,
-- every time under the same `id`, so that a receiver can tell repetitions.
create table webhook_deliveries (
    id text not null primary key,
    webhook text not null references webhooks (id) on delete cascade,
    event text not null,
    payload text not null,
    created_at timestamptz not null,
    attempts bigint not null,
    next_at timestamptz,
    delivered_at timestamptz,
    last_attempt_at timestamptz,
    status bigint,
    failure text
);
create index webhook_deliveries_by_time on webhook_deliveries (next_at);
create index webhook_deliveries_by_webhook on webhook_deliveries (webhook, id);

-- How far the change feed was turned into messages.
create table webhook_progress (
    id bigint not null primary key check (id = 1),
    audit_sequence bigint not null
);
