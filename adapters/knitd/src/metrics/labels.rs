//! The labels: what tells the figures of one name apart. None of them holds an id or anything a client writes.

use ::http::Method;
use prometheus_client::encoding::EncodeLabelSet;

/// Of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Asked {
    pub(super) method: &'static str,
    /// The pattern of the path.
    pub(super) route: String,
}

/// Of what was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Answered {
    pub(super) method: &'static str,
    /// The pattern of the path.
    pub(super) route: String,
    pub(super) status: u32,
}

/// Of what came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorOf {
    pub(super) place: &'static str,
    pub(super) family: &'static str,
}

/// Which way bytes went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByDirection {
    pub(super) direction: &'static str,
}

/// Of a projection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByProjection {
    pub(super) projection: &'static str,
}

/// Of a reactor, by its role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByRole {
    pub(super) role: &'static str,
}

/// Of Runs and Workers, by where they stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByState {
    pub(super) state: &'static str,
}

/// The name of a method. A client may write any word there, and each would be kept for ever.
pub(super) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
