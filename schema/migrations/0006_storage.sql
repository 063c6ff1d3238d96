-- SPDX-License-Identifier: Apache-2.0
-- Keeping the content: background jobs, uploads that several replicas share,
-- what is known of each content's bytes, quotas and retention.

-- One row per background job. While `holder` is set and `held_until` lies in
-- the future, one replica runs the job, and no other may.
create table jobs (
    name text not null primary key,
    next_at timestamptz not null,
    holder text,
    held_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    failure text
);

-- Where uploads are staged in a shared store, at most one request at a time
-- continues one: it holds the upload until `held_until`, and its bytes count
-- only if it still does when they have arrived.
alter table uploads add column holder text;
alter table uploads add column held_until timestamptz;

-- The staged parts of an upload in a shared store, in the order of `start_byte`.
-- An object that no row names is left over from a broken request.
create table upload_parts (
    upload text not null references uploads (id) on delete cascade,
    start_byte bigint not null check (start_byte >= 0),
    size_bytes bigint not null check (size_bytes > 0),
    object text not null,
    primary key (upload, start_byte)
);

-- One row per content, however many repositories hold it: the lock under which
-- its bytes are stored and removed, and what the last look at them found.
-- `removals` counts how often the bytes were removed: an upload that finds it
-- changed since it began to store them knows that they may be gone again.
create table contents (
    digest text not null primary key,
    size_bytes bigint not null check (size_bytes >= 0),
    state text not null check (state in ('present', 'damaged', 'removing', 'removed')),
    removals bigint not null,
    changed_at timestamptz not null,
    checked_at timestamptz not null
);
create index contents_by_check on contents (checked_at, digest);
create index contents_by_state on contents (state, changed_at);
insert into contents (digest, size_bytes, state, removals, changed_at, checked_at)
    select digest, max(size_bytes), 'present', 0, min(created_at), min(created_at)
    from blobs group by digest;
create index blobs_by_lease on blobs (leased_until);

-- How many bytes a namespace may hold, and which of its manifests and tags may
-- be removed after a while. A null sets no rule.
create table storage_rules (
    namespace text not null primary key references namespaces (name),
    quota_bytes bigint check (quota_bytes >= 0),
    untagged_days bigint check (untagged_days >= 1),
    keep_tags bigint check (keep_tags >= 1),
    changed_at timestamptz not null,
    changed_by text not null
);
