//! The replicas of this server: which of them lives, and which one is active in a role.
//!
//! Both are leases in the database. They save work and tell who is gone; correctness never depends on
//! them. On SQLite there is one process only, so every other server is gone and every role is its own.
//!
//! A runtime whose volumes only one server can reach names its place ([`Runtime::place`]). Leases are then held
//! in the name of the place: a server that was killed and started again at the same place goes on at once.
//!
//! [`Runtime::place`]: knit_runtime::Runtime::place

mod outage;

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use knit_failpoint::failpoint;
use knit_log::{Fault, Lease};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::app::App;

use outage::Outage;

/// How long a lease lasts without being renewed: a server that died is replaced after at most so long, and
/// [`STANDBY`] more.
const LEASE: Duration = Duration::from_secs(15);
/// How often a lease is renewed: two renewals may be lost before it ends.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often a server that is not active asks whether it may be.
const STANDBY: Duration = Duration::from_secs(2);
/// How long a server whose lease has ended is given to say that it lives all the same. After the database was
/// away, or its clock was turned, the leases of all servers have ended, and the first to come back would take
/// all others for dead.
const SECOND_LOOK: Duration = Duration::from_secs(10);
/// How long a server that stops may take to give its leases back; then they end by themselves.
const GIVING_BACK_MAX: Duration = Duration::from_secs(2);
/// The lease of the place that keeps the volumes.
const PLACE: &str = "place";

/// Unique among all servers that ever were, so that nobody takes this one for one that died.
#[must_use]
pub fn name_at(place: Option<&str>) -> String {
    let instance = Uuid::new_v4().simple();
    match place {
        Some(place) => format!("{place}/{instance}"),
        None => {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            format!("{host}-{}-{instance}", std::process::id())
        }
    }
}

/// In whose name this server holds leases.
fn holder(app: &App) -> &str {
    app.runtime().place().unwrap_or_else(|| app.server())
}

/// Whether the server of this name lives. It takes a while to be sure that one does not.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lives(app: &App, server: &str) -> Result<bool, Fault> {
    if server == app.server() {
        return Ok(true);
    }
    // Two servers cannot be at one place, so one that was here before is gone.
    let was_here = app.runtime().place().is_some_and(|place| server.starts_with(&format!("{place}/")));
    if app.is_alone() || was_here {
        return Ok(false);
    }
    if says_that_it_lives(app, server).await? {
        return Ok(true);
    }
    sleep(SECOND_LOOK).await;
    says_that_it_lives(app, server).await
}

