// SPDX-License-Identifier: Apache-2.0
//! Numbers are counted by route, never by path.

use crate::support::{TestRegistry, expect, header};

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let registry = TestRegistry::start().await;
    for name in ["a", "b", "c"] {
        let path = format!("/api/v1/packages/demo/{name}");
        expect(registry.anonymous.get(&path).await, 404).await;
    }
    registry.admin.push_blob("demo/pass", b"seven b").await;
    expect(registry.anonymous.get("/no/such/page").await, 404).await;
    let answer = expect(registry.anonymous.get("/metrics").await, 200).await;
    assert!(header(&answer, "content-type").starts_with("application/openmetrics-text"));
    let text = answer.text().await.expect("text");
    let counts = |labels: &str, number: u64| {
        let line = format!("bpfpkg_request_seconds_count{{{labels}}} {number}");
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    };
    counts(
        "method=\"GET\",route=\"/api/v1/packages/{namespace}/{name}\",status=\"404\"",
        3,
    );
    counts("method=\"GET\",route=\"none\",status=\"404\"", 1);
    for line in [
        "bpfpkg_received_bytes_total 7",
        "bpfpkg_requests_in_flight 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("\nbpfpkg_connections_open "), "{text}");
    assert!(!text.contains("demo/a"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let registry = TestRegistry::start().await;
    let ask = |name: &'static str, value: &'static str| {
        let request = registry
            .anonymous
            .request(reqwest::Method::GET, "/api/v1/nothing");
        let request = request.header(name, value);
        async move {
            let answer = expect(request.send().await.expect("an answer"), 404).await;
            let id = header(&answer, "x-request-id").to_owned();
            let body: serde_json::Value = answer.json().await.expect("a problem");
            assert_eq!(body["request_id"], id);
            id
        }
    };
    assert_eq!(ask("x-request-id", "job-17.4_a").await, "job-17.4_a");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(
        ask("traceparent", trace).await,
        "0af7651916cd43dd8448eb211c80319c"
    );
    for bad in ["", "a b", "x\"y", &"long".repeat(20)] {
        let bad: &'static str = Box::leak(bad.to_owned().into_boxed_str());
        let id = ask("x-request-id", bad).await;
        assert!(id != bad && id.len() == 32, "{id}");
    }
}
