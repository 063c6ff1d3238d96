-- SPDX-License-Identifier: Apache-2.0
-- How often something happened, for limits that hold on all replicas.

-- One row per action, whom it is counted for, and window of time. Rows of windows
-- that are over are deleted when a new window begins.
create table counters (
    action text not null,
    subject text not null,
    window_start timestamptz not null,
    number bigint not null check (number > 0),
    primary key (action, subject, window_start)
);
create index counters_by_window on counters (action, window_start);
