//! How metadata are shown: which of the stored attributes, under which links, and with which values in the place of links
//! (dicomweb.md J36, J41, X10).

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use memchr::memmem;

use super::Archive;
use super::retrieve::ByteStream;
use crate::auth::Access;
use crate::dicom::bulk::{self, BulkPath};
use crate::dicom::json;
use crate::dicom::query::metadata::Private;
use crate::dicom::query::{Fields, stored};
use crate::error::{Error, Result};
use crate::index::catalog::{Instance, Scope, Visible};
use crate::model::{AttributeSet, BulkForm};

/// What stands before the address in a link. Inside a JSON string a quote is escaped, so this text is a member and no value.
const LINK: &str = "\"BulkDataURI\":\"";

/// Where links lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Links {
    /// To addresses under this `DICOMweb` root, without a slash at its end.
    Under(String),
    /// From the address of the metadata onwards; behind this text, which leads from there to the resource (J41).
    From(String),
}

/// How metadata are shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Where links lead.
    pub links: Links,
    /// The attributes that are shown; all where nothing is said.
    pub fields: Option<Fields>,
    /// What becomes of private ones.
    pub private: Private,
    /// What stands for long binary values.
    pub bulk: BulkForm,
}

impl Shown {
    /// As they are stored, with links under a `DICOMweb` root.
    pub fn under(base_url: &str) -> Self {
        Self {
            links: Links::Under(base_url.to_owned()),
            fields: None,
            private: Private::Shown,
            bulk: BulkForm::Uri,
        }
    }

    /// The root of the links, if nothing else tells the metadata from the stored ones.
    pub(super) fn as_stored(&self) -> Option<&str> {
        match &self.links {
            Links::Under(base) if self.fields.is_none() && self.is_whole() => Some(base),
            Links::Under(_) | Links::From(_) => None,
        }
    }

    fn is_whole(&self) -> bool {
        self.private == Private::Shown && self.bulk == BulkForm::Uri
    }

    /// What stands before `bulkdata/` in the links of an instance, in an answer about `scope`.
    pub(super) fn before(&self, scope: &Scope, of: &Instance) -> String {
        let up = match &self.links {
            Links::Under(base) => return before(base, of),
            Links::From(up) => up,
        };
        let Instance {
            series, instance, ..
        } = of;
        match (&scope.series, &scope.instance) {
            (_, Some(_)) => up.clone(),
            (Some(_), None) => format!("{up}instances/{instance}/"),
            (None, None) => format!("{up}series/{series}/instances/{instance}/"),
        }
    }

    /// A stored head without what is not to be shown.
    ///
    /// # Errors
    /// `Kind::Internal` if it is no DICOM JSON.
    pub(super) fn of_head(&self, head: Vec<u8>) -> Result<Vec<u8>> {
        let mut head = head;
        if self.private == Private::LeftOut {
            let text = std::str::from_utf8(&head)
                .map_err(|cause| Error::internal("metadata that are kept are no text", cause))?;
            let mut public = Vec::with_capacity(text.len());
            json::without_private(text, &mut public)
                .map_err(|cause| Error::internal("metadata that are kept cannot be read", cause))?;
            head = public;
        }
        if let Some(fields) = &self.fields {
            let mut set = AttributeSet::default();
            stored::show(&head, fields, &mut set);
            head.clear();
            json::write_attributes(&set, &mut head);
        }
        Ok(head)
    }
}

/// What stands before `bulkdata/` in links under a root.
pub(super) fn before(base_url: &str, of: &Instance) -> String {
    format!(
        "{base_url}/studies/{}/series/{}/instances/{}/",
        of.study, of.series, of.instance
    )
}

