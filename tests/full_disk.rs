//! A full disk: what does not fit is refused with a reason, nothing of it stays, and the rest goes on.

use std::fs;

use knit_tests::archive::{Archive, noise};
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;

/// The size of the disk.
const DISK_BYTES: u64 = 24 << 20;

#[test]
fn an_upload_that_does_not_fit_is_refused_and_what_fits_goes_on() {
    let shop = Workshop::with(Setup::new().on_a_disk_of(DISK_BYTES));
    let first = shop.push(&[("it", "x")], &["a:b"]);
    let too_large = Archive::new().file("noise", &noise(2 * usize::try_from(DISK_BYTES).unwrap())).gzip();
    let refused = shop.server.http().upload(&too_large, &[]);
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.message().contains("disk of the server is full"), "{}", refused.message());
    wait_until("the upload to be failed", || {
        let runs = shop.server.http().get("/api/runs").json();
        runs.as_array().is_some_and(|runs| runs.len() == 2 && runs[1]["status"] == "failed")
    });
    wait_until("its files to be gone", || shop.server.keeps() == [format!("volumes/data-knitid-{first}")]);
    let second = shop.push(&[("it", "y")], &["a:b"]);
    for (data, content) in [(first, "x"), (second, "y")] {
        assert_eq!(fs::read_to_string(shop.pull(&data).join("it")).unwrap(), content);
    }
}
