//! Which stores are let in, and when: each facility has its share of the places, and what finds none waits for its turn.
//!
//! A store is let in before a byte of its body is read, so what waits costs a connection and no buffers, and what is refused
//! costs nothing. The lines are those of one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::limits::StoreLimits;
use super::turns::{Arrival, Ticket, Turns};
use crate::error::{Error, Kind, Result};
use crate::model::FacilityId;

/// The places of one process. A clone has the same.
#[derive(Clone, Debug)]
pub(super) struct Admission(Arc<Doorman>);

#[derive(Debug)]
struct Doorman {
    lines: Mutex<Lines>,
    wait: Duration,
}

#[derive(Debug)]
struct Lines {
    turns: Turns<FacilityId>,
    /// How those who wait are told.
    told: HashMap<Ticket, oneshot::Sender<Place>>,
}

/// A store's place among those under way; it comes free when this is dropped.
#[derive(Debug)]
pub struct Place {
    facility: FacilityId,
    of: Arc<Doorman>,
}

/// A store in its line; it leaves the line when this is dropped.
struct Waiting<'a> {
    of: &'a Arc<Doorman>,
    facility: FacilityId,
    ticket: Ticket,
}

impl Admission {
    pub(super) fn new(limits: &StoreLimits) -> Self {
        let turns = Turns::new(limits.uploads, limits.share(), limits.uploads_waiting);
        let lines = Lines {
            turns,
            told: HashMap::new(),
        };
        Self(Arc::new(Doorman {
            lines: Mutex::new(lines),
            wait: Duration::from_secs(limits.upload_wait_s),
        }))
    }

    /// Stores that have a place or wait for one.
    pub(super) fn present(&self) -> usize {
        let lines = self.0.lines();
        lines.turns.taken() + lines.turns.waiting()
    }

    /// A place for a store of `facility`, at once or when it is its turn.
    ///
    /// # Errors
    /// `Kind::Unavailable` where too many wait already, and where its turn does not come in time.
    pub(super) async fn enter(&self, facility: FacilityId) -> Result<Place> {
        let begun = Instant::now();
        let entered = self.place(facility).await;
        match &entered {
            Ok(_) => metrics::histogram!("kura_store_wait_seconds").record(begun.elapsed()),
            Err((reason, _)) => {
                metrics::counter!("kura_stores_refused_total", "reason" => *reason).increment(1);
            }
        }
        entered.map_err(|(_, detail)| Error::new(Kind::Unavailable, detail))
    }

    async fn place(&self, facility: FacilityId) -> Result<Place, (&'static str, &'static str)> {
        const FULL: (&str, &str) = (
            "full",
            "too many stores are under way and wait; try again in a moment",
        );
        let (waiting, told) = match self.0.arrive(facility) {
            Ok(place) => return Ok(place),
            Err(Some(waiting)) => waiting,
            Err(None) => return Err(FULL),
        };
        let turn = tokio::time::timeout(self.0.wait, told).await;
        drop(waiting);
        match turn {
            Ok(Ok(place)) => Ok(place),
            // Another facility, which had fewer in line, took its room.
            Ok(Err(_)) => Err(FULL),
            Err(_) => Err((
                "late",
                "the stores before this one take too long; try again in a moment",
            )),
        }
    }
}

impl Doorman {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, or a turn to wait for, or nothing.
    fn arrive(
        self: &Arc<Self>,
        facility: FacilityId,
    ) -> Result<Place, Option<(Waiting<'_>, oneshot::Receiver<Place>)>> {
        let mut lines = self.lines();
        match lines.turns.arrive(facility) {
            Arrival::Place => Ok(self.place(facility)),
            Arrival::Refused => Err(None),
            Arrival::Waits { ticket, instead_of } => {
                if let Some(ticket) = instead_of {
                    lines.told.remove(&ticket);
                }
                let (tell, told) = oneshot::channel();
                lines.told.insert(ticket, tell);
                lines.show();
                let waiting = Waiting {
                    of: self,
                    facility,
                    ticket,
                };
                Err(Some((waiting, told)))
            }
        }
    }

    fn place(self: &Arc<Self>, facility: FacilityId) -> Place {
        Place {
            facility,
            of: Arc::clone(self),
        }
    }
}

impl Lines {
    #[expect(clippy::cast_precision_loss, reason = "a count of a few")]
    fn show(&self) {
        metrics::gauge!("kura_stores_waiting").set(self.turns.waiting() as f64);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut served = Vec::new();
        {
            let mut lines = self.of.lines();
            for (facility, ticket) in lines.turns.leave(self.facility) {
                served.push((lines.told.remove(&ticket), self.of.place(facility)));
            }
            lines.show();
        }
        // One that waits no more gives its place back, for which the lines have to be free.
        for (tell, place) in served {
            if let Some(tell) = tell {
                drop(tell.send(place));
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut lines = self.of.lines();
        if lines.told.remove(&self.ticket).is_some() {
            lines.turns.give_up(self.facility, self.ticket);
            lines.show();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn admission(uploads: usize, share: usize, waiting: usize, wait_s: u64) -> Admission {
        Admission::new(&StoreLimits {
            uploads,
            uploads_per_facility: Some(share),
            uploads_waiting: waiting,
            upload_wait_s: wait_s,
            ..StoreLimits::default()
        })
    }

    fn facility(number: u128) -> FacilityId {
        FacilityId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn who_waits_has_the_place_that_comes_free() {
        let door = admission(1, 1, 4, 30);
        let first = door.enter(facility(1)).await.unwrap();
        let mut second = Box::pin(door.enter(facility(2)));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(door.present(), 2);
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(door.present(), 0);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_its_line_before_and_after_its_turn_came() {
        let door = admission(1, 1, 1, 30);
        let first = door.enter(facility(1)).await.unwrap();
        let mut second = Box::pin(door.enter(facility(2)));
        assert!(second.as_mut().now_or_never().is_none());
        let refused = door.enter(facility(3)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
        drop(second);
        let mut third = Box::pin(door.enter(facility(3)));
        assert!(third.as_mut().now_or_never().is_none(), "there is room");
        // Its turn comes, and nobody looks: the place is free again.
        drop(first);
        drop(third);
        assert_eq!(door.present(), 0);
        door.enter(facility(1)).await.unwrap();
    }

    #[tokio::test]
    async fn who_is_pushed_out_is_told_at_once() {
        let door = admission(1, 1, 2, 30);
        let place = door.enter(facility(1)).await.unwrap();
        let mut older = Box::pin(door.enter(facility(1)));
        assert!(older.as_mut().now_or_never().is_none());
        let mut newer = Box::pin(door.enter(facility(1)));
        assert!(newer.as_mut().now_or_never().is_none());
        let mut other = Box::pin(door.enter(facility(2)));
        assert!(other.as_mut().now_or_never().is_none());
        assert_eq!(newer.await.unwrap_err().kind(), Kind::Unavailable);
        drop(place);
        drop(other.await.unwrap());
        drop(older.await.unwrap());
        assert_eq!(door.present(), 0);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let door = admission(1, 1, 4, 0);
        let _place = door.enter(facility(1)).await.unwrap();
        let late = door.enter(facility(1)).await.unwrap_err();
        assert!(late.detail().contains("take too long"), "{late}");
        assert_eq!(door.present(), 1);
    }
}
