-- SPDX-License-Identifier: Apache-2.0
-- What an OCI registry holds.

-- One row per repository; made by the first push into it.
create table repositories (
    name text not null primary key,
    namespace text not null references namespaces (name),
    created_at timestamptz not null
);
create index repositories_by_namespace on repositories (namespace, name);

-- A blob *of a repository*: knowing a digest gives no right to its bytes, so
-- the same content has a row in each repository that holds it. A row exists
-- only after the bytes are durable. Nothing collects a blob before
-- `leased_until`, however unreferenced it looks.
create table blobs (
    repository text not null references repositories (name),
    digest text not null,
    size_bytes bigint not null check (size_bytes >= 0),
    created_at timestamptz not null,
    leased_until timestamptz not null,
    primary key (repository, digest)
);
create index blobs_by_digest on blobs (digest);

-- A manifest or index, as the exact bytes that were pushed.
create table manifests (
    repository text not null references repositories (name),
    digest text not null,
    media_type text not null,
    artifact_type text,
    subject text,
    annotations text,
    body bytea not null,
    size_bytes bigint not null check (size_bytes >= 0),
    created_at timestamptz not null,
    primary key (repository, digest)
);
-- The referrers of a digest are a query, not a list that could lose an entry.
create index manifests_by_subject on manifests (repository, subject);

-- What a manifest points at: its config, its layers, or the entries of an
-- index. Entries that need not be present (foreign layers) are not listed.
create table manifest_references (
    repository text not null,
    manifest text not null,
    target text not null,
    kind text not null check (kind in ('config', 'layer', 'manifest')),
    primary key (repository, manifest, target, kind),
    foreign key (repository, manifest) references manifests (repository, digest) on delete cascade
);
create index manifest_references_by_target on manifest_references (repository, target);

-- A name for a manifest. Its manifest cannot disappear under it.
create table tags (
    repository text not null,
    name text not null,
    digest text not null,
    updated_at timestamptz not null,
    primary key (repository, name),
    foreign key (repository, digest) references manifests (repository, digest)
);
create index tags_by_digest on tags (repository, digest);

-- An upload in progress. Its offset is the length of the staged file, so that
-- no crash can make the two disagree.
create table uploads (
    id text not null primary key,
    repository text not null references repositories (name),
    account text not null references accounts (name),
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index uploads_by_expiry on uploads (expires_at);
