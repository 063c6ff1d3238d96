-- SPDX-License-Identifier: Apache-2.0
-- What the catalogue shows. Written in the same transaction as the tag that
-- makes a version.

-- One row per package; `package` is `namespace/name`, and also its repository.
create table packages (
    package text not null primary key references repositories (name),
    namespace text not null references namespaces (name),
    name text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index packages_by_namespace on packages (namespace, name);

-- One row per published version; never updated except by a yank. `config` is
-- the package manifest as canonical JSON, `size_bytes` the sum of everything
-- the index leads to.
create table versions (
    package text not null references packages (package),
    version text not null,
    index_digest text not null,
    config text not null,
    readme_digest text,
    size_bytes bigint not null check (size_bytes >= 0),
    published_at timestamptz not null,
    published_by text not null references accounts (name),
    yanked_at timestamptz,
    yank_reason text,
    primary key (package, version)
);
create index versions_by_index on versions (package, index_digest);
create index versions_by_time on versions (published_at);

-- One row per object of a version. `profile` and `findings` are derived from
-- the object's bytes by this server, never taken from the publisher.
create table version_objects (
    package text not null,
    version text not null,
    target text not null,
    manifest_digest text not null,
    object_digest text not null,
    size_bytes bigint not null check (size_bytes >= 0),
    profile text not null,
    findings text not null,
    primary key (package, version, target),
    foreign key (package, version) references versions (package, version)
);

-- One row per signature that arrived for a digest, whether or not the digest
-- has a version yet: signatures may be pushed before or after the tag.
-- `fingerprint` names the key that verified it, or the key it claims. `layer` is the
-- bundle, or the payload that `simple_signature` (base64) signs.
create table signatures (
    repository text not null,
    subject text not null,
    manifest text not null,
    layer text not null,
    simple_signature text,
    state text not null check (state in ('verified', 'unknown_key', 'invalid')),
    fingerprint text,
    reason text,
    seen_at timestamptz not null,
    primary key (repository, manifest, layer),
    foreign key (repository, manifest) references manifests (repository, digest) on delete cascade
);
create index signatures_by_subject on signatures (repository, subject);

-- One star of one account.
create table stars (
    package text not null references packages (package),
    account text not null references accounts (name),
    starred_at timestamptz not null,
    primary key (package, account)
);

-- One row per version, day (UTC, days since 1970-01-01) and puller, so that a
-- loop of one machine counts once. `puller` is a keyed hash, not an address.
create table pulls (
    package text not null,
    version text not null,
    day bigint not null,
    puller text not null,
    primary key (package, version, day, puller),
    foreign key (package, version) references versions (package, version)
);

-- The change feed that search indexes follow. The head is one row, so that
-- writers take numbers in the order in which they commit.
create table change_head (
    id bigint not null primary key check (id = 1),
    sequence bigint not null
);
insert into change_head (id, sequence) values (1, 0);

create table changes (
    sequence bigint not null primary key,
    package text not null,
    changed_at timestamptz not null
);
