//! What went wrong, as the wire says it (web-api 1.4).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is an error: one string, because the original's console renders it
/// as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorMessage {
    /// Reason, advice and cause, in this order, one per line.
    #[schema(example = "prohibited operation\n caused by:cannot change run state: done -> aborting")]
    pub message: String,
}

impl ErrorMessage {
    /// Joins the parts that are there: the reason, a hint what to do, and the text of the cause.
    #[must_use]
    pub fn new(reason: &str, advice: Option<&str>, cause: Option<&str>) -> Self {
        let mut message = reason.to_owned();
        if let Some(advice) = advice {
            message.push('\n');
            message.push_str(advice);
        }
        if let Some(cause) = cause {
            message.push_str("\n caused by:");
            message.push_str(cause);
        }
        Self { message }
    }
}
