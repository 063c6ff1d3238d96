// SPDX-License-Identifier: Apache-2.0
//! Too much is refused, of the right one, and on every replica.

use registry_server::config::Config;
use reqwest::Method;

use crate::{
    engines,
    support::{TestRegistry, expect, header, package::PackageBuilder, refused},
};

#[tokio::test]
async fn an_address_makes_only_so_many_requests_per_second() {
    let registry = TestRegistry::start_with(|mut config| {
        config.limits.requests_per_second = 5;
        config
    })
    .await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(registry.anonymous.get("/v2/").await);
    }
    let first = &answers[0];
    assert_eq!(header(first, "ratelimit-policy"), "\"address\";q=5;w=1");
    let refused_at = answers.iter().position(|answer| answer.status() == 429);
    let refused_at = refused_at.expect("50 requests take less than ten seconds");
    assert!(refused_at >= 5, "{refused_at}");
    let answer = answers.swap_remove(refused_at);
    assert_eq!(header(&answer, "retry-after"), "1");
    assert_eq!(header(&answer, "ratelimit"), "\"address\";r=0;t=1");
    refused(answer, 429, "TOOMANYREQUESTS").await;
}

/// A client cannot escape its limit, or use up another's, by inventing addresses.
#[tokio::test]
async fn an_invented_address_helps_nobody() {
    let registry = TestRegistry::start_with(|mut config| {
        config.limits.requests_per_second = 5;
        config
    })
    .await;
    let mut limited = false;
    for n in 0..50 {
        let request = registry.anonymous.request(Method::GET, "/v2/");
        let request = request.header("x-forwarded-for", format!("203.0.113.{n}"));
        limited |= request.send().await.expect("an answer").status() == 429;
    }
    assert!(limited);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let registry = TestRegistry::start_with(|mut config| {
        config.limits.requests_per_second = 5;
        config.limits.trusted_proxy = vec!["127.0.0.0/8".parse().expect("a network")];
        config
    })
    .await;
    let ask = async |forwarded: String| {
        let request = registry.anonymous.request(Method::GET, "/healthz");
        let request = request.header("x-forwarded-for", forwarded);
        request.send().await.expect("an answer").status().as_u16()
    };
    for n in 0..50 {
        assert_eq!(ask(format!("203.0.113.{n}")).await, 200);
    }
    // What the client itself put into the header stands on the left and changes nothing.
    let mut limited = false;
    for n in 0..50 {
        limited |= ask(format!("198.51.100.{n}, 192.0.2.1")).await == 429;
    }
    assert!(limited);
}

async fn fail(registry: &TestRegistry) -> reqwest::Response {
    let request = registry.anonymous.request(Method::GET, "/token");
    let request = request.basic_auth("admin", Some("wrong"));
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn guessing_is_shut_out_on_every_replica() {
    let few = |mut config: Config| {
        config.limits.failed_logins = 3;
        config
    };
    let Some((_cluster, one)) = engines::postgresql(few).await else {
        return;
    };
    let two = one.replica().await;
    for _ in 0..3 {
        expect(fail(&one).await, 401).await;
    }
    // The fourth failure is one too many; it is told to wait from the next on.
    expect(fail(&one).await, 401).await;
    let wait = refused_for(fail(&one).await).await;
    assert!((1..=601).contains(&wait), "{wait}");
    // The right password is not listened to either, or guessing would go on.
    let right = one.admin.get("/token").await;
    expect(right, 429).await;
    // Another replica learns it at its first failure.
    expect(fail(&two).await, 401).await;
    refused_for(fail(&two).await).await;
    // Who shows no credentials is served, and in the next window everybody.
    expect(one.anonymous.get("/v2/_catalog").await, 200).await;
    one.later(chrono::Duration::minutes(11));
    expect(one.admin.get("/token").await, 200).await;
}

async fn refused_for(answer: reqwest::Response) -> u64 {
    let seconds = header(&answer, "retry-after").parse().expect("a number");
    refused(answer, 429, "TOOMANYREQUESTS").await;
    seconds
}

#[tokio::test]
async fn an_account_publishes_only_so_many_versions_per_hour() {
    let registry = TestRegistry::start_with(|mut config| {
        config.limits.publishes_per_hour = 2;
        config
    })
    .await;
    let publish = async |version: &str| {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        packed.push(&registry.admin, version).await
    };
    expect(publish("1.0.0").await, 201).await;
    expect(publish("1.1.0").await, 201).await;
    let answer = publish("1.2.0").await;
    assert!(!header(&answer, "retry-after").is_empty());
    let says = refused(answer, 429, "TOOMANYREQUESTS").await;
    assert!(says.contains("2 versions in an hour"), "{says}");
    // A version that is there already is no new one, and the refused one left nothing.
    expect(publish("1.1.0").await, 201).await;
    let page = registry.anonymous.json("/api/v1/packages/demo/pass").await;
    assert_eq!(page["versions"].as_array().map(Vec::len), Some(2));
    registry.later(chrono::Duration::hours(1));
    expect(publish("1.2.0").await, 201).await;
}
