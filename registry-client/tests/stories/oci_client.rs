// SPDX-License-Identifier: Apache-2.0
//! The crate `oci-client` by itself against the registry, as other Rust programs use it.

use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    manifest::{IMAGE_LAYER_MEDIA_TYPE, OciDescriptor, OciImageManifest},
    secrets::RegistryAuth,
};
use registry_schema::{api::Visibility, media_type};
use registry_server::{Config as Server, Running};

const KIND: &str = "application/vnd.example.note+json";

/// A registry with the public namespace `demo` and the private one `secret`.
struct Stage {
    _data: tempfile::TempDir,
    running: Running,
}

impl Stage {
    async fn set() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let running = registry_server::start(Server::local(data.path())).await;
        let stage = Self {
            _data: data,
            running: running.expect("a registry"),
        };
        let options = registry_client::registry::ConnectOptions {
            credentials: Some(registry_client::auth::Credentials {
                username: "admin".to_owned(),
                password: stage.token().into(),
            }),
            ..Default::default()
        };
        let host = stage.running.addr.to_string();
        let admin = registry_client::registry::Registry::connect(&host, &options);
        let admin = admin.expect("a connection");
        for (name, visibility) in [
            ("demo", Visibility::Public),
            ("secret", Visibility::Private),
        ] {
            let name = name.parse().expect("a name");
            let made = admin.create_namespace(&name, visibility).await;
            made.expect("a namespace");
        }
        stage
    }

    fn token(&self) -> String {
        let token = self.running.admin_token.clone();
        token.expect("the first start gives a token")
    }

    fn reference(&self, name: &str) -> Reference {
        let text = format!("{}/{name}", self.running.addr);
        text.parse().expect("a reference")
    }
}

/// A client that has asked nothing yet.
fn client() -> Client {
    Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })
}

fn layers(bytes: &[u8]) -> Vec<ImageLayer> {
    vec![ImageLayer::oci_v1(bytes.to_vec(), None)]
}

#[tokio::test(flavor = "multi_thread")]
async fn push_pull_list_and_referrers() {
    let stage = Stage::set().await;
    let token = RegistryAuth::Basic("admin".to_owned(), stage.token());
    let nobody = RegistryAuth::Anonymous;
    // More than one of its chunks of 4 MiB.
    let bytes: Vec<u8> = (0..9_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    for name in ["demo/image:1", "demo/image:2", "secret/image:1"] {
        let image = stage.reference(name);
        let config = || Config::oci_v1(b"{}".to_vec(), None);
        let refused = client()
            .push(&image, &layers(&bytes), config(), &nobody, None)
            .await;
        assert!(refused.is_err(), "nobody may push");
        let done = client()
            .push(&image, &layers(&bytes), config(), &token, None)
            .await;
        done.expect("a push");
    }
    let kinds = vec![IMAGE_LAYER_MEDIA_TYPE];
    let (public, secret) = (
        stage.reference("demo/image:1"),
        stage.reference("secret/image:1"),
    );
    let pulled = client().pull(&public, &nobody, kinds.clone()).await;
    let pulled = pulled.expect("a pull");
    assert_eq!(pulled.layers[0].data, bytes);
    let refused = client().pull(&secret, &nobody, kinds.clone()).await;
    assert!(refused.is_err(), "a private image");
    let private = client().pull(&secret, &token, kinds).await;
    assert_eq!(private.expect("a pull").layers[0].data, bytes);

    let tags = client().list_tags(&public, &nobody, None, None).await;
    assert_eq!(tags.expect("tags").tags, ["1", "2"]);
    let page = client()
        .list_tags(&public, &nobody, Some(1), Some("1"))
        .await;
    assert_eq!(page.expect("tags").tags, ["2"]);

    let digest = pulled.digest.expect("a digest");
    let subject = public.clone_with_digest(digest.clone());
    let note = OciImageManifest {
        artifact_type: Some(KIND.to_owned()),
        subject: Some(OciDescriptor {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest,
            size: 1,
            ..OciDescriptor::default()
        }),
        ..OciImageManifest::build(
            &layers(b"a note"),
            &Config::new(b"{}".to_vec(), media_type::OCI_EMPTY.to_owned(), None),
            None,
        )
    };
    let config = Config::new(b"{}".to_vec(), media_type::OCI_EMPTY.to_owned(), None);
    let attached = client()
        .push(
            &stage.reference("demo/image:note"),
            &layers(b"a note"),
            config,
            &token,
            Some(note),
        )
        .await;
    attached.expect("a referrer");
    let reader = client();
    reader
        .store_auth_if_needed(public.registry(), &nobody)
        .await;
    let found = reader.pull_referrers(&subject, Some(KIND)).await;
    let found = found.expect("a list").manifests;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].artifact_type.as_deref(), Some(KIND));
    let others = reader.pull_referrers(&subject, Some("a/b")).await;
    assert!(others.expect("a list").manifests.is_empty());
    stage.running.shutdown().await;
}
