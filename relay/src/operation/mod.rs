//! One stream, one operation: reads the request, does it, answers. Each file holds what one kind of operation does.

mod append;
mod claim;
mod fetch;
mod log;
mod papers;
mod simple;
mod watch;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use handover_link::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use handover_shared::fault::Fault;
use handover_shared::protocol::message::{HEADER_BYTES, Header, Refused, Reply, Request};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::admit::Large;
use crate::cleanup::CleanupError;
use crate::ledger::operations;
use crate::ledger::{Causes, LedgerError};
use crate::link::Peer;
use crate::serve::Relay;

/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of the one request that can be long.
const CREATE: u8 = 4;
/// A request that needs no room of its own; there may be many at once.
const SMALL_REQUEST_BYTES: usize = 16 * 1024;
/// How long a message may take to be taken; whoever takes none keeps its memory.
const TAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the last bytes of an answer may take to be acknowledged.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// One stream with whoever opened it.
pub(crate) struct Exchange {
    peer: Peer,
    send: SendStream,
    recv: RecvStream,
    progress: Progress,
}

/// How a refusal can still be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// As a message.
    Unanswered,
    /// Only by cutting the stream short [S11.4].
    Answered,
}

/// Why an operation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Refused for a reason the peer is told.
    #[error("refused: {}", .0.fault)]
    Refused(Refused),
    /// The stream or the connection is gone.
    #[error("the stream ended")]
    Gone,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store failed, or something that is cleaned up.
    #[error(transparent)]
    Storage(#[from] CleanupError),
    /// Something else of the relay failed.
    #[error("{0}")]
    Internal(&'static str),
}

/// Answers one stream.
pub(crate) async fn answer(relay: Arc<Relay>, peer: Peer, send: SendStream, recv: RecvStream) {
    let mut exchange = Exchange { peer, send, recv, progress: Progress::Unanswered };
    let mut name = "?";
    let outcome = match exchange.request(&relay).await {
        Ok(request) => {
            name = request.name();
            dispatch(&relay, &mut exchange, request).await
        }
        Err(trouble) => Err(trouble),
    };
    let peer = exchange.peer.shown();
    match &outcome {
        Ok(()) => tracing::debug!(%peer, operation = name, "done"),
        Err(Trouble::Gone) => tracing::debug!(%peer, operation = name, "stream lost"),
        Err(Trouble::Refused(refused)) => tracing::info!(%peer, operation = name, fault = refused.fault, "refused"),
        Err(trouble) => tracing::error!(%peer, operation = name, error = %Causes(trouble), "failed"),
    }
    exchange.end(outcome).await;
}

async fn dispatch(relay: &Arc<Relay>, exchange: &mut Exchange, request: Request) -> Result<(), Trouble> {
    let (address, key) = (exchange.peer.address.ip(), exchange.peer.key);
    let may_fail = matches!(
        request,
        Request::Enrol(_) | Request::Peek(_) | Request::Claim(_) | Request::Collect(_) | Request::Refuse(_)
    );
    if may_fail && !relay.admit.may_try(address, Instant::now()) {
        return Err(Fault::Busy.into());
    }
    if relay.is_draining() {
        return Err(Fault::Draining.into());
    }
    let outcome = match request {
        Request::Hello(_) => exchange.reply(&simple::hello(relay, key).await?).await,
        Request::Enrol(enrol) => match simple::enrol(relay, key, &enrol).await {
            Ok(reply) => exchange.reply(&reply).await,
            Err(trouble) => Err(trouble),
        },
        Request::Create(create) => exchange.reply(&simple::create(relay, key, create).await?).await,
        Request::Append(named) => append::append(relay, exchange, named.transfer).await,
        Request::Complete(complete) => exchange.reply(&simple::complete(relay, key, complete).await?).await,
        Request::Peek(peek) => match simple::peek(relay, key, peek.locator).await {
            Ok(reply) => exchange.reply(&reply).await,
            Err(trouble) => Err(trouble),
        },
        Request::Claim(claim) => match claim::claim(relay, &exchange.peer, claim).await {
            Ok(reply) => exchange.reply(&reply).await,
            Err(trouble) => Err(trouble),
        },
        Request::Fetch(fetch) => fetch::fetch(relay, exchange, fetch).await,
        Request::Receive(receive) => exchange.reply(&simple::receive(relay, key, receive).await?).await,
        Request::Watch(watch) => watch::watch(relay, exchange, watch).await,
        Request::Deposit(deposit) => papers::deposit(relay, exchange, deposit).await,
        Request::Collect(collect) => papers::collect(relay, exchange, collect).await,
        Request::Refuse(refuse) => match papers::refuse(relay, &exchange.peer, refuse).await {
            Ok(reply) => exchange.reply(&reply).await,
            Err(trouble) => Err(trouble),
        },
        Request::Log(ask) => exchange.reply(&log::log(relay, key, ask).await?).await,
        Request::Revoke(named) => exchange.reply(&simple::revoke(relay, key, named.transfer).await?).await,
    };
    if let (true, Err(Trouble::Refused(refused))) = (may_fail, &outcome)
        && matches!(refused.known(), Some(Fault::NotFound | Fault::ClaimRefused | Fault::InviteRefused))
    {
        relay.admit.failed(address, Instant::now());
    }
    outcome
}

impl Exchange {
    /// Reads the one request of a stream.
    async fn request(&mut self, relay: &Arc<Relay>) -> Result<Request, Trouble> {
        let read = async {
            let mut header = [0; HEADER_BYTES];
            self.recv.read_exact(&mut header).await.map_err(cut_short)?;
            let header = Header::of_bytes(header)?;
            let _room = room_for(relay, &self.peer, &header).await?;
            // Create and Enrol carry secrets.
            let mut body = Zeroizing::new(vec![0; header.body_bytes]);
            self.recv.read_exact(&mut body).await.map_err(cut_short)?;
            Ok(Request::of_body(header.number, &body)?)
        };
        timeout(REQUEST_TIMEOUT, read).await.unwrap_or(Err(Fault::BadMessage.into()))
    }

    /// Sends a message.
    async fn reply(&mut self, reply: &Reply) -> Result<(), Trouble> {
        self.progress = Progress::Answered;
        // [S13.13]
        let written = timeout(TAKE_TIMEOUT, self.send.write_all(&reply.to_bytes())).await;
        written.unwrap_or(Err(WriteError::Stopped)).map_err(Trouble::from)
    }

    /// Ends the stream as its operation ended.
    async fn end(mut self, outcome: Result<(), Trouble>) {
        let refused = match outcome {
            Ok(()) => None,
            Err(Trouble::Gone) => return,
            Err(Trouble::Refused(refused)) => Some(refused),
            Err(Trouble::Ledger(_) | Trouble::Storage(_) | Trouble::Internal(_)) => Some(Fault::Internal.into()),
        };
        let told = match (refused, self.progress) {
            (None, _) => Ok(()),
            (Some(refused), Progress::Unanswered) => self.reply(&Reply::Refused(refused)).await,
            (Some(refused), Progress::Answered) => {
                // Both halves end with the number, whichever the peer looks at.
                self.recv.stop(refused.fault);
                self.send.reset(refused.fault);
                return;
            }
        };
        if told.is_ok() {
            self.send.finish();
            if timeout(ANSWER_TIMEOUT, self.send.delivered()).await.is_err() {
                tracing::debug!("the end of an answer was not acknowledged");
            }
        }
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault.into())
    }
}

