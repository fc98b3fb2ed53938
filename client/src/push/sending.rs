//! A transfer on its way: what its folder gives to the delivery, and what the delivery leaves in it.
//!
//! # Source
//! SPEC [S14.2] [S14.3] [S14.4].

use std::sync::Arc;

use handover_shared::archive::frame::Level;
use handover_shared::archive::manifest::Counts;
use handover_shared::ids::{BlockCount, BlockIndex, Millis};
use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, RelayAddress, Ticket};
use handover_shared::keys::schedule::ContentKey;
use handover_shared::protocol::message::Create;
use zeroize::Zeroizing;

use super::StdinSource;
use super::deliver::{Begun, Making, Transfer};
use super::journal::{Journal, Rest};
use super::pipeline::{Done, Pipeline, Setup};
use super::plan::PlanReader;
use super::statements::{Announced, Sealer};
use crate::agreement;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::home::identity::Owner;
use crate::home::transfers::{Facts, Held, State};

/// The transfer that is being delivered, and its folder.
pub struct Sending<'a> {
    /// Its folder.
    pub held: &'a Held,
    /// Whose it is.
    pub owner: &'a Owner,
    /// What was announced.
    pub announced: Announced,
    /// Where buyers find the relay.
    pub shown: RelayAddress,
    /// Told of the code.
    pub observer: Arc<dyn Observer>,
    /// Whether an earlier run had begun it.
    pub continued: bool,
    /// Where standard input comes from, if it can still be read.
    pub stdin: Option<StdinSource>,
}

impl Transfer for Sending<'_> {
    fn create(&self) -> Result<Create, Error> {
        let share = self.held.secrets()?.share;
        let share = share.ok_or_else(|| damaged(self.held, "secrets"))?;
        Ok(self.announced.create(Zeroizing::new(share)))
    }

    fn document(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.announced.agreement {
            None => Ok(None),
            Some(_) => agreement::read_sealed_document(self.held).map(Some),
        }
    }

    fn accepted(&mut self, expires: Millis) -> Result<(), Error> {
        let facts = Facts { state: State::Sending, expires_ms: expires.0, ..self.held.facts()? };
        self.held.store_facts(&facts)?;
        // The relay has its share; nobody else needs it.
        let mut secrets = self.held.secrets()?;
        secrets.share = None;
        self.held.store_secrets(&secrets)?;
        let code = secrets.code.ok_or_else(|| damaged(self.held, "secrets"))?;
        let code = Code::of_secret(Secret::new(Zeroizing::new(code)));
        let ticket = Ticket { code, relay: Some(self.shown.clone()) };
        let id = self.held.id();
        self.observer.event(Event::CodeReady { id, ticket, expires, continued: self.continued, spent: false }); // [S14.3]
        Ok(())
    }

    async fn begin(&mut self, at: BlockIndex) -> Result<Begun, Error> {
        let key = self.held.secrets()?.content_key.ok_or_else(|| damaged(self.held, "secrets"))?;
        let key = ContentKey::of_secret(Secret::new(Zeroizing::new(key)));
        let (marks, records, plan) = (self.held.file("marks"), self.held.file("records"), self.held.file("plan"));
        let transfer = self.announced.transfer;
        let sealer = Sealer::new(self.held, transfer, &self.owner.identity)?;
        let (stdin, observer) = (self.stdin.take(), self.observer.clone());
        let block_size = self.announced.block_size;
        blocking(move || {
            let journal = Journal::open(marks, records)?;
            let total = journal.total();
            let (resumption, journal) = journal.resume(BlockCount(at.0))?;
            let counts = resumption.point.as_ref().map(|(_, point)| point.state.counts()).unwrap_or_default();
            let bytes = resumption.point.as_ref().map_or(0, |(_, point)| point.bytes());
            let done = Done { bytes, files: counts.files };
            if let (Rest::Nothing, Some(total)) = (resumption.rest, total) {
                return Ok(Begun { done, rest: Making::Nothing(total, counts) });
            }
            let head = PlanReader::open(&plan)?.head().clone();
            let has_read_all = resumption.point.as_ref().is_some_and(|(_, point)| point.state.is_listing());
            if head.has_stdin() && stdin.is_none() && !has_read_all {
                return Err(Error::StdinNotResumable);
            }
            let level = head.level.and_then(Level::zstd);
            let pipeline = Pipeline::start(Setup {
                plan,
                resumption,
                journal,
                transfer,
                block_size,
                block_key: key.block_key(&transfer),
                manifest_key: key.manifest_key(&transfer),
                inventory_salt: key.inventory_salt(&transfer),
                level,
                sealer,
                stdin,
                observer,
            })?;
            Ok(Begun { done, rest: Making::Pipeline(pipeline) })
        })
        .await
    }

    fn safe(&mut self, blocks: BlockCount, counts: Counts) -> Result<(), Error> {
        let facts = Facts {
            state: State::Waiting,
            files: counts.files,
            folders: counts.folders,
            links: counts.links,
            bytes: Some(counts.bytes),
            exceptions: counts.exceptions,
            ..self.held.facts()?
        };
        self.held.store_facts(&facts)?;
        let wire_bytes = blocks.0.saturating_mul(self.announced.block_size.sealed_bytes() as u64);
        self.observer.event(Event::Safe { id: self.held.id(), bytes: counts.bytes, wire_bytes });
        Ok(())
    }
}

/// Does work that waits for the disk on a thread that may.
///
/// # Errors
/// What the work fails with.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R, Error> + Send + 'static) -> Result<R, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

fn damaged(held: &Held, file: &str) -> Error {
    Error::State { what: "a transfer's secrets are gone", path: held.file(file), source: None }
}
