// SPDX-License-Identifier: Apache-2.0
//! What a person's browser does, as far as sign-in needs it.

use std::collections::HashMap;

use reqwest::{RequestBuilder, Response};

use super::TestRegistry;

/// A browser without scripts, that keeps cookies and follows nothing.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) client: reqwest::Client,
    pub(crate) origin: String,
    pub(crate) cookies: HashMap<String, String>,
}

impl Browser {
    pub(crate) fn new(registry: &TestRegistry) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            client: client.build().expect("a client"),
            origin: registry.origin.clone(),
            cookies: HashMap::new(),
        }
    }

    pub(crate) async fn send(&mut self, request: RequestBuilder) -> Response {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookie = pairs.collect::<Vec<_>>().join("; ");
        let answer = request
            .header("cookie", cookie)
            .send()
            .await
            .expect("an answer");
        for line in answer.headers().get_all("set-cookie") {
            let line = line.to_str().expect("text");
            for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
                assert!(line.contains(attribute), "{line}");
            }
            let (pair, _) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.origin));
        self.send(request).await
    }
}
