//! Any steps of storing, deleting, restoring and erasing, beside a model of what should be there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::removing::{assert_true, column, later, remover, scope, why, with_policy};
use super::world::{World, access, instance, pack};
use crate::index::record::Recorded;
use crate::model::{Class, Deletion, DeletionState, Facility, OnConflict, Removal};
use Recorded::{AlreadyThere, Conflict, Erased, InBin, New, Replaced};

/// One step of somebody.
#[derive(Clone, Copy, Debug)]
enum Step {
    Store {
        study: u8,
        series: u8,
        instance: u8,
        bytes: u8,
    },
    Delete {
        study: u8,
        series: Option<u8>,
        instance: Option<u8>,
    },
    Restore(u8),
    Approve(u8),
    Purge,
    Policy(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..2_u8, 0..3_u8, 0..4_u8);
    prop_oneof![
        5 => (place(), 0..2_u8).prop_map(|((study, series, instance), bytes)| Step::Store {
            study, series, instance, bytes
        }),
        3 => (place(), 0..3_u8).prop_map(|((study, series, instance), depth)| Step::Delete {
            study,
            series: (depth > 0).then_some(series),
            instance: (depth > 1).then_some(instance),
        }),
        2 => any::<u8>().prop_map(Step::Restore),
        1 => any::<u8>().prop_map(Step::Approve),
        1 => Just(Step::Purge),
        1 => any::<bool>().prop_map(Step::Policy),
    ]
}

/// What the archive should hold, by UID: study, series, and the deletion that took it.
type Model = BTreeMap<String, (u8, u8, Option<usize>)>;

/// The archive, and what it should hold.
struct Beside<'a> {
    world: &'a World,
    at: &'a Facility,
    model: Model,
    made: Vec<Deletion>,
    /// Whether a UID that is taken is replaced.
    replace: bool,
}

impl Beside<'_> {
    async fn take(&mut self, step: Step) {
        let index = &self.world.index;
        match step {
            Step::Store {
                study,
                series,
                instance,
                bytes,
            } => self.store((study, series, instance), bytes).await,
            Step::Delete {
                study,
                series,
                instance,
            } => self.delete(study, series, instance).await,
            Step::Restore(which) if !self.made.is_empty() => {
                let which = usize::from(which) % self.made.len();
                let grant = remover(self.at, "hanako");
                let back = index.restore(&grant, self.made[which].id, None).await;
                if back.is_ok() {
                    for (_, _, binned) in self.model.values_mut() {
                        *binned = binned.filter(|of| *of != which);
                    }
                }
            }
            Step::Approve(which) if !self.made.is_empty() => {
                let which = usize::from(which) % self.made.len();
                let grant = remover(self.at, "taro");
                drop(index.approve(&grant, self.made[which].id, None).await);
            }
            Step::Purge => self.purge().await,
            Step::Policy(replace) => {
                self.replace = replace;
            }
            Step::Restore(_) | Step::Approve(_) => {}
        }
    }

    async fn store(&mut self, (study, series, number): (u8, u8, u8), bytes: u8) {
        let uid = format!("1.{study}.{series}.{number}");
        let (class, modality) = match series {
            2 => (Class::Sr, "SR"),
            _ => (Class::Image, "CT"),
        };
        let new = instance(&uid)
            .series(&format!("1.{study}.{series}"))
            .class(class)
            .with("Modality", modality)
            .bytes(bytes);
        let batch = [pack(&format!("1.{study}"), vec![new])];
        let policy = if self.replace {
            OnConflict::Replace
        } else {
            OnConflict::Reject
        };
        let at = with_policy(self.at, policy);
        let outcome = self.world.store(&at, &batch).await[0][0];
        let before = self.model.get(&uid).map(|(_, _, binned)| *binned);
        match outcome {
            New | Erased => assert_eq!(before, None),
            Replaced | AlreadyThere | Conflict => assert_eq!(before, Some(None)),
            InBin => assert!(before.flatten().is_some()),
        }
        if outcome.is_written() {
            self.model.insert(uid, (study, series, None));
        }
    }

    async fn delete(&mut self, study: u8, series: Option<u8>, instance: Option<u8>) {
        let series_uid = series.map(|series| format!("1.{study}.{series}"));
        let uid = series_uid
            .as_ref()
            .zip(instance)
            .map(|(series, number)| format!("{series}.{number}"));
        let study_uid = format!("1.{study}");
        let named = scope(&study_uid, series_uid.as_deref(), uid.as_deref());
        let grant = remover(self.at, "hanako");
        let why = why(Removal::Delete);
        let taken = self.world.index.bin(&grant, &named, &why).await.ok();
        let (mut count, next) = (0, self.made.len());
        for (name, (of, within, binned)) in &mut self.model {
            let is_named = *of == study
                && series.is_none_or(|series| *within == series)
                && uid.as_ref().is_none_or(|uid| uid == name);
            if is_named && binned.is_none() {
                *binned = Some(next);
                count += 1;
            }
        }
        assert_eq!(
            taken.as_ref().map_or(0, |taken| taken.instance_count),
            count
        );
        self.made.extend(taken);
    }

    async fn purge(&mut self) {
        let index = &self.world.index;
        while index.purge_next(later(index)).await.unwrap().is_some() {}
        let caller = access(self.at, &[]);
        for (which, deletion) in self.made.iter().enumerate() {
            let found = index.catalog(&caller).deletion(deletion.id).await.unwrap();
            if found.state == DeletionState::Erased {
                self.model
                    .retain(|_, (_, _, binned)| *binned != Some(which));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Slow: two dozen databases.
    #[test]
    fn after_any_steps_the_kept_columns_are_what_a_recount_gives(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let at = world.facility("F001").await;
            let (model, made) = (Model::new(), Vec::new());
            let mut beside = Beside { world: &world, at: &at, model, made, replace: false };
            for one in steps {
                beside.take(one).await;
                assert_true(&world.index).await;
            }
            let live = "SELECT sop_instance_uid FROM instance WHERE state = 'live' ORDER BY 1";
            let expected: Vec<String> = beside
                .model
                .iter()
                .filter(|(_, (_, _, binned))| binned.is_none())
                .map(|(uid, _)| uid.clone())
                .collect();
            assert_eq!(column(&world.index, live).await, expected);
        });
    }
}
