//! Two servers write to one database at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use knit_tests::server::{Server, Setup};
use serde_json::json;

use super::tale::{Tale, Told};

pub(super) fn rivals(tale: &mut Tale) -> Told<()> {
    let (data, others) = (tale.push("x", "a:b")?, tale.push("y", "a:b")?);
    let mut rival = tale.rival();
    rival.start();
    let http = rival.http();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let tag = json!({"add": [format!("rival:{n}")]});
                assert_eq!(
                    http.send_json("PUT", &format!("/api/data/{others}"), &tag).status,
                    200,
                    "the rival lives on"
                );
            }
        });
        let told = (0..).try_for_each(|n| tale.tag(&data, &format!("n:{n}")));
        over.store(true, Ordering::Relaxed);
        told
    })
}

impl Tale {
    /// Another server on the same database, which serves requests and nothing else.
    fn rival(&self) -> Server {
        Setup::new().database(&self.log).option("--role", "api").placed()
    }
}
