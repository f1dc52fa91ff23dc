//! Callers: who was signed out or suspended, which tokens are denied, who is signed in at the portal (SH-2.2 step 7, 2.7).
//!
//! These are no rows of patients. [`Index::standing`] is asked with every request and is one statement; when it cannot be
//! answered the request is refused with 503, since nobody knows whether its token still counts.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::Index;
use super::facilities::facility;
use super::row::{failed, get};
use crate::auth::{Kept, Rejection, Verified};
use crate::error::{Error, Result};
use crate::model::{Facility, Timestamp};

/// How many sessions a subject has at most; the oldest gives way. One person has a few browsers, not a thousand.
const SESSIONS_OF_SUBJECT: u64 = 20;

/// How the archive stands to the caller of a token now.
#[derive(Debug)]
pub struct Standing {
    facility: Option<Facility>,
    is_denied: bool,
    session_epoch: Option<Timestamp>,
    is_suspended: bool,
    acl_epoch: i64,
}

impl Standing {
    /// The facility of the token, if the token still counts.
    ///
    /// # Errors
    /// Why it does not: `Denied`, `Suspended`, `SignedOut`, or `NoSuchFacility` if its facility does not exist.
    pub fn admits(self, verified: &Verified) -> Result<Facility, Rejection> {
        if self.is_denied {
            return Err(Rejection::Denied);
        }
        if self.is_suspended {
            return Err(Rejection::Suspended);
        }
        let issued_at = Timestamp(verified.issued_at_s().saturating_mul(1_000_000));
        // `iat` has whole seconds: a token of the second of the sign-out does not count either.
        if self.session_epoch.is_some_and(|epoch| issued_at < epoch) {
            return Err(Rejection::SignedOut);
        }
        self.facility.ok_or(Rejection::NoSuchFacility)
    }

    /// The epoch of rights.
    pub fn acl_epoch(&self) -> i64 {
        self.acl_epoch
    }
}

/// What is done to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every token and session there is stops; it may sign in again.
    SignedOut,
    /// It cannot sign in until it is allowed again.
    Suspended,
    /// It may sign in again. What was issued before stays refused.
    Allowed,
}

