//! The story of an import, into a server that only looks.

use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;

use super::tale::{Died, Tale, Told};

/// A history of another server is imported.
pub(super) fn import(tale: &mut Tale) -> Told<()> {
    let export = tale.server.desk().join("history.pb");
    let export = export.to_str().expect("a plain path").to_owned();
    let elsewhere = Setup::new().start();
    let plan = PlanFile::shell("true").input("/in", &["never:there"]).output("/out", &["is:out"]).json();
    assert_eq!(elsewhere.http().send_json("POST", "/api/plans", &plan).status, 200);
    let exported = elsewhere.knit().run(["audit", "export", "--format", "proto", "-o", &export]);
    assert_eq!(exported.code, 0, "{exported}");
    let again = export.clone();
    // What is not there as a whole is not there at all, and can be imported then.
    tale.remember(move |tale| {
        let events = tale.list("/api/plans").len();
        let imported = tale.server.knit().run(["audit", "import", &again]);
        match (events, imported.code) {
            (0, 0) | (1.., 5) => Ok(()),
            _ => Err(format!("with {events} Plans the history cannot be imported: {imported}")),
        }
    });
    if tale.server.knit().run(["audit", "import", &export]).code != 0 {
        tale.server.wait_for_death();
        return Err(Died);
    }
    Ok(())
}
