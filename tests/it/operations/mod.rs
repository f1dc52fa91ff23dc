//! What an operator sees: logs, metrics, traces, health, and how the process stops.

mod health;
mod logs;
mod metrics;
mod traces;