impl From<WriteError> for Trouble {
    fn from(_: WriteError) -> Self {
        Self::Gone
    }
}

impl From<ReadError> for Trouble {
    fn from(_: ReadError) -> Self {
        Self::Gone
    }
}

/// Room for a request's body while it arrives; small ones need none. It is scarce, so strangers get none, and nobody
/// gets all of it.
///
/// # Source
/// SPEC [S13.13].
async fn room_for<'a>(
    relay: &'a Arc<Relay>,
    peer: &Peer,
    header: &Header,
) -> Result<Option<(SemaphorePermit<'a>, Large)>, Trouble> {
    if header.body_bytes <= SMALL_REQUEST_BYTES {
        return Ok(None);
    }
    if header.number == CREATE {
        let (by, enrolment) = (peer.key, relay.limits.enrolment);
        relay.ledger.read(move |rows, _| operations::may_create(rows, by, enrolment)).await??;
    }
    let large = relay.admit.large(peer.address.ip(), Instant::now()).ok_or(Fault::Busy)?;
    let kib = u32::try_from(header.body_bytes.div_ceil(1024)).or(Err(Fault::TooLarge))?;
    let room = relay.requests.acquire_many(kib).await.or(Err(Trouble::Internal("the room for requests was closed")))?;
    Ok(Some((room, large)))
}

fn cut_short(error: ReadExactError) -> Trouble {
    match error {
        ReadExactError::FinishedEarly(_) => Fault::BadMessage.into(),
        ReadExactError::Read(_) => Trouble::Gone,
    }
}
