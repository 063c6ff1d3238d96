-- SPDX-License-Identifier: Apache-2.0
-- Who may do what. One text for SQLite and PostgreSQL: times and identifiers
-- are bound by the server, never made by the database.

-- One row per person or robot that may hold tokens.
create table accounts (
    name text not null primary key,
    administrator boolean not null,
    created_at timestamptz not null
);

-- One row per API token ever issued. The token itself is shown once and never
-- stored: `hash` is the lower-case hexadecimal SHA-256 of its text.
create table tokens (
    hash text not null primary key,
    account text not null references accounts (name),
    label text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
);
create index tokens_by_account on tokens (account, created_at);

-- What the server itself must remember between starts (the key that signs
-- bearer tokens, the salt of pull counting).
create table settings (
    name text not null primary key,
    value text not null
);

-- One row per namespace; the first component of every repository names one.
create table namespaces (
    name text not null primary key,
    visibility text not null check (visibility in ('public', 'private')),
    created_at timestamptz not null,
    created_by text not null references accounts (name)
);

-- Who belongs to a namespace. Owners also change members and keys, publishers
-- also push, readers may pull from a private namespace.
create table namespace_members (
    namespace text not null references namespaces (name),
    account text not null references accounts (name),
    role text not null check (role in ('owner', 'publisher', 'reader')),
    added_at timestamptz not null,
    primary key (namespace, account)
);
create index namespace_members_by_account on namespace_members (account);

-- Public keys whose signatures count as the namespace's own. A removed key
-- stays as a row: what it signed must remain explainable.
create table namespace_keys (
    namespace text not null references namespaces (name),
    fingerprint text not null,
    pem text not null,
    added_at timestamptz not null,
    added_by text not null references accounts (name),
    removed_at timestamptz,
    primary key (namespace, fingerprint)
);
