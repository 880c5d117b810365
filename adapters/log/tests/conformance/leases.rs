//! One active instance of a role, and numbers that tell one from the next (D9).

use std::time::Duration;

use crate::fixture::Place;
use crate::on_both_databases;

on_both_databases!(
    d9_a_role_has_one_holder_until_it_lets_go,
    d9_every_new_holder_has_a_greater_fence,
    d9_an_expired_lease_goes_to_the_next_and_the_old_holder_is_told,
    d9_a_holder_that_died_and_came_back_need_not_wait,
    d9_a_lease_outlives_its_holder_by_no_hour_when_the_clock_goes_back_by_one,
);

const LONG: Duration = Duration::from_secs(600);

async fn d9_a_role_has_one_holder_until_it_lets_go(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    let lease = log.acquire_lease("finishing", "one", LONG).await.unwrap().unwrap();
    assert_eq!(beside.acquire_lease("finishing", "two", LONG).await.unwrap(), None);
    assert!(beside.acquire_lease("initialize", "two", LONG).await.unwrap().is_some());
    assert!(log.renew_lease(&lease).await.unwrap());

    log.release_lease(&lease).await.unwrap();

    assert!(beside.acquire_lease("finishing", "two", LONG).await.unwrap().is_some());
}

async fn d9_every_new_holder_has_a_greater_fence(place: Place) {
    let log = place.open().await;
    let mut fence = 0;
    for holder in ["one", "two", "one"] {
        let lease = log.acquire_lease("finishing", holder, LONG).await.unwrap().unwrap();
        assert!(lease.fence > fence);
        fence = lease.fence;
        log.release_lease(&lease).await.unwrap();
    }
}

async fn d9_an_expired_lease_goes_to_the_next_and_the_old_holder_is_told(place: Place) {
    let log = place.open().await;
    let old = log.acquire_lease("finishing", "one", Duration::ZERO).await.unwrap().unwrap();
    let new = log.acquire_lease("finishing", "two", LONG).await.unwrap().unwrap();

    assert!(!log.renew_lease(&old).await.unwrap());
    log.release_lease(&old).await.unwrap();
    assert!(log.renew_lease(&new).await.unwrap());
}

async fn d9_a_holder_that_died_and_came_back_need_not_wait(place: Place) {
    let log = place.open().await;
    let before = log.acquire_lease("finishing", "one", LONG).await.unwrap().unwrap();
    let after = log.acquire_lease("finishing", "one", LONG).await.unwrap().unwrap();

    assert!(after.fence > before.fence);
    assert!(!log.renew_lease(&before).await.unwrap(), "the dead one is no holder any more");
    assert!(log.renew_lease(&after).await.unwrap());
}

async fn d9_a_lease_outlives_its_holder_by_no_hour_when_the_clock_goes_back_by_one(place: Place) {
    let log = place.open().await;
    log.acquire_lease("finishing", "one", LONG).await.unwrap().unwrap();
    // For the lease it is the same whether the clock goes back or its end goes on.
    place.tamper("UPDATE leases SET expires_at = expires_at + 3600000").await;

    assert!(log.acquire_lease("finishing", "two", LONG).await.unwrap().is_some());
}
