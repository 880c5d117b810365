//! What stays of redacted events, and what proves it (D15).

use knit_domain::event::Position;
use knit_domain::redaction::Search;

use super::Log;
use crate::chain::Hash;
use crate::error::ReadError;
use crate::reader::StoredEvent;
use crate::redacted::Redaction;

impl Log {
    /// The redaction that emptied an event, if one did.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn redaction_of(&self, event: &StoredEvent) -> Result<Option<Redaction>, ReadError> {
        Ok(self.inner.redacted.look(&self.inner.backend).await?.redaction_of(&event.row()))
    }

    /// Tells `search` the envelopes of the events that it has found, before they are redacted: as long as it has its
    /// content, an event is proved by its leaf.
    ///
    /// # Errors
    /// [`ReadError::Changed`] when one of them is not as it was recorded, otherwise as [`Self::read`].
    pub async fn note_envelopes(&self, search: &mut Search) -> Result<(), ReadError> {
        for position in search.without_envelope() {
            search.note_envelope(position, self.envelope_of(position).await?);
        }
        Ok(())
    }

    async fn envelope_of(&self, position: Position) -> Result<Option<Hash>, ReadError> {
        let page = self.read_unchecked(position.saturating_sub(1), 1).await?;
        let stored = page.first().filter(|stored| stored.position == position);
        let row = stored.ok_or(ReadError::Missing { position })?.row();
        match self.inner.redacted.known().envelope_of(row) {
            Err(ReadError::Emptied { .. }) => self.inner.redacted.look(&self.inner.backend).await?.envelope_of(row),
            known => known,
        }
    }
}
