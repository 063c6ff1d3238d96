-- SPDX-License-Identifier: Apache-2.0
-- Whose a namespace is: which names were given, what proves who stands behind it, and how it
-- is handed over.

-- One row per name that was ever given: of a namespace (empty `scope`), or of a package in
-- the namespace `scope`. Names of one scope with the same `skeleton` look alike; rows stay
-- when what they name is gone, so that nobody gets a name a second time.
-- `notes` is a JSON array of what a package's name was like when it was given.
create table given_names (
    scope text not null,
    skeleton text not null,
    name text not null,
    notes text not null,
    given_at timestamptz not null,
    primary key (scope, skeleton)
);

-- One row per thing outside that a namespace says is its own: a domain, at which `token` is
-- to be found, or (`forge`) an account of an issuer, whose ID tokens show it. `proved_at` is
-- when that was last seen; it counts for some days.
create table namespace_proofs (
    namespace text not null references namespaces (name),
    kind text not null check (kind in ('domain', 'forge')),
    subject text not null,
    token text not null,
    added_at timestamptz not null,
    added_by text not null references accounts (name),
    checked_at timestamptz,
    proved_at timestamptz,
    failure text,
    primary key (namespace, kind, subject)
);
create index namespace_proofs_by_check on namespace_proofs (checked_at);

-- One row per namespace that is being, or was, handed over. It is done at `due_at`, if the
-- new owner has accepted and nobody has cancelled.
create table transfers (
    id text not null primary key,
    namespace text not null references namespaces (name),
    from_account text not null references accounts (name),
    to_account text not null references accounts (name),
    offered_at timestamptz not null,
    accepted_at timestamptz,
    due_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    vouched boolean
);
create index transfers_by_namespace on transfers (namespace, offered_at);
create index transfers_by_due on transfers (due_at);
