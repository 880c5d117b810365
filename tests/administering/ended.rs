//! A rebuild that is ended before it has come to its end: nothing has changed then, and it is said how it went (D8).

use knit_tests::cli::Conversation;
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;

use super::skip::user;

/// A server whose rebuilds wait until a Plan is registered.
fn unhurried() -> Workshop {
    let shop = Workshop::with(Setup::new().holding("rebuild.page-folded>committed.PlanRegistered"));
    shop.push(&[("it", "x")], &["a:b"]);
    shop
}

fn begun(shop: &Workshop) -> Conversation {
    let rebuilding = shop.user().start(["admin", "rebuild-projection", "store"]);
    wait_until("the rebuild to be under way", || shop.server.was_held());
    // Ctrl-C cancels what the client has heard to be under way; before that it gives up. By the time at which somebody
    // else, who has asked later, is answered, it has heard.
    let _ = shop.refused(5, &["admin", "rebuild-projection", "store"]);
    rebuilding
}

/// It says in its log that it ends a moment before it makes room for the next.
fn is_over(shop: &Workshop) {
    wait_until("it to be over", || {
        shop.server.log().contains("a rebuild came to nothing")
            && shop.user().run(["admin", "rebuild-projection", "--cancel", "store"]).code == 4
    });
}

fn let_go(shop: &Workshop) {
    shop.apply(&PlanFile::shell("true").input("/in", &["never:there"]));
}

fn was_switched(shop: &Workshop) -> bool {
    shop.server.log().contains("another instance is live")
}

/// The next one is let in, and comes to its end.
#[track_caller]
fn can_be_rebuilt(shop: &Workshop) {
    assert!(!was_switched(shop), "{}", shop.server.log());
    let _ = shop.knit(&["admin", "rebuild-projection", "store"]);
    assert!(was_switched(shop));
}

#[test]
fn d8_a_second_rebuild_is_refused_with_who_has_begun_the_first() {
    let shop = unhurried();
    let first = begun(&shop);
    for verb in ["rebuild-projection", "rollback"] {
        let refused = shop.refused(5, &["admin", verb, "store"]);
        let refused = refused.tells("it is being rebuilt already").tells(&format!("{} began ", user()));
        let _ = refused.tells("`knit admin rebuild-projection --cancel store`");
    }
    let_go(&shop);
    let _ = first.finish().ok();
    let _ = shop.knit(&["admin", "rebuild-projection", "store"]);
}

#[test]
fn d8_whoever_ends_the_rebuild_of_another_hears_when_it_has_ended() {
    let shop = unhurried();
    let first = begun(&shop);
    let ending = shop.user().start(["admin", "rebuild-projection", "--cancel", "all"]);
    wait_until("the server to be told", || shop.server.log().contains("told to end a rebuild"));
    let_go(&shop);
    let _ = ending.finish().ok();
    let _ = first.finish().ended(1).tells("was cancelled at position").tells("nothing has changed");
    can_be_rebuilt(&shop);
}

#[test]
fn d8_ctrl_c_ends_a_rebuild_and_says_how_it_went() {
    let shop = unhurried();
    let first = begun(&shop);
    first.interrupt();
    wait_until("the server to be told", || shop.server.log().contains("told to end a rebuild"));
    let_go(&shop);
    let told = first.finish().ended(130).tells("the rebuild of the projection `store` was cancelled at position");
    assert_eq!(told.json()[0]["end"]["step"], "cancelled", "{told}");
    can_be_rebuilt(&shop);
}

#[test]
fn d8_a_second_ctrl_c_waits_for_nothing() {
    let shop = unhurried();
    let first = begun(&shop);
    first.interrupt();
    wait_until("the server to be told", || shop.server.log().contains("told to end a rebuild"));
    first.interrupt();
    let _ = first.finish().ended(130);
    let_go(&shop);
    is_over(&shop);
    can_be_rebuilt(&shop);
}

#[test]
fn d8_a_rebuild_ends_with_whoever_has_begun_it() {
    let shop = unhurried();
    drop(begun(&shop));
    wait_until("the server to notice", || shop.server.log().contains("connection of an administrator ended early"));
    let_go(&shop);
    is_over(&shop);
    can_be_rebuilt(&shop);
}

#[test]
fn d8_a_rebuild_ends_with_its_server_and_can_be_begun_again() {
    let mut shop = unhurried();
    let first = begun(&shop);
    shop.server.kill();
    let _ = first.finish().ended(3).tells("a rebuild that is broken off has changed nothing");
    shop.server.start();
    let again = begun(&shop);
    let_go(&shop);
    let _ = again.finish().ok();
    assert!(was_switched(&shop));
}