/// Copies a head, with `to` in the place of `from` at the beginning of its links.
pub(super) fn rebase(head: &[u8], from: &str, to: &str, out: &mut Vec<u8>) {
    if from == to {
        return out.extend_from_slice(head);
    }
    let stored = format!("{LINK}{from}");
    let mut rest = head;
    while let Some(at) = memmem::find(rest, stored.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(LINK.as_bytes());
        out.extend_from_slice(to.as_bytes());
        rest = &rest[at + stored.len()..];
    }
    out.extend_from_slice(rest);
}

impl Archive {
    /// A head with the binary values in the place of the links to them, read from the file as they are sent (J36). What cannot
    /// be found stays a link.
    pub(super) fn with_values(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        head: Vec<u8>,
    ) -> ByteStream {
        let links = bulk::replaceable(&head);
        let head = Bytes::from(head);
        let mut pieces: Vec<(Range<usize>, Option<BulkPath>)> = Vec::new();
        let mut at = 0;
        for (link, path) in links {
            pieces.push((at..link.start, None));
            at = link.end;
            pieces.push((link, Some(path)));
        }
        pieces.push((at..head.len(), None));
        let (archive, access, instance) = (self.clone(), Arc::clone(access), Arc::clone(instance));
        let parts = stream::iter(pieces).then(move |(range, path)| {
            let (archive, access) = (archive.clone(), Arc::clone(&access));
            let (text, instance) = (head.slice(range), Arc::clone(&instance));
            async move {
                let value = match &path {
                    Some(path) => archive.bulk(&access, &instance, path).await?,
                    None => None,
                };
                let part = match value {
                    Some(value) => {
                        let begin = stream::iter([Ok(Bytes::from_static(b"\"InlineBinary\":\""))]);
                        let end = stream::iter([Ok(Bytes::from_static(b"\""))]);
                        begin.chain(in_base64(value.bytes)).chain(end).boxed()
                    }
                    None => stream::iter([Ok(text)]).boxed(),
                };
                Ok::<_, Error>(part)
            }
        });
        parts.try_flatten().boxed()
    }
}

/// Bytes in base64, piece by piece: only what does not fill a group of three waits for the next one.
fn in_base64(bytes: ByteStream) -> ByteStream {
    let encoded = stream::try_unfold(
        (bytes, Vec::new(), false),
        |(mut bytes, mut waiting, is_over)| async move {
            if is_over {
                return Ok(None);
            }
            let Some(piece) = bytes.try_next().await? else {
                let last = Bytes::from(STANDARD.encode(&waiting));
                return Ok(Some((last, (bytes, Vec::new(), true))));
            };
            waiting.extend_from_slice(&piece);
            let rest = waiting.split_off(waiting.len() - waiting.len() % 3);
            let text = Bytes::from(STANDARD.encode(&waiting));
            Ok::<_, Error>(Some((text, (bytes, rest, false))))
        },
    );
    encoded.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: &str) {
        let mut out = Vec::new();
        rebase(
            head.as_bytes(),
            "http://a/dicomweb/",
            "https://b/x/dicomweb/",
            &mut out,
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn j40_links_name_the_address_the_caller_used() {
        check("{}", "{}");
        check(
            r#"{"7FE00010":{"vr":"OW","BulkDataURI":"http://a/dicomweb/studies/1"}}"#,
            r#"{"7FE00010":{"vr":"OW","BulkDataURI":"https://b/x/dicomweb/studies/1"}}"#,
        );
        let text = r#"{"00104000":{"vr":"LT","Value":["\"BulkDataURI\":\"http://a/dicomweb/"]}}"#;
        check(text, text);
    }

    #[tokio::test]
    async fn j36_pieces_of_any_length_make_one_text() {
        let all: Vec<u8> = (0..100).collect();
        for len in [1, 2, 3, 4, 7, 99, 100] {
            let pieces: Vec<Result<Bytes>> = all
                .chunks(len)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            let text: Vec<Bytes> = in_base64(stream::iter(pieces).boxed())
                .try_collect()
                .await
                .unwrap();
            assert_eq!(text.concat(), STANDARD.encode(&all).into_bytes(), "{len}");
        }
    }
}
