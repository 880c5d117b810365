//! The replicas of this server: which of them lives, and which one is active in a role.
//!
//! Both are leases in the database. They save work and tell who is gone; correctness never depends on
//! them. On SQLite there is one process only, so every other server is gone and every role is its own.

use std::future::Future;
use std::time::Duration;

use knit_failpoint::failpoint;
use knit_log::{Fault, Lease};

use crate::app::App;

/// How long a lease lasts without being renewed: a server that died is replaced after at most so long.
const LEASE: Duration = Duration::from_secs(15);
/// How often a lease is renewed: two renewals may be lost before it ends.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often a server that is not active asks whether it may be.
const STANDBY: Duration = Duration::from_secs(2);

/// Says that this server lives, until the process ends.
pub async fn stay_alive(app: App) {
    if !app.is_alone() {
        let role = life_of(app.server());
        while_active(&app, &role, std::future::pending::<()>).await;
    }
}

/// Whether the server of this name lives.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lives(app: &App, server: &str) -> Result<bool, Fault> {
    if server == app.server() {
        return Ok(true);
    }
    if app.is_alone() {
        return Ok(false);
    }
    match app.log().acquire_lease(&life_of(server), app.server(), LEASE).await? {
        None => Ok(true),
        Some(lease) => {
            failpoint("lease.of-the-dead-taken");
            app.log().release_lease(&lease).await?;
            Ok(false)
        }
    }
}

fn life_of(server: &str) -> String {
    format!("server/{server}")
}

/// Runs `doing` whenever and for as long as this server is the active one in `role`, for ever.
pub async fn while_active<F: Future<Output = ()>>(app: &App, role: &str, doing: impl Fn() -> F) {
    if app.is_alone() {
        return doing().await;
    }
    loop {
        match app.log().acquire_lease(role, app.server(), LEASE).await {
            Ok(Some(lease)) => {
                tracing::debug!(role, lease.fence, "active");
                failpoint("lease.acquired");
                tokio::select! {
                    () = doing() => return,
                    () = renew(app, lease) => tracing::warn!(role, "no longer active"),
                }
            }
            Ok(None) => tokio::time::sleep(STANDBY).await,
            Err(fault) => {
                tracing::warn!(role, "cannot ask for the lease: {fault}");
                tokio::time::sleep(STANDBY).await;
            }
        }
    }
}

/// Renews the lease until that fails for as long as it lasts, or somebody else has it.
async fn renew(app: &App, lease: Lease) {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(RENEWAL).await;
        match app.log().renew_lease(&lease).await {
            Ok(true) => renewed = tokio::time::Instant::now(),
            Ok(false) => return,
            Err(fault) if renewed.elapsed() >= LEASE => {
                tracing::warn!(role = lease.role, "the lease ended unrenewed: {fault}");
                return;
            }
            Err(fault) => tracing::debug!(role = lease.role, "renewal failed: {fault}"),
        }
    }
}