async fn says_that_it_lives(app: &App, server: &str) -> Result<bool, Fault> {
    match app.log().acquire_lease(&life_of(server), holder(app), LEASE).await? {
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

/// Claims that the volumes of this installation are at the place of this server, and nowhere else.
///
/// # Errors
/// When a server at another place claims the same: Data would be on one machine and missing on the other.
pub async fn claim_place(duties: &Duties) -> anyhow::Result<()> {
    let app = &duties.app;
    let (Some(place), false) = (app.runtime().place(), app.is_alone()) else { return Ok(()) };
    let claimed = app.log().acquire_lease(PLACE, place, LEASE).await.context("cannot claim the volumes")?;
    if claimed.is_none() {
        bail!(
            "another server keeps the volumes of this installation in a directory of its own: start this one \
             with `--role api,projection,housekeeping`, or stop the other first (if it was killed, wait {} s)",
            LEASE.as_secs()
        );
    }
    duties.take_on(PLACE, pending);
    Ok(())
}

/// What this process does for as long as it runs, each thing under a lease.
pub struct Duties {
    app: App,
    tasks: TaskTracker,
    laid_down: CancellationToken,
    outage: Arc<Outage>,
}

impl Duties {
    /// None yet.
    #[must_use]
    pub fn of(app: App) -> Self {
        Self { app, tasks: TaskTracker::new(), laid_down: CancellationToken::new(), outage: Arc::default() }
    }

    /// Says that this server lives. When this returns, others can see it.
    pub async fn say_that_it_lives(&self) {
        if self.app.is_alone() {
            return;
        }
        let said = watch::Sender::new(false);
        let mut heard = said.subscribe();
        self.take_on(&life_of(self.app.server()), move || {
            said.send_replace(true);
            pending()
        });
        // It fails only if the task is gone, and then this process is about to stop.
        drop(heard.wait_for(|said| *said).await);
    }

    /// Does `doing` whenever and for as long as this server is the active one in `role`.
    pub fn take_on<F>(&self, role: &str, doing: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let (app, role, laid_down) = (self.app.clone(), role.to_owned(), self.laid_down.clone());
        let outage = Arc::clone(&self.outage);
        self.tasks.spawn(async move {
            if app.is_alone() {
                tokio::select! {
                    () = doing() => {}
                    () = laid_down.cancelled() => {}
                }
            } else {
                while_active(&app, &role, &outage, &laid_down, doing).await;
            }
        });
    }

    /// The same, but only while the projections show the log that there is: while they are folded they show a
    /// past in which nobody may act.
    pub fn take_on_when_caught_up<F>(&self, role: &'static str, doing: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let app = self.app.clone();
        let doing = Arc::new(doing);
        self.take_on(role, move || while_caught_up(app.clone(), role, Arc::clone(&doing)));
    }

    /// Stops doing everything, and gives the leases back, so that others need not wait until they end.
    pub async fn lay_down(self) {
        self.laid_down.cancel();
        self.tasks.close();
        if timeout(GIVING_BACK_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!("not all leases were given back; others take over when they end");
        }
    }
}

async fn while_active<F: Future<Output = ()>>(
    app: &App,
    role: &str,
    outage: &Outage,
    laid_down: &CancellationToken,
    doing: impl Fn() -> F,
) {
    loop {
        let Some(lease) = become_active(app, role, outage, laid_down).await else { return };
        tracing::debug!(role, lease.fence, "active");
        failpoint("lease.acquired");
        tokio::select! {
            () = doing() => return,
            lost = renew(app, &lease) => match lost {
                Lost::Taken => tracing::warn!(role, "no longer active: another server has the lease"),
                Lost::Unrenewed(why) => outage.goes_on(role, &why),
            },
            () = laid_down.cancelled() => {
                if let Err(fault) = app.log().release_lease(&lease).await {
                    tracing::warn!(role, "the lease was not given back; it ends by itself: {fault}");
                }
                return;
            }
        }
    }
}

/// Asks for the lease until it is this server's; none if it stops before.
async fn become_active(app: &App, role: &str, outage: &Outage, laid_down: &CancellationToken) -> Option<Lease> {
    while !laid_down.is_cancelled() {
        // Not cut off when the server stops: a lease whose answer nobody hears would not be given back.
        match app.log().acquire_lease(role, holder(app), LEASE).await {
            Ok(lease) => {
                outage.is_over(role);
                if lease.is_some() {
                    return lease;
                }
            }
            Err(fault) => outage.goes_on(role, &fault),
        }
        let _ = timeout(STANDBY, laid_down.cancelled()).await;
    }
    None
}

/// How a lease was lost.
enum Lost {
    /// Somebody else has it.
    Taken,
    /// It ended, because the database did not renew it.
    Unrenewed(Fault),
}

/// Renews the lease until that fails for as long as it lasts, or somebody else has it.
async fn renew(app: &App, lease: &Lease) -> Lost {
    let mut renewed = Instant::now();
    loop {
        sleep(RENEWAL).await;
        match app.log().renew_lease(lease).await {
            Ok(true) => renewed = Instant::now(),
            Ok(false) => return Lost::Taken,
            Err(fault) if renewed.elapsed() >= LEASE => return Lost::Unrenewed(fault),
            Err(fault) => tracing::debug!(role = lease.role, "renewal failed: {fault}"),
        }
    }
}

async fn while_caught_up<F: Future<Output = ()>>(app: App, role: &'static str, doing: Arc<impl Fn() -> F>) {
    let mut followed = app.views().watch_followed();
    while followed.wait_for(|followed| followed.caught_up).await.is_ok() {
        let _active = app.metrics().active(role);
        tokio::select! {
            () = doing() => return,
            doubted = followed.wait_for(|followed| !followed.caught_up) => drop(doubted),
        }
    }
}
