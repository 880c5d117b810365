//! What the server tells while it runs: log lines for whoever keeps them, and spans for a collector of OpenTelemetry.
//!
//! Both come from the same calls. Lines are filtered as `--log` says; spans are made only if `--otlp-endpoint` names
//! somebody who takes them, and then all of this program's are. Nothing waits for the collector: what it does not take
//! in time is dropped, and said so.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::HeaderMap;
use anyhow::Context as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{self, SdkTracerProvider, SpanData};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use crate::args::{Args, LogFormat};

/// What libraries tell of themselves, unless `--log` asks for it by name: a failure is told once, by whoever it concerns,
/// and not by each connection of the database as well. What the exporter of spans says has no text.
const NOT_OF_LIBRARIES: &str = "sqlx::postgres::notice=off,sqlx::pool=off,opentelemetry=off,opentelemetry_sdk=off,\
    opentelemetry-otlp=off";
/// The name of this program among all that a collector hears.
const SERVICE: &str = "knitd";
/// Whose spans are exported. Those of libraries, the exporter's own among them, would tell of themselves for ever.
const SPANS_OF: &str = "off,knitd=debug,knit_log=debug,knit_runtime=debug";
/// Where a collector takes spans, below its address.
const TRACES_PATH: &str = "v1/traces";
/// How long the collector may take for one lot of spans: longer than a network hiccup, shorter than spans pile up.
const EXPORT_MAX: Duration = Duration::from_secs(5);
/// How long a server that stops waits for the last of them to be taken.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Lines and spans are told for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Telling {
    spans: Option<SdkTracerProvider>,
}

/// Begins to tell.
///
/// # Errors
/// When the endpoint for spans is none.
pub(crate) fn begin(args: &Args) -> anyhow::Result<Telling> {
    // As no-color.org has it: set to something, whatever it is.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal() && !no_color);
    let lines = match args.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let spans = args.otlp_endpoint.as_deref().map(exporting).transpose()?;
    let exported = spans.as_ref().map(|spans| {
        tracing_opentelemetry::layer().with_tracer(spans.tracer(SERVICE)).with_filter(EnvFilter::new(SPANS_OF))
    });
    let filter = EnvFilter::new(format!("{NOT_OF_LIBRARIES},{}", args.log_filter));
    registry().with(lines.with_filter(filter)).with(exported).init();
    Ok(Telling { spans })
}

fn exporting(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let endpoint = format!("{}/{TRACES_PATH}", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&endpoint)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(EXPORT_MAX)
        .build()
        .with_context(|| format!("cannot export spans to {endpoint}: name a collector as http://HOST:4318"))?;
    let resource = Resource::builder().with_service_name(SERVICE).build();
    let exporter = Exporter { exporter, endpoint, is_failing: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Exports spans, and tells when that begins to fail and when it goes on.
#[derive(Debug)]
struct Exporter {
    exporter: SpanExporter,
    endpoint: String,
    is_failing: AtomicBool,
}

impl trace::SpanExporter for Exporter {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let count = spans.len();
        let exported = self.exporter.export(spans).await;
        match (&exported, self.is_failing.swap(exported.is_err(), Ordering::Relaxed)) {
            (Err(why), false) => {
                tracing::warn!(spans = count, "{} takes no spans, so they are dropped: {why}", self.endpoint);
            }
            (Ok(()), true) => tracing::info!("{} takes spans again", self.endpoint),
            (Err(_), true) | (Ok(()), false) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&mut self, limit: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(limit)
    }

    fn force_flush(&mut self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Telling {
    /// Tells the rest.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.spans.map(|spans| spans.shutdown_with_timeout(FLUSH_MAX)) {
            tracing::warn!("the last spans were not taken: {error}");
        }
    }
}

/// Lets `span` go on with the trace that the client of a request names, if it names one.
pub(crate) fn go_on_with(span: &Span, headers: &HeaderMap) {
    let named = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(trace_context);
    if let Some(context) = named.filter(|_| !span.is_disabled()) {
        // It fails only where nothing is exported.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
    }
}

/// Reads `00-TRACE-SPAN-FLAGS`, as W3C Trace Context has it.
fn trace_context(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex(version, 2) || version == "ff" || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_trace_context_is_gone_on_with() {
        let named = trace_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(named.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(named.is_remote() && named.is_sampled());
        for broken in [
            "",
            "nightly build",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
        ] {
            assert!(trace_context(broken).is_none(), "{broken}");
        }
    }
}
