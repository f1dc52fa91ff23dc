//! Uploads that go on where they broke off, on whichever replica: their bytes wait in the store until they are whole (MINT Z43).

use uuid::{Uuid, Variant};

use crate::archive::Archive;
use crate::archive::sweep::day_of;
use crate::auth::StoreGrant;
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::storage::Partial;

impl Archive {
    /// Begins an upload of the caller's facility; `length` is how many bytes are announced. Gives its id, by which it is found
    /// again.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`.
    pub async fn begin_upload(
        &self,
        grant: &StoreGrant,
        length: Option<u64>,
    ) -> Result<(Uuid, Partial)> {
        let id = self.clock.new_id();
        let folder = folder(grant, id)?;
        let partial = self.vault.begin_partial(&folder, length).await?;
        Ok((id, partial))
    }

    /// An upload of the caller's facility that was begun.
    ///
    /// # Errors
    /// `Kind::NotFound` if there is none of this id, or it is over, or was swept; `Kind::Unavailable` if the store does not
    /// answer.
    pub async fn begun_upload(&self, grant: &StoreGrant, id: Uuid) -> Result<Partial> {
        let partial = self.vault.partial(&folder(grant, id)?).await?;
        partial.ok_or_else(Error::not_found)
    }
}

/// Where the bytes of an upload wait: a folder of the facility and of the day on which the upload began, as its id says.
fn folder(grant: &StoreGrant, id: Uuid) -> Result<String> {
    let begun_at = id.get_timestamp().map(|at| at.to_unix());
    let (seconds, _) = begun_at
        .filter(|_| id.get_variant() == Variant::RFC4122 && id.get_version_num() == 7)
        .ok_or_else(Error::not_found)?;
    let seconds = i64::try_from(seconds).map_err(|_| Error::not_found())?;
    let day = day_of(Timestamp(seconds.saturating_mul(1_000_000)));
    let day = day.map_err(|_| Error::not_found())?;
    Ok(format!("{}/{day}/{id}", grant.facility().code))
}
