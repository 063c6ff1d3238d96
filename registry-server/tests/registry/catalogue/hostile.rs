// SPDX-License-Identifier: Apache-2.0
//! Publishers who write more than words.

use super::{html, manifest, object, pack, page};
use crate::support::{TestRegistry, expect};
use registry_schema::PackageManifest;

const CORPUS: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% include \"base.html\" %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u{202e}gnp.exe<b>",
    "<!--<style>*{display:none}</style>-->",
];

/// Every free text of a manifest, each in its own copy.
fn poisoned(text: &str) -> Vec<PackageManifest> {
    let set: [fn(&mut PackageManifest, String); 9] = [
        |manifest, text| manifest.package.summary = text,
        |manifest, text| manifest.package.repository = Some(format!("https://code.example/{text}")),
        |manifest, text| {
            manifest.package.documentation = Some(format!("https://code.example/{text}"));
        },
        |manifest, text| manifest.package.keywords = vec![text],
        |manifest, text| manifest.package.categories = vec![text],
        |manifest, text| manifest.programs[0].attach = Some(text),
        |manifest, text| manifest.parameters[0].help = text,
        |manifest, text| manifest.parameters[0].unit = Some(text),
        |manifest, text| manifest.metrics[0].help = text,
    ];
    let one = |set: fn(&mut PackageManifest, String)| {
        let mut manifest = manifest("demo/hostile", "1.0.0", "x");
        set(&mut manifest, text.to_owned());
        manifest
    };
    set.into_iter().map(one).collect()
}

#[tokio::test]
async fn nothing_a_publisher_writes_becomes_markup() {
    let registry = TestRegistry::start().await;
    let (mut shown, mut number) = (0, 0);
    for text in CORPUS {
        for mut manifest in poisoned(text) {
            number += 1;
            manifest.package.name = format!("demo/hostile{number}").parse().unwrap();
            // What the manifest's own rules refuse never gets this far.
            if manifest.check().is_err() {
                continue;
            }
            expect(
                pack(&manifest, object(), text)
                    .push(&registry.admin, "1.0.0")
                    .await,
                201,
            )
            .await;
            let path = format!("/packages/demo/hostile{number}");
            html::check(&path, &page(&registry.anonymous, &path, 200).await);
            shown += 1;
        }
    }
    assert!(shown > 40, "only {shown} texts reached a page");
    for path in ["/", "/search?limit=100", "/packages/demo"] {
        html::check(path, &page(&registry.anonymous, path, 200).await);
    }
}

#[tokio::test]
async fn nothing_a_reader_writes_becomes_markup() {
    let registry = TestRegistry::start().await;
    for text in CORPUS {
        let encoded = format!(
            "%{}",
            text.bytes()
                .map(|byte| format!("{byte:02X}"))
                .collect::<Vec<_>>()
                .join("%")
        );
        for path in [
            format!("/search?q={encoded}"),
            format!("/search?hook={encoded}"),
            format!("/search?namespace={encoded}"),
        ] {
            html::check(&path, &page(&registry.anonymous, &path, 200).await);
        }
        for path in [format!("/packages/demo/{encoded}"), format!("/{encoded}")] {
            html::check(&path, &page(&registry.anonymous, &path, 404).await);
        }
    }
}
