// SPDX-License-Identifier: Apache-2.0
//! A registry to test against, people who use it, and packages to push.

pub(crate) mod browser;
pub(crate) mod nginx;
pub(crate) mod package;
pub(crate) mod process;
pub(crate) mod provider;
pub(crate) mod s3;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Duration, Utc};
use registry_schema::{
    Digest,
    account::{NewAccount, NewToken},
    api::Visibility,
};
use registry_server::{
    Config,
    app::App,
    clock::{Clock, Random},
    http,
    service::{access::Caller, account, member, namespace, token},
    store::Db,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Takes the end from every token.
const FOR_EVER: &str = "update tokens set expires_at = null";

/// A registry on a free port of the loopback interface, with a clock that tests turn.
/// It has the public namespace `demo` and the private one `secret`.
pub(crate) struct TestRegistry {
    pub(crate) app: App,
    pub(crate) origin: String,
    pub(crate) admin: User,
    pub(crate) anonymous: User,
    seconds: Arc<AtomicI64>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    pub(crate) dir: Option<TempDir>,
}

/// Somebody with or without a token.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) client: reqwest::Client,
    pub(crate) origin: String,
    pub(crate) token: Option<String>,
}

impl TestRegistry {
    pub(crate) async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(Config) -> Config) -> Self {
        let dir = TempDir::new().expect("a directory");
        let config = change(Config::local(dir.path()));
        Self::open(config, dir).await
    }

    async fn open(config: Config, dir: TempDir) -> Self {
        let (registry, token) = Self::serve(config, dir, Arc::default()).await;
        let admin = User {
            token,
            ..registry.anonymous.clone()
        };
        // Tests turn the clock by years.
        match &registry.app.db {
            Db::Sqlite(_, writer, ..) => drop(sqlx::query(FOR_EVER).execute(writer).await),
            Db::Postgres(pool) => drop(sqlx::query(FOR_EVER).execute(pool).await),
        }
        for (name, visibility) in [
            ("demo", Visibility::Public),
            ("secret", Visibility::Private),
        ] {
            let name = name.parse().expect("a name");
            namespace::create(&registry.app, &administrator(), &name, visibility)
                .await
                .expect("a fresh namespace");
        }
        registry.with_admin(admin)
    }

    /// Opens and serves, and gives the administrator's token of a first start.
    async fn serve(
        config: Config,
        dir: TempDir,
        seconds: Arc<AtomicI64>,
    ) -> (Self, Option<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr: SocketAddr = listener.local_addr().expect("an address");
        let clock = clock(seconds.clone());
        let (app, token) = Box::pin(registry_server::open(config, addr, clock, Random::system()))
            .await
            .expect("the registry opens");
        let (stop, stopped) = watch::channel(false);
        let router = http::router(app.clone());
        let task = Some(tokio::spawn(http::serve(
            listener,
            router,
            app.clone(),
            stopped,
        )));
        let origin = app.origin().to_owned();
        let client = reqwest::Client::new();
        let anonymous = User {
            client,
            origin: origin.clone(),
            token: None,
        };
        let (admin, dir) = (anonymous.clone(), Some(dir));
        (
            Self {
                app,
                origin,
                admin,
                anonymous,
                seconds,
                stop,
                task,
                dir,
            },
            token,
        )
    }

    /// Another replica of the same registry, whose database must be a shared one.
    pub(crate) async fn replica(&self) -> Self {
        let dir = TempDir::new().expect("a directory");
        let config = Config {
            data: dir.path().to_owned(),
            ..self.app.config.clone()
        };
        let (registry, _) = Self::serve(config, dir, self.seconds.clone()).await;
        let admin = User {
            token: self.admin.token.clone(),
            ..registry.anonymous.clone()
        };
        registry.with_admin(admin)
    }

    /// An account with a token, and with a role in `demo` if one is given.
    pub(crate) async fn user(&self, name: &str, role: Option<&str>) -> User {
        let new = NewAccount {
            name: name.to_owned(),
            password: None,
            administrator: false,
        };
        account::create(&self.app, &administrator(), &new)
            .await
            .expect("an account");
        if let Some(role) = role {
            self.join("demo", name, role).await;
        }
        self.with_token(name, &[]).await
    }

    /// Gives an account a role in a namespace.
    pub(crate) async fn join(&self, namespace: &str, name: &str, role: &str) {
        let (namespace, role) = (namespace.parse().expect("a name"), role.parse());
        let role = role.expect("a role");
        member::set(&self.app, &administrator(), &namespace, name, role)
            .await
            .expect("a member");
    }

    /// The account `name` with a new token, limited to scopes if there are any.
    pub(crate) async fn with_token(&self, name: &str, scopes: &[&str]) -> User {
        let scopes = scopes.iter().map(|scope| scope.parse().expect("a scope"));
        let new = NewToken {
            label: "test".to_owned(),
            scopes: scopes.collect(),
            days: None,
            account: Some(name.to_owned()),
        };
        let issued = token::issue(&self.app, &administrator(), &new).await;
        User {
            token: Some(issued.expect("a token").token),
            ..self.admin.clone()
        }
    }

    /// Turns the clock.
    pub(crate) fn later(&self, by: Duration) {
        self.seconds.fetch_add(by.num_seconds(), Ordering::SeqCst);
    }

    /// Stops the server and starts another on the same data.
    pub(crate) async fn restart(mut self) -> Self {
        let dir = self.dir.take().expect("a directory");
        self.stop.send_replace(true);
        self.task
            .take()
            .expect("a task")
            .await
            .expect("a clean end");
        self.app.db.close().await;
        let (config, admin) = (self.app.config.clone(), self.admin.token.clone());
        let seconds = self.seconds.clone();
        // The last owner of the search index must be gone before the next takes it.
        drop(self);
        let (registry, first) = Self::serve(config, dir, seconds).await;
        assert_eq!(first, None, "only the first start makes a token");
        let admin = User {
            token: admin,
            ..registry.anonymous.clone()
        };
        registry.with_admin(admin)
    }

    fn with_admin(mut self, admin: User) -> Self {
        self.admin = admin;
        self
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn clock(seconds: Arc<AtomicI64>) -> Clock {
    let start = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).expect("a moment");
    Clock::from_fn(move || start + Duration::seconds(seconds.load(Ordering::SeqCst)))
}

