//! What a door tells the task that stores, in messages of many chunks: a message wakes another thread, which costs more than
//! the bytes of one chunk from the socket.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::dicom::conformance::Checked;
use crate::index::mint::Finale;
use crate::model::{SeriesUid, SopInstanceUid};

/// Messages between the door and the task.
const QUEUE: usize = 2;

/// Bytes of one message, and what is told in it at most.
const MESSAGE_BYTES: usize = 256 << 10;
const MESSAGE_INPUTS: usize = 64;

/// What a part was announced to be (MINT Z30).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

impl Expected {
    /// What of a complete part is otherwise than announced, if anything is.
    pub(super) fn differs(&self, found: &Checked, digest: [u8; 32]) -> Option<&'static str> {
        if self.digest != digest {
            Some("its SHA-256 is not the one that was announced")
        } else if self.instance != found.instance || self.series != found.series {
            Some("its UIDs are not those that were announced")
        } else {
            None
        }
    }
}

/// What the door tells the task.
#[derive(Debug)]
pub enum Input {
    /// A part begins.
    Start,
    /// What the part that has begun has to be.
    Expect(Expected),
    /// Bytes of the part.
    Data(Bytes),
    /// The part is odd for a reason that its bytes do not tell: a Warning Reason and a text for people.
    Odd(u16, String),
    /// The part is complete.
    End,
    /// Between two parts: what is complete becomes durable now.
    Seal,
    /// Everything was told: a study that is made or changed as a whole may be recorded, with what ends it.
    Complete(Finale),
    /// The part, or what should have been one, is broken.
    Broken(String),
    /// The request is longer than it may be: the part, or what would have been one, is refused for it.
    TooLong(String),
}

/// The door's end of the channel, and what is still to be told through it.
#[derive(Debug)]
pub(super) struct Feed {
    input: mpsc::Sender<Vec<Input>>,
    held: Vec<Input>,
    held_bytes: usize,
}

impl Feed {
    /// Both ends of a channel.
    pub(super) fn new() -> (Self, mpsc::Receiver<Vec<Input>>) {
        let (input, queue) = mpsc::channel(QUEUE);
        let feed = Self {
            input,
            held: Vec::new(),
            held_bytes: 0,
        };
        (feed, queue)
    }

    /// Tells something, at once or with what follows; `false` when nobody listens any more.
    pub(super) async fn send(&mut self, input: Input) -> bool {
        if let Input::Data(bytes) = &input {
            self.held_bytes = self.held_bytes.saturating_add(bytes.len());
        }
        self.held.push(input);
        if self.held_bytes < MESSAGE_BYTES && self.held.len() < MESSAGE_INPUTS {
            return !self.input.is_closed();
        }
        self.flush().await
    }

    /// Tells what is held.
    pub(super) async fn flush(&mut self) -> bool {
        if self.held.is_empty() {
            return !self.input.is_closed();
        }
        self.held_bytes = 0;
        let held = std::mem::take(&mut self.held);
        self.input.send(held).await.is_ok()
    }
}

impl Drop for Feed {
    /// Of a request that was given up, the parts that were complete are stored all the same, if there is room to say so.
    fn drop(&mut self) {
        self.input.try_send(std::mem::take(&mut self.held)).ok();
    }
}
