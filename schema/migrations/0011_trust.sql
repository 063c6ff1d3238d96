-- SPDX-License-Identifier: Apache-2.0
-- What clients and nodes take from this registry to judge it by.

-- One row per version of the trust root, as it was signed offline. Each follows the one
-- before it; none is ever changed.
create table trust_roots (
    version bigint not null primary key check (version >= 1),
    body bytea not null,
    published_at timestamptz not null,
    published_by text not null references accounts (name)
);

-- One row per thing that is revoked, in the order in which they were; none is ever taken
-- out. `subject` is the text form: `key:…`, `oidc:…`, `sha256:…` or `version:…`.
create table revocations (
    subject text not null primary key,
    sequence bigint not null unique,
    revoked_at timestamptz not null,
    reason text not null check (reason in ('compromised', 'superseded', 'malicious', 'defective')),
    note text not null,
    added_at timestamptz not null,
    added_by text not null
);

-- The feed that was signed last. One row, locked while another is signed.
create table revocation_feed (
    id bigint not null primary key check (id = 1),
    version bigint not null,
    body bytea,
    issued_at timestamptz,
    expires_at timestamptz
);
insert into revocation_feed (id, version) values (1, 0);
