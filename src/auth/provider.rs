//! The keys of one identity provider: found by `OpenID` Connect discovery, fetched, cached, kept through an outage
//! (SH-2.2 step 4).
//!
//! A known key never waits for the network. The set is fetched at the start and again every ten minutes by one loop
//! ([`Provider::keep_fresh`]), so there is one fetch at a time however many requests ask. A name that is not in the set
//! asks the loop for one more fetch, once a minute at most, and waits for its end. A fetch that fails changes nothing but
//! the log: the old set serves for a day. A key that is gone from the set serves until the last token signed with it has
//! expired.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::fetch::{Fetch, FetchError};
use super::issuer::{Key, KeySet};
use crate::error::Result;
use crate::model::{Clock, Timestamp};

/// How long a set is taken as current, in seconds.
const FRESH_S: i64 = 10 * 60;

/// How long a set serves while it cannot be fetched anew, in seconds.
const KEPT_S: i64 = 24 * 3600;

/// How often unknown names may ask for a fetch, in seconds.
const ASKED_EVERY_S: i64 = 60;

/// When a failed fetch is tried again: the first time, and the longest time after many.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// How long a request waits for the fetch it asked for: longer than a fetch may take.
const WAIT: Duration = Duration::from_secs(8);

/// Where the keys of an issuer come from.
#[derive(Debug)]
pub struct Provider {
    fetch: Fetch,
    clock: Clock,
    /// How long a key that is gone may still be needed, in seconds.
    retired_s: i64,
    held: Mutex<Held>,
    wanted: Notify,
    /// How many of the asked fetches have ended.
    served: watch::Sender<u64>,
}

/// What is known of the provider's keys.
#[derive(Debug, Default)]
struct Held {
    current: KeySet,
    /// Keys that were in an earlier set, and when they were last seen there.
    retired: Vec<(Key, Timestamp)>,
    /// When the set was fetched.
    fetched_at: Option<Timestamp>,
    /// When the last fetch began.
    tried_at: Option<Timestamp>,
    /// When an unknown name last asked for a fetch, and how often that has happened.
    asked_at: Option<Timestamp>,
    asked: u64,
    is_fetching: bool,
}

impl Provider {
    /// The keys of `issuer`, from `jwks_uri` or from where its discovery document says. Tokens of it live `max_life_s`
    /// seconds at most. Nothing is fetched before [`Provider::keep_fresh`] runs.
    ///
    /// # Errors
    /// `Kind::Invalid` if an address is neither https nor on this machine.
    pub fn new(
        issuer: &str,
        jwks_uri: Option<&str>,
        max_life_s: i64,
        clock: Clock,
    ) -> Result<Self> {
        Ok(Self {
            fetch: Fetch::new(issuer, jwks_uri)?,
            clock,
            retired_s: max_life_s.saturating_add(super::token::LEEWAY_S),
            held: Mutex::default(),
            wanted: Notify::new(),
            served: watch::Sender::new(0),
        })
    }

    /// The key named `kid`; without a name, the only key there is. For a name that is not known the set is fetched anew
    /// if that was not asked for lately.
    pub(super) async fn find(&self, kid: Option<&str>) -> Option<Key> {
        if let Some(key) = self.known(kid) {
            return Some(key);
        }
        let mine = self.ask()?;
        let mut served = self.served.subscribe();
        let served = served.wait_for(|served| *served >= mine);
        let in_time = tokio::time::timeout(WAIT, served).await.is_ok();
        in_time.then(|| self.known(kid)).flatten()
    }

    /// Fetches the set now and then, for as long as the process runs.
    pub async fn keep_fresh(&self) {
        let mut pause = RETRY.0;
        loop {
            let wait = if self.fetch_once().await.is_ok() {
                pause = RETRY.0;
                Duration::from_secs(FRESH_S.unsigned_abs())
            } else {
                let wait = pause;
                pause = (pause * 2).min(RETRY.1);
                wait
            };
            // Nobody is waiting: whoever asked while the fetch ran got what it brought.
            drop(tokio::time::timeout(wait, self.wanted.notified()).await);
        }
    }

