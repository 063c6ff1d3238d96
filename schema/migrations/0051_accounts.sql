-- SPDX-License-Identifier: Apache-2.0
-- People with passwords, robots that CI providers vouch for, four roles, and
-- tokens that may less than their accounts.

-- A robot is a trusted publisher: nobody logs in as one. `password` is an
-- argon2id hash with its parameters. A disabled account keeps its rows: what it
-- did must remain explainable.
alter table accounts add column robot boolean not null default false;
alter table accounts add column password text;
alter table accounts add column disabled_at timestamptz;

-- `scopes` is a JSON array; null means all that the account may. A token that
-- was made with another token ends when that one is revoked.
alter table tokens add column scopes text;
alter table tokens add column last_used_at timestamptz;
alter table tokens add column parent text;

-- A deleted namespace keeps its name, which nobody gets again.
alter table namespaces add column deleted_at timestamptz;

-- The same table with the role between publisher and owner, and `reader` called
-- what it is elsewhere.
create table members (
    namespace text not null references namespaces (name),
    account text not null references accounts (name),
    role text not null check (role in ('owner', 'maintainer', 'publisher', 'viewer')),
    added_at timestamptz not null,
    primary key (namespace, account)
);
insert into members (namespace, account, role, added_at)
select namespace, account, case role when 'reader' then 'viewer' else role end, added_at
from namespace_members;
drop table namespace_members;
alter table members rename to namespace_members;
create index namespace_members_by_account on namespace_members (account);

-- Who may publish in a namespace with nothing but a provider's ID token. `account`
-- is the robot that the packages are then published by. `subject` and the values
-- of `claims` (a JSON object) are patterns.
create table trusted_publishers (
    account text not null primary key references accounts (name),
    namespace text not null references namespaces (name),
    name text not null,
    issuer text not null,
    subject text not null,
    claims text not null,
    packages text not null,
    added_at timestamptz not null,
    added_by text not null references accounts (name)
);
create index trusted_publishers_by_issuer on trusted_publishers (issuer);
create index trusted_publishers_by_namespace on trusted_publishers (namespace, name);

-- ID tokens that were exchanged, until they would expire anyway: none is taken
-- twice. `token` is the one that was given for it.
create table exchanged (
    issuer text not null,
    jti text not null,
    token text not null references tokens (hash),
    direct boolean not null,
    expires_at timestamptz not null,
    primary key (issuer, jti)
);
create index exchanged_by_expiry on exchanged (expires_at);

-- Client certificates that stand for accounts: by a name in the certificate, or
-- by the SHA-256 of its public key.
create table certificates (
    kind text not null check (kind in ('uri', 'dns', 'email', 'spki')),
    value text not null,
    account text not null references accounts (name),
    added_at timestamptz not null,
    added_by text not null references accounts (name),
    primary key (kind, value)
);

-- Who is logged in to the web pages. `hash` is the SHA-256 of the cookie, `token`
-- the API token that was shown instead of a password: the session ends with it.
create table sessions (
    hash text not null primary key,
    account text not null references accounts (name),
    token text references tokens (hash),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index sessions_by_account on sessions (account);
create index sessions_by_expiry on sessions (expires_at);

-- Logins that wait for the provider's answer.
create table logins (
    state text not null primary key,
    nonce text not null,
    verifier text not null,
    expires_at timestamptz not null
);
create index logins_by_expiry on logins (expires_at);

-- Which identity of a login provider is which account.
create table identities (
    issuer text not null,
    subject text not null,
    account text not null references accounts (name),
    created_at timestamptz not null,
    primary key (issuer, subject)
);
create index identities_by_account on identities (account);
