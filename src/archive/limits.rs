//! How much one store, and all of them together, may take.

/// Limits of stores, as the operator sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Stores under way at a time.
    pub uploads: usize,
    /// Stores of one facility under way at a time; a quarter of all where it is `None`.
    pub uploads_per_facility: Option<usize>,
    /// Stores that wait for their turn, of all facilities together.
    pub uploads_waiting: usize,
    /// How long a store waits for its turn, in seconds.
    pub upload_wait_s: u64,
    /// The longest body of a request, in bytes, expanded; a facility's own rule wins.
    pub request_bytes: Option<u64>,
    /// The longest instance, in bytes; a facility's own rule wins.
    pub instance_bytes: Option<u64>,
    /// The longest body that came with a `Content-Encoding`, expanded, in bytes.
    pub expanded_bytes: u64,
    /// How long a body may stay silent, in seconds.
    pub body_idle_s: u64,
    /// Parts of a request: their outcomes are held until it ends.
    pub parts: usize,
    /// Packs of different studies that one request keeps open. A request that mixes more studies seals the one it used
    /// least recently; each open pack costs a write buffer.
    pub open_packs: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            uploads: 256,
            uploads_per_facility: None,
            uploads_waiting: 256,
            upload_wait_s: 30,
            request_bytes: None,
            instance_bytes: None,
            expanded_bytes: 16 << 30,
            body_idle_s: 120,
            parts: 100_000,
            open_packs: 8,
        }
    }
}

impl StoreLimits {
    /// The share of one facility in the places for stores.
    pub fn share(&self) -> usize {
        self.uploads_per_facility
            .unwrap_or_else(|| self.uploads.div_ceil(4))
    }
}