impl Index {
    /// How the archive stands to the caller of `verified`: one statement, by unique keys.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn standing(&self, verified: &Verified) -> Result<Standing> {
        let of_subject = Cond::all()
            .add(Expr::col(("s", "token_issuer")).eq(verified.issuer()))
            .add(Expr::col(("s", "sub")).eq(verified.subject()));
        let of_token = Cond::all()
            // A token without a name is on no list; no row has an empty one.
            .add(Expr::col(("d", "jti")).eq(verified.token_id().unwrap_or_default()))
            .add(Expr::col(("d", "expires_at")).gt(self.clock.now().0));
        let of_code = Expr::col(("f", "code")).eq(verified.facility().as_str());
        let select = Query::select()
            .columns([("f", "facility_id"), ("f", "code"), ("f", "name")])
            .columns([("f", "kind"), ("f", "state"), ("f", "settings")])
            .columns([("s", "session_epoch"), ("s", "suspended_at")])
            .column(("d", "jti"))
            .column(("e", "epoch"))
            .from_as("acl_epoch", "e")
            .join_as(JoinType::LeftJoin, "facility", "f", of_code)
            .join_as(JoinType::LeftJoin, "subject", "s", of_subject)
            .join_as(JoinType::LeftJoin, "denied_token", "d", of_token)
            .and_where(Expr::col(("e", "acl_epoch_id")).eq(1))
            .take();
        let row = self.reader.query_one(&select).await.map_err(failed)?;
        let row = row.ok_or_else(|| {
            Error::new(crate::error::Kind::Internal, "there is no epoch of rights")
        })?;
        let is_there = get::<Option<String>>(&row, "code")?.is_some();
        Ok(Standing {
            facility: is_there.then(|| facility(&row)).transpose()?,
            is_denied: get::<Option<String>>(&row, "jti")?.is_some(),
            session_epoch: get::<Option<i64>>(&row, "session_epoch")?.map(Timestamp),
            is_suspended: get::<Option<i64>>(&row, "suspended_at")?.is_some(),
            acl_epoch: get(&row, "epoch")?,
        })
    }

    /// Puts a token on the deny list until `expires_at`; on it already, it stays until the later of the two.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn deny_token(&self, jti: &str, expires_at: Timestamp) -> Result<()> {
        let insert = Query::insert()
            .into_table("denied_token")
            .columns(["jti", "expires_at"])
            .values_panic([jti.into(), expires_at.0.into()])
            .on_conflict(
                OnConflict::column("jti")
                    .update_column("expires_at")
                    .action_and_where(Expr::col(("denied_token", "expires_at")).lt(expires_at.0))
                    .to_owned(),
            )
            .take();
        self.writer.execute(&insert).await.map_err(failed)?;
        Ok(())
    }

    /// Does `verdict` to a subject of a token issuer, from now on, whether it was ever seen or not. Its sessions end with a
    /// sign-out and a suspension. Doing it again changes nothing but the instant.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn judge_subject(
        &self,
        token_issuer: &str,
        sub: &str,
        verdict: Verdict,
    ) -> Result<()> {
        let now = self.clock.now().0;
        let mut insert = Query::insert();
        insert
            .into_table("subject")
            .columns([
                "subject_id",
                "token_issuer",
                "sub",
                "session_epoch",
                "suspended_at",
            ])
            .values_panic([
                self.clock.new_id().into(),
                token_issuer.into(),
                sub.into(),
                if verdict == Verdict::Allowed { 0 } else { now }.into(),
                (verdict == Verdict::Suspended).then_some(now).into(),
            ]);
        let mut again = OnConflict::columns(["token_issuer", "sub"]);
        match verdict {
            Verdict::SignedOut => again.update_column("session_epoch"),
            Verdict::Suspended => again.update_columns(["session_epoch", "suspended_at"]),
            Verdict::Allowed => again.update_column("suspended_at"),
        };
        insert.on_conflict(again);
        let tx = self.begin().await?;
        tx.execute(&insert).await.map_err(failed)?;
        if verdict != Verdict::Allowed {
            let sessions = Query::delete()
                .from_table("portal_session")
                .and_where(Expr::col("token_issuer").eq(token_issuer))
                .and_where(Expr::col("sub").eq(sub))
                .take();
            tx.execute(&sessions).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    /// Opens a session, known by the SHA-256 of its id, for the caller of `verified` until its token expires.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn open_session(&self, digest: &[u8; 32], verified: &Verified) -> Result<()> {
        let claims = serde_json::to_string(&Kept::whole(verified))
            .map_err(|e| Error::internal("the claims of a session cannot be written", e))?;
        let insert = Query::insert()
            .into_table("portal_session")
            .columns([
                "session_digest",
                "token_issuer",
                "sub",
                "claims",
                "created_at",
                "expires_at",
            ])
            .values_panic([
                digest.to_vec().into(),
                verified.issuer().into(),
                verified.subject().into(),
                claims.into(),
                self.clock.now().0.into(),
                verified.expires_at_s().saturating_mul(1_000_000).into(),
            ])
            .take();
        let tx = self.begin().await?;
        make_room(&tx, verified).await?;
        tx.execute(&insert).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// What was kept of the token of a session; `None` if there is no such session or its time is over.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn session(&self, digest: &[u8; 32]) -> Result<Option<Kept>> {
        let select = Query::select()
            .column("claims")
            .from("portal_session")
            .and_where(Expr::col("session_digest").eq(digest.to_vec()))
            .and_where(Expr::col("expires_at").gt(self.clock.now().0))
            .take();
        let row = self.reader.query_one(&select).await.map_err(failed)?;
        let claims: Option<String> = row.map(|row| get(&row, "claims")).transpose()?;
        claims
            .map(|claims| serde_json::from_str(&claims))
            .transpose()
            .map_err(|e| Error::internal("a session holds claims that cannot be read", e))
    }

    /// Ends a session; one that is not there has ended already.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn close_session(&self, digest: &[u8; 32]) -> Result<()> {
        let delete = Query::delete()
            .from_table("portal_session")
            .and_where(Expr::col("session_digest").eq(digest.to_vec()))
            .take();
        self.writer.execute(&delete).await.map_err(failed)?;
        Ok(())
    }

    /// Removes denied tokens and sessions whose time was over at `now`, and gives their number. They count for nothing any
    /// more: it may run as often and as late as it likes.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn expire_identity(&self, now: Timestamp) -> Result<u64> {
        let mut removed = 0;
        for table in ["denied_token", "portal_session"] {
            let delete = Query::delete()
                .from_table(table)
                .and_where(Expr::col("expires_at").lte(now.0))
                .take();
            removed += self
                .writer
                .execute(&delete)
                .await
                .map_err(failed)?
                .rows_affected();
        }
        Ok(removed)
    }
}

/// Ends the oldest sessions of a subject that has as many as it may have.
async fn make_room(tx: &DatabaseTransaction, verified: &Verified) -> Result<()> {
    let newest = Query::select()
        .column("session_digest")
        .from("portal_session")
        .and_where(Expr::col("token_issuer").eq(verified.issuer()))
        .and_where(Expr::col("sub").eq(verified.subject()))
        .order_by("created_at", Order::Desc)
        .order_by("session_digest", Order::Desc)
        .limit(SESSIONS_OF_SUBJECT - 1)
        .take();
    let others = Query::delete()
        .from_table("portal_session")
        .and_where(Expr::col("token_issuer").eq(verified.issuer()))
        .and_where(Expr::col("sub").eq(verified.subject()))
        .and_where(Expr::col("session_digest").not_in_subquery(newest))
        .take();
    tx.execute(&others).await.map_err(failed)?;
    Ok(())
}
