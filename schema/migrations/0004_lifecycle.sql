-- SPDX-License-Identifier: Apache-2.0
-- What publishers say later of what they published. That a version is yanked
-- stands in `versions`.

-- One row per package or version that its publisher advises against; `version`
-- is empty for all of a package. It is chosen and pulled as before, with the
-- message beside it. `replacement` is a reference such as `netops/other:2.0.0`.
create table deprecations (
    package text not null references packages (package),
    version text not null,
    message text not null,
    replacement text,
    deprecated_at timestamptz not null,
    primary key (package, version)
);
