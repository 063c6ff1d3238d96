// SPDX-License-Identifier: Apache-2.0
//! The audit log: complete, in order, and proof against whoever can write the database.

use registry_schema::audit::{AuditBreak, AuditPage};
use registry_server::{
    service::{
        audit::{self, Verdict},
        namespace,
    },
    store::Db,
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{TestRegistry, administrator, expect, package::KeyPair};

async fn sql(db: &Db, text: &str) {
    let text = AssertSqlSafe(text.to_owned());
    let rows = match db {
        Db::Sqlite(_, writer, _) => {
            let done = sqlx::raw_sql(text).execute(writer).await;
            done.expect("SQL").rows_affected()
        }
        Db::Postgres(pool) => sqlx::raw_sql(text)
            .execute(pool)
            .await
            .expect("SQL")
            .rows_affected(),
    };
    assert!(rows > 0, "nothing was changed");
}

async fn verdict(registry: &TestRegistry, noted: &[(i64, String)]) -> Verdict {
    audit::verify(&registry.app.db, noted)
        .await
        .expect("a verdict")
}

/// Ten namespaces at once: ten entries without a gap, whoever was first.
pub(crate) async fn story(registry: &TestRegistry) {
    let made = (0..10).map(async |at: u32| {
        let name = format!("many{at}").parse().expect("a name");
        let public = registry_schema::api::Visibility::Public;
        namespace::create(&registry.app, &administrator(), &name, public)
            .await
            .expect("it is made");
    });
    futures::future::join_all(made).await;
    let Verdict::Whole { entries, hash } = verdict(registry, &[]).await else {
        panic!("the log is broken")
    };
    assert!(entries >= 12, "{entries}");
    let noted = [(entries, hash)];
    let after = entries - 3;
    let page: AuditPage = serde_json::from_value(
        registry
            .admin
            .json(&format!("/api/v1/audit?after={after}&limit=2"))
            .await,
    )
    .expect("a page");
    let numbers: Vec<i64> = page.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [after + 1, after + 2]);
    assert_eq!(page.next, Some(after + 2));

    edits(registry, &noted).await;
    cuts(registry, entries, &noted).await;
}

/// Whoever can write the database cannot do so unseen. Each change is undone again.
async fn edits(registry: &TestRegistry, noted: &[(i64, String)]) {
    for (column, wrong) in [
        ("actor", "'mallory'"),
        ("credential", "'token 000000000000 other'"),
        ("action", "'nothing.much'"),
        ("subject", "'other'"),
        ("detail", "'{}'"),
        ("detail", "'{'"),
        ("at", "'2020-01-01T00:00:00Z'"),
    ] {
        sql(
            &registry.app.db,
            "create table kept as select * from audit_log where sequence = 5; \
             update audit_log set subject = subject where sequence = 5",
        )
        .await;
        sql(
            &registry.app.db,
            &format!("update audit_log set {column} = {wrong} where sequence = 5"),
        )
        .await;
        assert_eq!(
            verdict(registry, &[]).await,
            Verdict::Broken(AuditBreak::Content(5)),
            "{column}"
        );
        sql(
            &registry.app.db,
            "delete from audit_log where sequence = 5; \
             insert into audit_log select * from kept; drop table kept; \
             update audit_log set subject = subject where sequence = 5",
        )
        .await;
        assert!(
            matches!(verdict(registry, noted).await, Verdict::Whole { .. }),
            "{column}"
        );
    }
}

