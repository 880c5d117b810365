//! What the log tells of its own work.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use knit_log::{BatchWritten, Observer, Options};

use crate::fixture::{Place, conflicts, journal, remarks};

crate::on_both_databases!(every_batch_and_every_answer_is_told, an_append_that_lost_is_answered_and_recorded_nothing);

/// Keeps everything it is told.
#[derive(Debug, Default)]
struct Notebook {
    batches: Mutex<Vec<BatchWritten>>,
    answers: Mutex<Vec<Duration>>,
}

impl Observer for Notebook {
    fn batch_written(&self, batch: &BatchWritten) {
        self.batches.lock().unwrap().push(*batch);
    }
    fn answered(&self, after: Duration) {
        self.answers.lock().unwrap().push(after);
    }
}

impl Notebook {
    fn requests(&self) -> usize {
        self.batches.lock().unwrap().iter().map(|batch| batch.requests).sum()
    }
    fn events(&self) -> usize {
        self.batches.lock().unwrap().iter().map(|batch| batch.events).sum()
    }
}

async fn every_batch_and_every_answer_is_told(place: Place) {
    let notebook = Arc::new(Notebook::default());
    let log = place.open_with(Options { observer: notebook.clone(), ..Options::default() }).await;
    let appends = (0..40).map(|index| {
        let log = log.clone();
        async move { log.append(remarks(&journal(&format!("a-{index}")), 0, 3)).await.unwrap() }
    });
    join_all(appends).await;
    // Whoever is answered may be gone before that is told; closing waits for the appender.
    log.close().await;

    assert_eq!((notebook.requests(), notebook.events()), (40, 120));
    assert_eq!(notebook.answers.lock().unwrap().len(), 40);
    let batches = notebook.batches.lock().unwrap();
    assert!(batches.len() < 40, "those who wait share a transaction");
    assert!(batches.iter().all(|batch| batch.took > Duration::ZERO));
}

async fn an_append_that_lost_is_answered_and_recorded_nothing(place: Place) {
    let notebook = Arc::new(Notebook::default());
    let log = place.open_with(Options { observer: notebook.clone(), ..Options::default() }).await;
    conflicts(log.append(remarks(&journal("a"), 7, 1)).await);
    log.close().await;
    assert_eq!((notebook.requests(), notebook.events()), (1, 0));
    assert_eq!(notebook.answers.lock().unwrap().len(), 1);
}
