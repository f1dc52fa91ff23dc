//! Search by what the index does not know: the Issuer of Accession Number (MINT Q02, Q11), which stands in a sequence.

use std::sync::Arc;

use futures::stream::TryStreamExt as _;

use crate::archive::Archive;
use crate::archive::shown::Shown;
use crate::auth::Access;
use crate::dicom::mint::answers::StudyVersion;
use crate::dicom::mint::issuer;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::Scope;
use crate::index::mint::{Hits, Wanted};

/// Studies that are fetched at once.
const PAGE: u64 = 100;

/// Studies whose heads are looked at.
const MOST_LOOKED_AT: u64 = 1000;

impl Archive {
    /// The studies that fit, newest change first. Where an issuer of accession numbers is asked for, the others are told apart
    /// by the first instance of each.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer, `Kind::Invalid` where too many studies would have to be looked
    /// at.
    pub async fn mint_search(
        &self,
        access: &Arc<Access>,
        wanted: &Wanted,
        hits: Hits,
    ) -> Result<Vec<StudyVersion>> {
        let catalog = self.catalog(access);
        let Some(issuer) = &wanted.accession_number_issuer else {
            return catalog.mint_search(wanted, hits).await;
        };
        let mut found = Vec::new();
        let mut skip = 0;
        while skip < MOST_LOOKED_AT {
            let page = catalog
                .mint_search(wanted, Hits { limit: PAGE, skip })
                .await?;
            let is_last = (page.len() as u64) < PAGE;
            for study in page {
                if self.has_issuer(access, &study, issuer).await? {
                    found.push(study);
                }
            }
            if is_last {
                let skip = usize::try_from(hits.skip).unwrap_or(usize::MAX);
                let limit = usize::try_from(hits.limit).unwrap_or(usize::MAX);
                return Ok(found.into_iter().skip(skip).take(limit).collect());
            }
            skip += PAGE;
        }
        Err(Error::invalid(
            "too many studies to be told apart by accessionNumberIssuer: ask for accessionNumber as well",
        ))
    }

    async fn has_issuer(
        &self,
        access: &Arc<Access>,
        study: &StudyVersion,
        issuer: &str,
    ) -> Result<bool> {
        let scope = Scope {
            study: self.catalog(access).mint_uid(study.study).await?,
            series: None,
            instance: None,
        };
        let mut heads = match self.heads(access, scope, &Shown::under("")).await {
            Ok(heads) => heads,
            // It went meanwhile.
            Err(error) if error.kind() == Kind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let first = heads.try_next().await?;
        Ok(first.is_some_and(|(_, head)| {
            let mut issuers = issuer::of_accession_number(&head).into_iter();
            issuers.any(|known| known == issuer)
        }))
    }
}
