-- SPDX-License-Identifier: Apache-2.0
-- Who changed what. Rows are only ever added; each holds the hash of the one
-- before it, so that none can be changed or taken out unnoticed.

-- One row per change of state. `actor` is the account, empty for nobody;
-- `credential` says what it proved itself with, never the secret. `subject` is
-- what was changed, and `namespace` its namespace if it has one, by which owners
-- find their rows. `detail` is JSON.
create table audit_log (
    sequence bigint not null primary key,
    at timestamptz not null,
    actor text not null,
    credential text not null,
    action text not null,
    subject text not null,
    namespace text,
    detail text not null,
    previous text not null,
    hash text not null
);
create index audit_log_by_namespace on audit_log (namespace, sequence);

-- The last row's number and hash. One row, locked while a transaction appends,
-- so that the order of the rows is the order of the commits.
create table audit_head (
    id bigint not null primary key check (id = 1),
    sequence bigint not null,
    hash text not null
);
insert into audit_head (id, sequence, hash)
values (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
