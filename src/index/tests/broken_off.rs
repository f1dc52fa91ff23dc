//! Steps that are broken off in the middle, as a process that is killed breaks them off: whole or nothing.

use std::future::Future;

use super::removing::{approve, assert_true, filled, later, one, remover, scope, why};
use super::world::access;
use crate::index::catalog::Wanted;
use crate::model::{DeletionState, Removal};

/// A future that is dropped when it was polled `left` times, as a process that is killed drops its transaction.
async fn broken_off<T>(work: impl Future<Output = T>, mut left: u32) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn sh_11_4_broken_off_anywhere_a_step_is_whole_or_nothing() {
    let (world, at) = filled().await;
    let index = &world.index;
    let (hanako, all) = (remover(&at, "hanako"), scope("1", None, None));
    let count = "SELECT '' || COUNT(*) FROM instance WHERE state = 'live'";
    let (mut done, mut polls) = (0, 0);
    while done < 3 {
        polls += 1;
        let request = why(Removal::Delete);
        let binned = broken_off(index.bin(&hanako, &all, &request), polls).await;
        let live = one(index, count).await;
        assert_true(index).await;
        let Some(deletion) = binned else {
            assert!(live == "0" || live == "3", "{live} after {polls} polls");
            if live == "0" {
                // It was committed before it was broken off.
                let caller = access(&at, &[]);
                let wanted = Wanted {
                    state: Some(DeletionState::Binned),
                    before: None,
                    limit: 1,
                };
                let last = index.catalog(&caller).deletions(&wanted).await.unwrap();
                index.restore(&hanako, last[0].id, None).await.unwrap();
            }
            continue;
        };
        assert_eq!(live, "0");
        let deletion = deletion.unwrap();
        done += 1;
        if done < 3 {
            index.restore(&hanako, deletion.id, None).await.unwrap();
            continue;
        }
        approve(index, &at, &deletion).await;
    }
    let left = "SELECT (SELECT COUNT(*) FROM instance) || ' ' || (SELECT COUNT(*) FROM tombstone) \
        || ' ' || (SELECT COUNT(*) FROM series) || ' ' || (SELECT COUNT(*) FROM deletion WHERE state = 'erased')";
    polls = 0;
    loop {
        polls += 1;
        let purged = broken_off(index.purge_next(later(index)), polls).await;
        let left = one(index, left).await;
        assert_true(index).await;
        if purged.is_some() {
            assert_eq!(left, "0 3 0 1");
            break;
        }
        assert!(
            left == "3 0 2 0" || left == "0 3 0 1",
            "{left} after {polls} polls"
        );
    }
    println!("broken off at {polls} places");
}
