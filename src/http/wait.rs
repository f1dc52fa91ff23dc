//! Long polls: an answer that waits until there is something to say (RFC 7240; MINT Z15, MINT 16.9).
//!
//! No replica tells another what it wrote, so the rows are looked at again and again: soon at first, then once a second. A
//! wait holds neither a connection to the database nor a thread, and ends early when the process is told to stop.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::media_type::split;
use crate::error::Result;

/// How long an answer waits at most, whatever its caller would: proxies end what is silent for longer. Published in the
/// conformance statement.
pub(super) const LONGEST_S: u64 = 60;

/// The pause before the second look. Each further pause is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// For how long a caller would wait by `Prefer: wait=N` (RFC 7240 4.3), as far as the answer does; `None` if it says nothing
/// that can be read, which asks for nothing. The first `wait` counts.
pub(super) fn preferred(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all("prefer");
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| split(line, ','));
    let wait = preferences.find_map(|preference| {
        let (preference, _) = preference.split_once(';').unwrap_or((preference, ""));
        let (name, value) = preference.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"').to_owned())
    })?;
    seconds(&wait)
}

/// A number of seconds as far as an answer waits.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large is one all the same.
    is_number.then(|| of_seconds(text.parse().unwrap_or(u64::MAX)))
}

/// So many seconds, as far as an answer waits.
pub(super) fn of_seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(LONGEST_S))
}

/// Looks until something is found that `is_enough`, for `at_most` so long; gives what was found last.
///
/// # Errors
/// What a look fails with.
pub(super) async fn until<T>(
    stopping: &CancellationToken,
    at_most: Duration,
    mut look: impl AsyncFnMut() -> Result<T>,
    is_enough: impl Fn(&T) -> bool,
) -> Result<T> {
    let end = Instant::now() + at_most;
    let mut pause = FIRST_PAUSE;
    loop {
        let found = look().await?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stopping.is_cancelled() || is_enough(&found) {
            return Ok(found);
        }
        tokio::select! {
            () = sleep(pause.min(left)) => {}
            () = stopping.cancelled() => {}
        }
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn mint_z15_a_wait_is_read_from_among_preferences() {
        let check = |lines: &[&str], expected: Option<u64>| {
            let mut request = TestRequest::default();
            for line in lines {
                request = request.append_header(("Prefer", *line));
            }
            let request = request.to_http_request();
            let seconds = preferred(request.headers()).map(|time| time.as_secs());
            assert_eq!(seconds, expected, "{lines:?}");
        };
        check(&["wait=10"], Some(10));
        check(&["respond-async, Wait = \"7\"; x=1, wait=9"], Some(7));
        check(&["handling=lenient", "wait=0"], Some(0));
        check(&["wait=99999999999999999999999"], Some(LONGEST_S));
        for nothing in [
            "", "wait", "wait=", "wait=-1", "wait=1.5", "await=3", "x;wait=3",
        ] {
            check(&[nothing], None);
        }
        check(&[], None);
    }

    #[tokio::test]
    async fn mint_z15_a_wait_ends_when_there_is_something_or_no_time_or_no_process() {
        let stopping = CancellationToken::new();
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok(looks.get())
        };
        let waited = async |at_most: u64, enough: u32| {
            let (begun, at_most) = (Instant::now(), Duration::from_millis(at_most));
            looks.set(0);
            let found = until(&stopping, at_most, look, |found| *found >= enough).await;
            (found.unwrap(), begun.elapsed())
        };
        assert_eq!(waited(0, 9).await.0, 1);
        assert_eq!(waited(60_000, 1).await.0, 1);
        assert_eq!(waited(60_000, 3).await.0, 3);
        let (found, time) = waited(120, 1000).await;
        assert!(
            (2..5).contains(&found) && time >= Duration::from_millis(120),
            "{found}"
        );
        let stop = async {
            sleep(Duration::from_millis(200)).await;
            stopping.cancel();
        };
        let ((found, time), ()) = tokio::join!(waited(60_000, 1000), stop);
        assert!(found < 10 && time < Duration::from_secs(30), "{found}");
    }
}