async fn cuts(registry: &TestRegistry, entries: i64, noted: &[(i64, String)]) {
    // An end that was cut off, with the note of the end adapted: only who noted a hash sees it.
    let cut = format!("delete from audit_log where sequence = {entries}");
    sql(&registry.app.db, &cut).await;
    let found = entries - 1;
    let missing = Verdict::Broken(AuditBreak::Cut {
        expected: entries,
        found,
    });
    assert_eq!(verdict(registry, &[]).await, missing);
    sql(
        &registry.app.db,
        &format!(
            "update audit_head set sequence = {found}, \
         hash = (select hash from audit_log where sequence = {found})"
        ),
    )
    .await;
    assert!(matches!(
        verdict(registry, &[]).await,
        Verdict::Whole { .. }
    ));
    assert_eq!(verdict(registry, noted).await, missing);
    // The same number with another content, made by the program itself.
    let name = "another".parse().expect("a name");
    let public = registry_schema::api::Visibility::Public;
    namespace::create(&registry.app, &administrator(), &name, public)
        .await
        .expect("it is made");
    assert!(matches!(
        verdict(registry, &[]).await,
        Verdict::Whole { .. }
    ));
    let rewritten = Verdict::Broken(AuditBreak::Rewritten(entries));
    assert_eq!(verdict(registry, noted).await, rewritten);
    // A hole.
    sql(&registry.app.db, "delete from audit_log where sequence = 3").await;
    let gap = AuditBreak::Gap {
        expected: 3,
        found: 4,
    };
    assert_eq!(verdict(registry, &[]).await, Verdict::Broken(gap));
}

#[tokio::test]
async fn the_log_holds_on_sqlite() {
    story(&TestRegistry::start().await).await;
}

#[tokio::test]
async fn an_entry_says_who_with_what() {
    let registry = TestRegistry::start().await;
    let key = KeyPair::new(3);
    let body = json!({"pem": key.public.to_pem()});
    let request = registry
        .admin
        .request(reqwest::Method::POST, "/api/v1/namespaces/demo/keys");
    expect(request.json(&body).send().await.expect("an answer"), 201).await;
    let page = registry
        .admin
        .json("/api/v1/audit?namespace=demo&limit=1")
        .await;
    let entry = &page["entries"][0];
    assert_eq!(entry["actor"], "admin");
    assert_eq!(
        (&entry["action"], &entry["subject"]),
        (&json!("key.add"), &json!("demo"))
    );
    assert_eq!(
        entry["detail"],
        json!({"fingerprint": key.public.fingerprint().to_string()})
    );
    let credential = entry["credential"].as_str().expect("text");
    assert!(
        credential.starts_with("token ") && credential.ends_with(" first start"),
        "{credential}"
    );
    assert_eq!(page["next"], entry["sequence"]);
    // What is refused leaves no entry.
    let before = registry.admin.json("/api/v1/audit?limit=1").await;
    let request = registry
        .admin
        .request(reqwest::Method::POST, "/api/v1/namespaces");
    let taken = request
        .json(&json!({"name": "demo"}))
        .send()
        .await
        .expect("an answer");
    expect(taken, 409).await;
    assert_eq!(registry.admin.json("/api/v1/audit?limit=1").await, before);
}

#[tokio::test]
async fn owners_read_their_namespace_and_administrators_everything() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", Some("owner")).await;
    let bob = registry.user("bob", Some("publisher")).await;
    let of_demo: Value = alice.json("/api/v1/audit?namespace=demo").await;
    for entry in of_demo["entries"].as_array().expect("a list") {
        assert!(
            entry["subject"].as_str().expect("text").starts_with("demo"),
            "{entry}"
        );
    }
    for (user, path, status) in [
        (&registry.anonymous, "/api/v1/audit", 401),
        (&registry.anonymous, "/api/v1/audit?namespace=demo", 401),
        (&bob, "/api/v1/audit?namespace=demo", 403),
        (&bob, "/api/v1/audit", 403),
        (&alice, "/api/v1/audit", 403),
        (&alice, "/api/v1/audit?namespace=secret", 404),
        (&alice, "/api/v1/audit?namespace=missing", 404),
        (&registry.admin, "/api/v1/audit?before=1&after=1", 400),
        (&registry.admin, "/api/v1/audit?limit=x", 400),
        (
            &registry.admin,
            "/api/v1/audit?limit=9223372036854775807&before=-5",
            200,
        ),
    ] {
        expect(user.get(path).await, status).await;
    }
}
