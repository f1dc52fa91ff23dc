//! Stored files read through a sink: written anew, or for one value of them.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::Archive;
use super::retrieve::ByteStream;
use crate::dicom::bulk::Pick;
use crate::dicom::scan::{Limits, ScanError, Scanner, Sink};
use crate::dicom::transcode::{Around, ToExplicitLittle};
use crate::dicom::window::Window;
use crate::error::{Error, Result};
use crate::index::catalog::{Instance, Visible};

/// A sink that makes bytes of what it is told.
pub(super) trait Produce: Sink + Send + 'static {
    /// What has been made since the last call.
    fn made(&mut self) -> Bytes;
    /// Whether nothing more will come, so that the rest of the file need not be read.
    fn is_done(&self) -> bool;
}

impl Archive {
    /// What a sink makes of the stored file.
    pub(super) fn produce<P: Produce>(&self, instance: &Visible<Instance>, sink: P) -> ByteStream {
        let reading = self.through(instance, sink);
        let pieces = stream::try_unfold(reading, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok::<_, Error>(bytes.map(|bytes| (bytes, reading)))
        });
        pieces.boxed()
    }

    /// The stored file, to be read through a sink.
    pub(super) fn through<P: Produce>(&self, instance: &Visible<Instance>, sink: P) -> Through<P> {
        Through::over(self.vault.read(&instance.blob()), sink)
    }
}

/// A stored file on its way through a scanner.
pub(super) struct Through<P> {
    file: ByteStream,
    scanner: Scanner,
    pub(super) sink: P,
    ended: bool,
}

impl<P: Produce> Through<P> {
    /// The bytes of a stored file, from its first on, to be read through a sink.
    pub(super) fn over(file: ByteStream, sink: P) -> Self {
        Self {
            file,
            scanner: Scanner::new(Limits::default()),
            sink,
            ended: false,
        }
    }

    /// What the sink made of the next bytes of the file that made something; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.ended && !self.sink.is_done() {
            if let Some(bytes) = self.file.try_next().await? {
                self.scanner
                    .feed(&bytes, &mut self.sink)
                    .map_err(unreadable)?;
            } else {
                self.scanner.finish(&mut self.sink).map_err(unreadable)?;
                self.ended = true;
            }
            let bytes = self.sink.made();
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        let rest = self.sink.made();
        Ok((!rest.is_empty()).then_some(rest))
    }
}

/// What was taken at the door could be read then.
pub(super) fn unreadable(error: ScanError) -> Error {
    Error::internal("a stored file cannot be read", error)
}

impl Produce for ToExplicitLittle {
    fn made(&mut self) -> Bytes {
        self.take()
    }

    fn is_done(&self) -> bool {
        false
    }
}

impl Produce for Around {
    fn made(&mut self) -> Bytes {
        self.take()
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }
}

impl Produce for Pick {
    fn made(&mut self) -> Bytes {
        self.take()
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }
}

impl Produce for Window {
    fn made(&mut self) -> Bytes {
        self.take()
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }
}