/// The administrator, for what has no path under `/v2`.
pub(crate) fn administrator() -> Caller {
    Caller::console()
}

impl User {
    /// A request with the user's token as password, as `docker login` would send it.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.origin)
        };
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.basic_auth("anybody", Some(token)),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) async fn head(&self, path: &str) -> Response {
        self.request(Method::HEAD, path)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str) -> Response {
        let request = self.request(Method::POST, path).header("content-length", 0);
        request.send().await.expect("an answer")
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.expect("JSON")
    }

    /// Pushes a blob with one request.
    pub(crate) async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let request = self.request(Method::POST, &path).body(bytes.to_vec());
        let response = request.send().await.expect("an answer");
        assert_eq!(
            response.status(),
            StatusCode::CREATED,
            "{:?}",
            response.text().await
        );
        digest
    }

    /// Pushes a manifest and gives the answer.
    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        kind: &str,
        body: &[u8],
    ) -> Response {
        let path = format!("/v2/{name}/manifests/{reference}");
        let request = self
            .request(Method::PUT, &path)
            .header("content-type", kind);
        request.body(body.to_vec()).send().await.expect("an answer")
    }
}

/// Demands a status, and shows the body if it is another.
pub(crate) async fn expect(response: Response, status: u16) -> Response {
    if response.status().as_u16() != status {
        let (actual, url) = (response.status(), response.url().clone());
        panic!(
            "{url}: {actual} instead of {status}: {}",
            response.text().await.unwrap_or_default()
        );
    }
    response
}

/// Demands a status and an OCI error code; gives the message.
pub(crate) async fn refused(response: Response, status: u16, code: &str) -> String {
    let body: Value = expect(response, status)
        .await
        .json()
        .await
        .expect("an OCI error");
    let error = &body["errors"][0];
    assert_eq!(error["code"], code, "{body}");
    error["message"].as_str().expect("a message").to_owned()
}

/// Demands problem+json with a status and a kind; gives the sentence.
pub(crate) async fn problem(response: Response, status: u16, kind: &str) -> String {
    let response = expect(response, status).await;
    assert_eq!(
        header(&response, "content-type"),
        "application/problem+json"
    );
    let body: Value = response.json().await.expect("a problem");
    assert_eq!(
        (body["type"].as_str(), body["status"].as_u64()),
        (Some(kind), Some(status.into())),
        "{body}"
    );
    body["detail"].as_str().expect("a sentence").to_owned()
}

/// A header as text.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Sends a part of an upload, with `range` as its `Content-Range`.
pub(crate) async fn send(
    user: &User,
    method: Method,
    path: &str,
    range: Option<&str>,
    body: &[u8],
) -> Response {
    let mut request = user.request(method, path).body(body.to_vec());
    if let Some(range) = range {
        request = request.header("content-range", range);
    }
    request.send().await.expect("an answer")
}
