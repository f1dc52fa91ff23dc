//! Thumbnails that were made before: a study list asks for the same ones again and again (G16).
//!
//! The key names the content and the version of the instance that is shown, and how; so nothing in here can be out of date,
//! and nobody sees one without the right to that instance.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// So many bytes of pictures are kept, a few thousand thumbnails.
const MAX_BYTES: usize = 16 << 20;

/// Thumbnails by their tags. A clone is the same cache.
#[derive(Clone, Debug, Default)]
pub struct Thumbnails(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<String, Bytes>,
    /// Tags, the oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl Thumbnails {
    /// The one with this tag.
    pub(super) fn get(&self, tag: &str) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.files.get(tag).cloned()
    }

    /// Keeps one; the oldest go where there is no room.
    pub(super) fn put(&self, tag: &str, file: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if file.len() > MAX_BYTES / 16 || kept.files.contains_key(tag) {
            return;
        }
        kept.bytes += file.len();
        kept.files.insert(tag.to_owned(), file);
        kept.order.push_back(tag.to_owned());
        while kept.bytes > MAX_BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            let len = kept.files.remove(&oldest).map_or(0, |file| file.len());
            kept.bytes = kept.bytes.saturating_sub(len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g16_the_oldest_thumbnail_makes_room() {
        let cache = Thumbnails::default();
        let file = Bytes::from(vec![0; MAX_BYTES / 16]);
        for number in 0..17 {
            cache.put(&number.to_string(), file.clone());
            cache.put(&number.to_string(), file.clone());
        }
        assert!(cache.get("0").is_none());
        assert_eq!(cache.clone().get("1"), Some(file));
        cache.put("large", vec![0; MAX_BYTES].into());
        assert!(cache.get("large").is_none());
    }
}
