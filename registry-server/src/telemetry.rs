// SPDX-License-Identifier: Apache-2.0
//! What this process tells of itself while it runs: the log on standard error, and traces
//! to a collector. No secret is in either: headers and bodies are never recorded.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::{KeyValue, propagation::TextMapPropagator, trace::TracerProvider};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, layer::SubscriberExt, util::SubscriberInitExt,
};
use url::Url;

use crate::config::{LogFormat, LogOptions};

/// Name of this program in traces.
const SERVICE: &str = "bpfpkg-registry";
/// How long a collector may take to answer.
const EXPORT: Duration = Duration::from_secs(10);

/// Whether traces are recorded at all.
static TRACED: AtomicBool = AtomicBool::new(false);

/// Why the log or the traces cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter of the log.
    #[error("--log `{0}` is wrong: {1}")]
    Filter(String, #[source] ParseError),
    /// The collector's address.
    #[error("--otlp-endpoint `{0}` cannot be used: {1}")]
    Collector(Url, #[source] ExporterBuildError),
    /// The client for the collector.
    #[error("traces cannot be sent: {0}")]
    Client(#[from] reqwest::Error),
}

/// Log and traces of this process.
#[derive(Debug)]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sends what is still waiting.
    pub(crate) async fn end(self) {
        if let Some(provider) = self.0 {
            // It waits for the exporter, which needs this runtime.
            let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "the last traces could not be sent");
            }
        }
    }
}

/// Begins to write the log, and to send traces if there is a collector.
///
/// # Errors
/// [`TelemetryError`].
pub(crate) fn start(options: &LogOptions) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| TelemetryError::Filter(options.log.clone(), error))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match options.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = options
        .otlp_endpoint
        .as_ref()
        .map(|url| provider(url, options.otlp_sample))
        .transpose()?;
    let traces = provider.as_ref().map(|provider| {
        TRACED.store(true, Relaxed);
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracer(provider.tracer(SERVICE))
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(traces)
        .init();
    Ok(Telemetry(provider))
}

fn provider(url: &Url, sample: f64) -> Result<SdkTracerProvider, TelemetryError> {
    let client = Collector {
        client: reqwest::Client::builder().timeout(EXPORT).build()?,
        runtime: Handle::current(),
    };
    let endpoint = match url.path() {
        "/" => format!("{}v1/traces", url.as_str()),
        _ => url.to_string(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_http_client(client)
        .build()
        .map_err(|error| TelemetryError::Collector(url.clone(), error))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder()
        .with_service_name(SERVICE)
        .with_attribute(version);
    Ok(SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            sample,
        ))))
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build())
}

/// Sends to the collector. The exporter has a thread of its own, and HTTP needs the runtime.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request.map(reqwest::Body::from))?;
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request).await?.error_for_status()?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = sent.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}

/// Makes the span part of the trace that the request's `traceparent` names.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if TRACED.load(Relaxed) && headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        // It fails for a span that nobody records.
        let _ = span.set_parent(parent);
    }
}