    /// Fetches the set once, and says in the log what is wrong with the provider if that fails.
    ///
    /// # Errors
    /// What is wrong, for whoever looks after the provider.
    pub async fn fetch_once(&self) -> Result<usize, FetchError> {
        let asked_before = {
            let mut held = self.lock();
            held.tried_at = Some(self.clock.now());
            held.is_fetching = true;
            held.asked
        };
        let fetched = self.fetch.keys().await;
        let serves = {
            let mut held = self.lock();
            held.is_fetching = false;
            // Whoever asks while a fetch runs may know of a key that is newer than it; the first set is new to all.
            if held.fetched_at.is_none() {
                held.asked
            } else {
                asked_before
            }
        };
        let outcome = match fetched {
            Ok(keys) => {
                let count = keys.len();
                if self.take(keys) {
                    tracing::info!(
                        issuer = self.fetch.issuer(),
                        keys = count,
                        "the keys of an identity provider are new"
                    );
                }
                Ok(count)
            }
            Err(error) => {
                metrics::counter!("kura_jwks_refresh_failures_total", "issuer" => self.fetch.issuer().to_owned())
                    .increment(1);
                tracing::warn!(
                    issuer = self.fetch.issuer(),
                    %error,
                    serving_old_keys = self.lock().age_s(self.clock.now()).is_some_and(|age_s| age_s < KEPT_S),
                    "the keys of an identity provider could not be fetched"
                );
                Err(error)
            }
        };
        self.served.send_replace(serves);
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key named `kid` among those that are here.
    pub(super) fn known(&self, kid: Option<&str>) -> Option<Key> {
        let now = self.clock.now();
        let held = self.lock();
        let age_s = held.age_s(now)?;
        let is_due = held
            .tried_at
            .is_none_or(|at| is_past(at, ASKED_EVERY_S, now));
        if age_s >= FRESH_S && is_due {
            // The machine slept and the loop with it. Nobody waits for what it brings.
            self.wanted.notify_one();
        }
        if age_s >= KEPT_S {
            return None;
        }
        let retired = || {
            let is_it = |(key, seen_at): &&(Key, Timestamp)| {
                key.is_named(kid) && !is_past(*seen_at, self.retired_s, now)
            };
            held.retired.iter().find(is_it).map(|(key, _)| key)
        };
        held.current.find(kid).or_else(retired).cloned()
    }

    /// Asks for a fetch, or joins those who wait for one that was asked for, and gives its number; `None` if the last was
    /// asked for lately and has ended.
    fn ask(&self) -> Option<u64> {
        let now = self.clock.now();
        let mut held = self.lock();
        if *self.served.borrow() < held.asked {
            return Some(held.asked);
        }
        if held.is_fetching && held.fetched_at.is_none() {
            held.asked = held.asked.saturating_add(1);
            return Some(held.asked);
        }
        if held
            .asked_at
            .is_some_and(|at| !is_past(at, ASKED_EVERY_S, now))
        {
            return None;
        }
        held.asked_at = Some(now);
        held.asked = held.asked.saturating_add(1);
        self.wanted.notify_one();
        Some(held.asked)
    }

    /// Puts a fetched set in the place of the old one, whose missing keys are kept for the tokens they have signed; gives
    /// whether it has keys that were not there.
    fn take(&self, keys: KeySet) -> bool {
        let now = self.clock.now();
        let mut held = self.lock();
        let seen_at = held.fetched_at;
        let has_new = !keys.clone().into_keys_not_in(&held.current).is_empty();
        let old = std::mem::replace(&mut held.current, keys);
        let gone: Vec<Key> = old.into_keys_not_in(&held.current);
        held.retired.extend(
            seen_at
                .into_iter()
                .flat_map(|at| gone.iter().map(move |key| (key.clone(), at))),
        );
        let retired_s = self.retired_s;
        held.retired
            .retain(|(_, seen_at)| !is_past(*seen_at, retired_s, now));
        let is_first = held.fetched_at.replace(now).is_none();
        has_new || is_first
    }
}

/// Whether `seconds` have gone by since `at`.
fn is_past(at: Timestamp, seconds: i64, now: Timestamp) -> bool {
    now.seconds().saturating_sub(at.seconds()) >= seconds
}

impl Held {
    /// How old the set is, in seconds; `None` if there was none yet.
    fn age_s(&self, now: Timestamp) -> Option<i64> {
        self.fetched_at.map(|at| now.seconds() - at.seconds())
    }
}
