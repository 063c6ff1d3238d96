// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace mirror`, `bpfpkg namespace foreign` and `bpfpkg namespace webhook`.

use clap::Subcommand;
use registry_schema::{
    Namespace, PackageName,
    federation::{NewForeign, NewUpstream, NewUpstreams, NewWebhook, Upstream, UpstreamMode},
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::registry::Registry;

/// Have the registry fetch a namespace's packages from other registries, and keep them
///
/// Without `--upstream`, lists where it fetches from now.
#[derive(Debug, clap::Args)]
pub(super) struct MirrorArgs {
    /// The namespace
    namespace: Namespace,
    /// Where to fetch from, `[http://]host[/prefix]`, asked in this order; repeat for more
    #[arg(long, value_name = "PLACE", conflicts_with = "off")]
    upstream: Vec<String>,
    /// For how many seconds a tag is believed before it is asked for again
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    tag_seconds: u32,
    /// Fetch from nowhere; what was fetched stays
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// List a version whose bytes stay in another registry
///
/// The registry looks at it once, as at a push, and lists exactly that digest. Who pulls
/// it is sent on, and checks it there.
#[derive(Debug, clap::Args)]
pub(super) struct ForeignArgs {
    /// The package to list it in
    package: PackageName,
    /// Where it is, `[http://]host/repository:tag` or `…@sha256:…`
    source: String,
    #[command(flatten)]
    format: FormatArg,
}

/// Say which addresses are told when something happens in a namespace
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Add an address; the secret that signs messages is shown this once
    Add {
        /// The namespace
        namespace: Namespace,
        /// Where messages go, `https://…`
        url: String,
        /// What to tell of, such as `version.publish`; everything if absent
        #[arg(long, value_name = "EVENT")]
        event: Vec<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List the addresses
    List {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Remove an address
    Remove {
        /// The namespace
        namespace: Namespace,
        /// The webhook
        id: String,
    },
    /// Send a message to try it, and switch it on again
    Test {
        /// The namespace
        namespace: Namespace,
        /// The webhook
        id: String,
    },
    /// Show what was sent, and what became of it
    Log {
        /// The namespace
        namespace: Namespace,
        /// The webhook
        id: String,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// Splits a scheme from a place: `http://` allows what is not encrypted.
fn plain(place: &str) -> (bool, &str) {
    match place.strip_prefix("http://") {
        Some(rest) => (true, rest),
        None => (false, place.strip_prefix("https://").unwrap_or(place)),
    }
}

pub(super) async fn mirror(args: &MirrorArgs, registry: &Registry) -> Result<(), Failure> {
    let upstreams = if args.off || !args.upstream.is_empty() {
        let places = args.upstream.iter().map(|place| {
            let (plain_http, rest) = plain(place);
            let (host, prefix) = match rest.trim_end_matches('/').split_once('/') {
                Some((host, prefix)) => (host, Some(prefix.to_owned())),
                None => (rest.trim_end_matches('/'), None),
            };
            NewUpstream {
                host: host.to_owned(),
                plain_http,
                prefix,
                tag_seconds: args.tag_seconds,
            }
        });
        let new = NewUpstreams {
            upstreams: places.collect(),
        };
        registry.set_upstreams(&args.namespace, &new).await?
    } else {
        registry.upstreams(&args.namespace).await?
    };
    if args.format.output == Format::Json {
        return Ok(output::json(&upstreams)?);
    }
    let rows: Vec<_> = upstreams.iter().map(row).collect();
    Ok(output::table(
        &["UPSTREAM", "PREFIX", "MODE", "TAGS FOR", "BY"],
        &rows,
    )?)
}

fn row(upstream: &Upstream) -> Vec<String> {
    let scheme = if upstream.plain_http { "http://" } else { "" };
    let mode = match upstream.mode {
        UpstreamMode::Cache => "fetched and kept",
        UpstreamMode::Foreign => "listed",
    };
    vec![
        format!("{scheme}{}", upstream.host),
        upstream.prefix.clone(),
        mode.to_owned(),
        format!("{} s", upstream.tag_seconds),
        upstream.created_by.clone(),
    ]
}

pub(super) async fn foreign(
    args: &ForeignArgs,
    session: &Session,
    registry: &Registry,
) -> Result<(), Failure> {
    let (plain_http, source) = plain(&args.source);
    let new = NewForeign {
        source: source.to_owned(),
        plain_http,
    };
    let listed = registry.list_foreign(&args.package, &new).await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&listed)?);
    }
    session.say(format!("its objects stay at {}", listed.source));
    Ok(output::line(format!(
        "{}/{}:{}@{}",
        registry.host(),
        listed.package,
        listed.version,
        listed.digest
    ))?)
}

pub(super) async fn webhook(
    command: &WebhookCommand,
    session: &Session,
    registry: &Registry,
) -> Result<(), Failure> {
    match command {
        WebhookCommand::Add {
            namespace,
            url,
            event,
            format,
        } => {
            let new = NewWebhook {
                url: url.clone(),
                events: event.clone(),
            };
            let made = registry.create_webhook(namespace, &new).await?;
            if format.output == Format::Json {
                return Ok(output::json(&made)?);
            }
            session.say("keep the secret: it is not shown again");
            Ok(output::fields(&[
                ("id", made.webhook.id),
                ("secret", made.secret),
            ])?)
        }
        WebhookCommand::List { namespace, format } => {
            let found = registry.webhooks(namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&found)?);
            }
            let state = |webhook: &registry_schema::federation::Webhook| {
                if webhook.disabled_at.is_some() {
                    "off: nothing arrives".to_owned()
                } else {
                    format!("on, {} failures in a row", webhook.failures)
                }
            };
            let rows: Vec<_> = found
                .iter()
                .map(|webhook| {
                    let events = match webhook.events.join(", ") {
                        events if events.is_empty() => "all".to_owned(),
                        events => events,
                    };
                    vec![
                        webhook.id.clone(),
                        webhook.url.clone(),
                        events,
                        state(webhook),
                    ]
                })
                .collect();
            Ok(output::table(&["ID", "URL", "EVENTS", "STATE"], &rows)?)
        }
        WebhookCommand::Remove { namespace, id } => {
            registry.delete_webhook(namespace, id).await?;
            session.say("nothing is sent there any more");
            Ok(())
        }
        WebhookCommand::Test { namespace, id } => {
            registry.test_webhook(namespace, id).await?;
            session.say(
                "a message is on its way; `bpfpkg namespace webhook log` shows whether it arrived",
            );
            Ok(())
        }
        WebhookCommand::Log {
            namespace,
            id,
            format,
        } => log(registry, namespace, id, format.output).await,
    }
}

async fn log(
    registry: &Registry,
    namespace: &Namespace,
    id: &str,
    format: Format,
) -> Result<(), Failure> {
    let found = registry.deliveries(namespace, id).await?;
    if format == Format::Json {
        return Ok(output::json(&found)?);
    }
    let rows: Vec<_> = found
        .iter()
        .map(|one| {
            let state = match (&one.delivered_at, &one.next_at) {
                (Some(at), _) => format!("arrived {}", at.format("%Y-%m-%d %H:%M:%S")),
                (None, Some(at)) => format!("again {}", at.format("%Y-%m-%d %H:%M:%S")),
                (None, None) => "given up".to_owned(),
            };
            vec![
                one.id.clone(),
                one.event.clone(),
                one.attempts.to_string(),
                state,
                one.failure.clone().unwrap_or_default(),
            ]
        })
        .collect();
    Ok(output::table(
        &["MESSAGE", "EVENT", "ATTEMPTS", "STATE", "LAST FAILURE"],
        &rows,
    )?)
}
