-- SPDX-License-Identifier: Apache-2.0
-- The publish log: what it is going to say, what it says, and its tree.

-- Entries on their way into the log, written in the transaction that makes true
-- what they say. `id` is in the order of time, `leaf` canonical JSON. Those of a
-- private namespace wait here until it is public.
create table log_pending (
    id text not null primary key,
    namespace text not null references namespaces (name),
    leaf text not null
);
create index log_pending_by_namespace on log_pending (namespace, id);

-- The entries, numbered from 0 without gaps; `leaf` is what is hashed, the rest
-- repeats parts of it to be found by. `proof` is the manifest that carries a
-- publication's proof to those who pull it, once there is one.
create table log_entries (
    position bigint not null primary key check (position >= 0),
    leaf text not null,
    kind text not null,
    namespace text not null,
    package text,
    version text,
    proof text
);
create index log_entries_by_namespace on log_entries (namespace, position);
create index log_entries_by_version on log_entries (package, version, position);
create index log_entries_unproven on log_entries (kind, position) where proof is null;

-- The tree over them: on each level the hashes of tile `number`, up to 256 of 32
-- bytes. They are only ever added to.
create table log_tiles (
    level bigint not null,
    number bigint not null,
    hashes bytea not null,
    primary key (level, number)
);

-- How far the log goes, and its signed checkpoint at that size (empty before the
-- first). One row, locked while a replica extends the log.
create table log_head (
    id bigint not null primary key check (id = 1),
    size bigint not null check (size >= 0),
    checkpoint text not null
);
insert into log_head (id, size, checkpoint) values (1, 0, '');

-- Which witness has seen the log at which size: its line below that checkpoint.
create table log_cosignatures (
    size bigint not null,
    witness text not null,
    line text not null,
    seen_at timestamptz not null,
    primary key (size, witness)
);
create index log_cosignatures_by_witness on log_cosignatures (witness, size);
