//! A `multipart/related` body as parts that are pulled from a stream (T11, T52).

use std::fmt;

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::headers::Headers;
use super::read::{Event, Reader};
use crate::error::{BoxError, Error, Result};

/// A body of parts that are pulled one after the other, each chunk by chunk (T11).
///
/// ```no_run
/// # async fn store(body: actix_web::web::Payload) -> kura::Result<()> {
/// let mut parts = kura::http::multipart::Parts::new(body, "boundary");
/// while let Some(headers) = parts.next_part().await? {
///     println!("{:?}", headers.content_type());
///     while let Some(chunk) = parts.chunk().await? {
///         println!("{} bytes", chunk.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Parts<S> {
    reader: Reader,
    body: S,
    in_part: bool,
}

impl<S> fmt::Debug for Parts<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

impl<S, E> Parts<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    /// The parts of `body` between boundaries `boundary`.
    pub fn new(body: S, boundary: &str) -> Self {
        Self {
            reader: Reader::new(boundary),
            body,
            in_part: false,
        }
    }

    /// The headers of the next part, after passing over what is left of the one before; `None` after the last boundary.
    ///
    /// # Errors
    /// `Kind::Invalid` where the body breaks the grammar or breaks off; parts before stay good (T52).
    pub async fn next_part(&mut self) -> Result<Option<Headers>> {
        while self.chunk().await?.is_some() {}
        match self.event().await? {
            Event::Part(headers) => {
                self.in_part = true;
                Ok(Some(headers))
            }
            Event::Data(_) | Event::PartEnd | Event::NeedMore | Event::End => Ok(None),
        }
    }

    /// The next bytes of the part; `None` at its end.
    ///
    /// # Errors
    /// `Kind::Invalid` where the body breaks off; the part is then not whole.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if !self.in_part {
            return Ok(None);
        }
        match self.event().await? {
            Event::Data(bytes) => Ok(Some(bytes)),
            Event::Part(_) | Event::PartEnd | Event::NeedMore | Event::End => {
                self.in_part = false;
                Ok(None)
            }
        }
    }

    /// The next event that is not [`Event::NeedMore`].
    async fn event(&mut self) -> Result<Event> {
        loop {
            let event = self.reader.next_event()?;
            if event != Event::NeedMore {
                return Ok(event);
            }
            match self.body.next().await {
                Some(Ok(chunk)) => self.reader.push(chunk),
                Some(Err(broken)) => {
                    return Err(Error::invalid("the request body broke off").with_source(broken));
                }
                None => {
                    self.reader.finish()?;
                    return Ok(Event::End);
                }
            }
        }
    }
}
