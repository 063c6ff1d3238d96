-- SPDX-License-Identifier: Apache-2.0
-- Revoking a token and forgetting one look for those that were made with it.
create index tokens_by_parent on tokens (parent);
