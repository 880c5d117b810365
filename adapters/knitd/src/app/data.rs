//! Commands about Data.

use knit_domain::data::{TagChange, change_tags};
use knit_domain::id::KnitId;

use super::App;
use crate::command::{Cause, CommandError, Done};
use crate::streams;

impl App {
    /// Changes the user tags of a Data.
    ///
    /// # Errors
    /// Refused when there is no such Data or a tag breaks a rule; then nothing is changed.
    pub async fn change_tags(&self, cause: &Cause, id: KnitId, wanted: &TagChange) -> Result<Done, CommandError> {
        self.execute(cause, |source| async move {
            let data = streams::data(source, id).await?;
            Ok(change_tags(&data, wanted)?)
        })
        .await
    }
}
