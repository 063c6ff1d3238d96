// SPDX-License-Identifier: Apache-2.0
//! Every kind of caller, and what each must get by the table.

use super::rows::Needs::{
    self, Account, Administrator, Maintainer, Member, Nothing, Owner, Publisher, Viewer,
};
use super::rows::Row;
use crate::support::{TestRegistry, User};

/// A caller: what it is in `demo`, and in `secret` (where only `inside` belong).
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) user: User,
    /// What it has in `demo`; `Account` for a stranger, `Nothing` for nobody.
    role: Needs,
    /// Whether it has the same role in `secret`.
    inside: bool,
    /// What its token is limited to; none if to nothing.
    only: Option<&'static [&'static str]>,
    /// Whether its credential is worth nothing.
    dead: bool,
}

/// What an answer must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Allowed: whatever the request itself deserves.
    Allowed,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404, as if there were nothing.
    Hidden,
}

pub(super) fn expected(row: &Row, actor: &Actor, private: bool) -> Outcome {
    let Row(_, path, needs, word) = row;
    if actor.dead {
        // Some routes look at nobody.
        let blind = *word == "blind";
        return if blind {
            Outcome::Allowed
        } else {
            Outcome::Unauthorized
        };
    }
    if *word == "blind" || *needs == Nothing {
        return Outcome::Allowed;
    }
    let oci = path.starts_with("/v2");
    let anonymous = actor.role == Nothing;
    let administrator = actor.role == Administrator;
    if *word == "accept" {
        return if anonymous {
            Outcome::Unauthorized
        } else {
            Outcome::Hidden
        };
    }
    let about = path.contains("NS") || path.contains("{namespace}");
    if !about {
        return match (anonymous, needs, word) {
            // Where registration is closed, that is the answer to whoever asks.
            (_, Administrator, _)
                if *path == "/api/v1/accounts" && row.0 == "POST" && !administrator =>
            {
                Outcome::Forbidden
            }
            (true, ..) => Outcome::Unauthorized,
            (_, Administrator, _) if !administrator => Outcome::Forbidden,
            (_, _, &"!" | &"manage" | &"admin") if actor.only.is_some() => Outcome::Forbidden,
            _ => Outcome::Allowed,
        };
    }
    if *needs == Administrator {
        // Who is none learns nothing about the namespace either.
        let limited = !administrator || actor.only.is_some();
        return match (anonymous, limited) {
            (true, _) => Outcome::Unauthorized,
            (false, true) => Outcome::Forbidden,
            (false, false) => Outcome::Allowed,
        };
    }
    // A token that says nothing of the namespace is a stranger's there.
    let touches = actor.only.is_none_or(|words| !words.is_empty());
    let member = actor.role >= Viewer && touches && (!private || actor.inside || administrator);
    if private && !member {
        // The catalogue never asks for a password: what one may not read is not there.
        let asks = oci || !matches!(needs, Viewer);
        return if anonymous && asks {
            Outcome::Unauthorized
        } else {
            Outcome::Hidden
        };
    }
    let covered = actor
        .only
        .is_none_or(|words| words.contains(word) || (*word == "star"));
    match needs {
        Viewer if !private => Outcome::Allowed,
        Viewer if covered => Outcome::Allowed,
        Viewer if oci => Outcome::Forbidden,
        Viewer => Outcome::Hidden,
        _ if anonymous => Outcome::Unauthorized,
        Account => Outcome::Allowed,
        Member if !covered => Outcome::Forbidden,
        Member if member => Outcome::Allowed,
        _ if covered && member && actor.role >= *needs => Outcome::Allowed,
        _ => Outcome::Forbidden,
    }
}

/// All of them.
pub(super) async fn actors(registry: &TestRegistry) -> Vec<Actor> {
    let actor = |name, user, role, inside| Actor {
        name,
        user,
        role,
        inside,
        only: None,
        dead: false,
    };
    let mut actors = vec![
        actor("anonymous", registry.anonymous.clone(), Nothing, false),
        actor(
            "stranger",
            registry.user("stranger", None).await,
            Account,
            false,
        ),
        actor("administrator", registry.admin.clone(), Administrator, true),
        actor(
            "owner-of-demo",
            registry.user("owner-of-demo", Some("owner")).await,
            Owner,
            false,
        ),
    ];
    for (name, role) in [
        ("viewer", Viewer),
        ("publisher", Publisher),
        ("maintainer", Maintainer),
        ("owner", Owner),
    ] {
        let user = registry.user(name, Some(name)).await;
        registry.join("secret", name, name).await;
        actors.push(actor(name, user, role, true));
    }
    let limits: [(&str, &str, &str, &'static [&'static str]); 5] = [
        ("owner: pull", "owner", "*:pull", &["pull"]),
        ("owner: push", "owner", "*:pull,push", &["pull", "push"]),
        (
            "owner: no manage",
            "owner",
            "*:pull,push,delete,yank",
            &["pull", "push", "delete", "yank"],
        ),
        ("owner: elsewhere", "owner", "other/*:pull,push,manage", &[]),
        ("administrator: pull", "admin", "*:pull", &["pull"]),
    ];
    for (name, account, scope, only) in limits {
        let role = if account == "admin" {
            Administrator
        } else {
            Owner
        };
        let user = registry.with_token(account, &[scope]).await;
        let limited = actor(name, user, role, true);
        actors.push(Actor {
            only: Some(only),
            ..limited
        });
    }
    for (name, user) in crate::oidc::dead(registry).await {
        actors.push(Actor {
            dead: true,
            ..actor(name, user, Owner, true)
        });
    }
    let ci = crate::oidc::publisher(registry).await;
    actors.push(Actor {
        only: Some(&["pull", "push"]),
        ..actor("CI job", ci, Publisher, false)
    });
    actors
}
