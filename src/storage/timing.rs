//! How long the store takes, by operation: opendal's own hooks, under our names. Nothing is repeated and nothing is limited
//! by it, so it may stand over a folder too.

use std::time::Duration;

use opendal::raw::Operation;
use opendal_layer_observe_metrics_common::{
    MetricLabels, MetricValue, MetricsIntercept, MetricsLayer,
};

use crate::measure::{Port, failed, took};

/// Hands what opendal measures on.
#[derive(Clone, Debug)]
pub(super) struct Timing;

/// The layer that measures.
pub(super) fn layer() -> MetricsLayer<Timing> {
    MetricsLayer::new(Timing)
}

/// Notes bytes that were read without opendal; no length where it failed.
pub(super) fn read(length: Option<usize>) {
    noted(Operation::Read.into_static(), length);
}

/// Notes how long they took in all.
pub(super) fn took_to_read(elapsed: Duration) {
    took(Port::Storage, Operation::Read.into_static(), elapsed);
}

/// Notes a write that opendal does not see, the flush that ends it included; no length where it failed.
pub(super) fn wrote(elapsed: Duration, length: Option<usize>) {
    let operation = Operation::Write.into_static();
    took(Port::Storage, operation, elapsed);
    noted(operation, length);
}

fn noted(operation: &'static str, length: Option<usize>) {
    match length {
        Some(length) => moved(operation, length as u64),
        None => failed(Port::Storage, operation),
    }
}

fn moved(operation: &'static str, bytes: u64) {
    metrics::counter!("kura_storage_bytes_total", "operation" => operation).increment(bytes);
}

impl MetricsIntercept for Timing {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an enum of others that may grow: the rest is not ours to tell"
    )]
    fn observe(&self, labels: MetricLabels, value: MetricValue) {
        match value {
            MetricValue::OperationDurationSeconds(elapsed) => {
                took(Port::Storage, labels.operation, elapsed);
            }
            MetricValue::OperationErrorsTotal => failed(Port::Storage, labels.operation),
            MetricValue::OperationBytes(bytes) => moved(labels.operation, bytes),
            _ => {}
        }
    }
}
