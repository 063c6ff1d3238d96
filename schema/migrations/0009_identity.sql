-- SPDX-License-Identifier: Apache-2.0
-- Who may vouch for a namespace's packages, what waits until somebody does, and what was
-- decided about it.

-- How many of a namespace's identities must sign a version of a public registry.
alter table namespaces add column threshold bigint not null default 1 check (threshold >= 1);

-- May approve and refuse versions that wait for review, beside the administrators.
alter table accounts add column reviewer boolean not null default false;

-- One row per version tag that was pushed to a public registry and that nobody may see yet
-- but those who may push: too few identities of its namespace have signed it, or
-- (`review_since`) a reviewer has not looked. `content` is what becomes rows of the catalogue
-- on release, as JSON; `notes` a JSON array of what a reviewer should know.
create table pending_versions (
    package text not null,
    version text not null,
    index_digest text not null,
    content text not null,
    source text,
    notes text not null,
    pushed_at timestamptz not null,
    pushed_by text not null references accounts (name),
    review_since timestamptz,
    primary key (package, version),
    foreign key (package, index_digest) references manifests (repository, digest) on delete cascade
);
create index pending_versions_by_index on pending_versions (package, index_digest);
create index pending_versions_by_time on pending_versions (pushed_at);

-- One row per decision about a version of a public registry, by a person or (empty
-- `decided_by`) by the rules. `record` is the decision signed by this registry, a Sigstore
-- bundle; `attached_at` is when it became a referrer of the index.
create table reviews (
    id text not null primary key,
    package text not null,
    version text not null,
    index_digest text not null,
    decision text not null check (decision in ('accepted', 'approved', 'refused')),
    decided_by text not null,
    reason text not null,
    decided_at timestamptz not null,
    record text not null,
    attached_at timestamptz
);
create index reviews_by_package on reviews (package, version, decided_at);
create index reviews_by_state on reviews (attached_at, decided_at);

-- A key may have been revoked: `superseded` ends what it signs from then on, `compromised`
-- also what it signed since `revoked_since`.
alter table namespace_keys add column revoked_since timestamptz;
alter table namespace_keys add column revocation text check (revocation in ('superseded', 'compromised'));
alter table namespace_keys add column revocation_reason text;

-- People and jobs that sign without a key of their own: the provider's name and a pattern
-- for whom it vouches for. Revoked as a key is.
create table namespace_identities (
    namespace text not null references namespaces (name),
    issuer text not null,
    subject text not null,
    added_at timestamptz not null,
    added_by text not null references accounts (name),
    removed_at timestamptz,
    revoked_since timestamptz,
    revocation text check (revocation in ('superseded', 'compromised')),
    revocation_reason text,
    primary key (namespace, issuer, subject)
);

-- One row per statement in which an identity of a namespace names another that may go on
-- in its place (`retires`) or beside it. `statement` is the signed bundle.
create table continuity (
    id text not null primary key,
    namespace text not null references namespaces (name),
    signer text not null,
    successor text not null,
    retires boolean not null,
    statement text not null,
    accepted_at timestamptz not null,
    accepted_by text not null references accounts (name)
);
create index continuity_by_namespace on continuity (namespace, accepted_at);

-- The same table with one more state, and with the identity that signed.
create table judged_signatures (
    repository text not null,
    subject text not null,
    manifest text not null,
    layer text not null,
    simple_signature text,
    state text not null check (state in ('verified', 'unknown_key', 'revoked', 'invalid')),
    fingerprint text,
    signer text,
    reason text,
    seen_at timestamptz not null,
    primary key (repository, manifest, layer),
    foreign key (repository, manifest) references manifests (repository, digest) on delete cascade
);
insert into judged_signatures
    (repository, subject, manifest, layer, simple_signature, state, fingerprint, signer, reason, seen_at)
    select repository, subject, manifest, layer, simple_signature, state, fingerprint,
        case when state = 'verified' then 'key:' || fingerprint end, reason, seen_at
    from signatures;
drop table signatures;
alter table judged_signatures rename to signatures;
create index signatures_by_subject on signatures (repository, subject);

-- One row per signer epoch of a package: a stretch of its life in which its versions are
-- vouched for by the same identities, or by those they named. Derived from versions,
-- signatures and statements; `signers` is a JSON array, empty until somebody signs.
create table epochs (
    package text not null references packages (package),
    number bigint not null check (number >= 1),
    cause text not null check (cause in ('first', 'signer', 'transfer')),
    signers text not null,
    version text,
    began_at timestamptz not null,
    primary key (package, number)
);

-- The version that a star was given on, which was the latest then.
alter table stars add column version text;
